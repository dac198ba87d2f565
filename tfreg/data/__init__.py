"""Data sets, phantoms with known displacements, and pipelines of image pairs."""

from tfreg.data import (
    acdc,
    bodies,
    breathing,
    cine,
    hippocampus,
    mnist,
    phantoms,
    stacks,
    sunnybrook,
    thorax,
    ventricles,
)
from tfreg.data.pairs import PairSampler
from tfreg.data.patches import PatchSampler

__all__ = [
    "PairSampler",
    "PatchSampler",
    "acdc",
    "bodies",
    "breathing",
    "cine",
    "hippocampus",
    "mnist",
    "phantoms",
    "stacks",
    "sunnybrook",
    "thorax",
    "ventricles",
]
