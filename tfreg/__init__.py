"""tfreg: the reference model zoo of learned image registration, in Keras 3.

One map everywhere: ``moved(x) = moving(x + u(x))``. The displacement ``u`` lives on the grid of the
fixed image, in voxels, in array-axis (``ij``) order; tensors are ``(batch, *spatial, channels)``.

Submodules load on first use, so that ``import tfreg`` costs nothing.
"""

import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# oneDNN's 3-D convolutions train several times faster; TensorFlow leaves them off on processors
# without AVX-512 VNNI. It reads this when it loads; a value that is there already stays.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

_CLASSES = {"Geometry": "tfreg.geometry", "Image": "tfreg.image"}

if TYPE_CHECKING:
    from tfreg import (
        cohort,
        data,
        errors,
        features,
        geometry,
        image,
        io,
        layers,
        losses,
        metrics,
        models,
        ops,
        registration,
        report,
        serial,
        training,
        transforms,
        viz,
    )
    from tfreg.geometry import Geometry
    from tfreg.image import Image

__all__ = [
    "Geometry",
    "Image",
    "__version__",
    "cohort",
    "data",
    "errors",
    "features",
    "geometry",
    "image",
    "io",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "registration",
    "report",
    "serial",
    "training",
    "transforms",
    "viz",
]
_SUBMODULES = tuple(name for name in __all__ if name[0].islower())


def __getattr__(name: str) -> ModuleType | type:
    if name in _CLASSES:
        return getattr(importlib.import_module(_CLASSES[name]), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"tfreg.{name}")
    raise AttributeError(f"module 'tfreg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
