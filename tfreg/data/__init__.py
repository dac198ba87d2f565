"""Data sets, phantoms with known displacements, and pipelines of image pairs."""

from tfreg.data import (
    acdc,
    bodies,
    cine,
    hippocampus,
    mnist,
    phantoms,
    stacks,
    sunnybrook,
    ventricles,
)
from tfreg.data.pairs import PairSampler

__all__ = [
    "PairSampler",
    "acdc",
    "bodies",
    "cine",
    "hippocampus",
    "mnist",
    "phantoms",
    "stacks",
    "sunnybrook",
    "ventricles",
]
