"""Registering images: with a network, or by optimising a transform on the pair at hand."""

from typing import TYPE_CHECKING, Any

import tfreg.supported  # noqa: F401  first, since the others import Keras
from tfreg.registration.answer import Check, LevelReport, Registration
from tfreg.registration.channels import Features
from tfreg.registration.described.demons import demons
from tfreg.registration.described.matching import match
from tfreg.registration.instance.level import forget
from tfreg.registration.instance.optimisation import Refinement
from tfreg.registration.instance.pyramid import SETTINGS, Level, Pyramid, pyramid
from tfreg.registration.named import TASKS, Task
from tfreg.registration.path import FlowPath, GeodesicPath
from tfreg.registration.preprocessing import Preprocessing
from tfreg.registration.projection.register import (
    ProjectionRegistration,
    register_projection,
)
from tfreg.registration.register import register
from tfreg.registration.search_report import SearchReport
from tfreg.registration.space.confine import Confined, confine
from tfreg.registration.space.physical import PhysicalRegistration

if TYPE_CHECKING:
    from tfreg.models.registration import RegistrationModel

__all__ = [
    "SETTINGS",
    "TASKS",
    "Check",
    "Confined",
    "Features",
    "FlowPath",
    "GeodesicPath",
    "Level",
    "LevelReport",
    "PhysicalRegistration",
    "Preprocessing",
    "ProjectionRegistration",
    "Pyramid",
    "Refinement",
    "Registration",
    "RegistrationModel",
    "SearchReport",
    "Task",
    "confine",
    "demons",
    "forget",
    "match",
    "pyramid",
    "register",
    "register_projection",
]


def __getattr__(name: str) -> Any:
    """The base of the models, which stands above this package."""
    if name != "RegistrationModel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tfreg.models.registration import RegistrationModel

    return RegistrationModel
