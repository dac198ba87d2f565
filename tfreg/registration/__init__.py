"""Registering images: with a network, or by optimising a transform on the pair at hand."""

import tfreg.supported  # noqa: F401  first, since the others import Keras
from tfreg.registration.answer import Check, LevelReport, Registration
from tfreg.registration.confine import Confined, confine
from tfreg.registration.instance import register
from tfreg.registration.level import forget
from tfreg.registration.model import RegistrationModel
from tfreg.registration.physical import PhysicalRegistration
from tfreg.registration.preprocessing import Preprocessing
from tfreg.registration.pyramid import SETTINGS, Level, Pyramid, pyramid

__all__ = [
    "SETTINGS",
    "Check",
    "Confined",
    "Level",
    "LevelReport",
    "PhysicalRegistration",
    "Preprocessing",
    "Pyramid",
    "Registration",
    "RegistrationModel",
    "confine",
    "forget",
    "pyramid",
    "register",
]
