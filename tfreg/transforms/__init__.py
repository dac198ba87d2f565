"""Transforms in physical space: points of the fixed image to points of the moving one, LPS mm."""

from tfreg.transforms.affine import Affine
from tfreg.transforms.base import Transform
from tfreg.transforms.bspline import BSpline
from tfreg.transforms.displacement import Displacement
from tfreg.transforms.inverse import Inverse
from tfreg.transforms.io import FORMATS, Saved, check_path, files_of, load, save, writers
from tfreg.transforms.sequence import Sequence, Sum, compose
from tfreg.transforms.thin_plate import ThinPlate
from tfreg.transforms.velocity import Velocity

Transform._sampled = Displacement
Transform._write = save

__all__ = [
    "FORMATS",
    "Affine",
    "BSpline",
    "Displacement",
    "Inverse",
    "Saved",
    "Sequence",
    "Sum",
    "ThinPlate",
    "Transform",
    "Velocity",
    "check_path",
    "compose",
    "files_of",
    "load",
    "save",
    "writers",
]
