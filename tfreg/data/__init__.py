"""Data sets, phantoms with known displacements, and pipelines of image pairs."""

from tfreg.data import bodies, mnist, phantoms
from tfreg.data.pairs import PairSampler

__all__ = ["PairSampler", "bodies", "mnist", "phantoms"]
