"""Data sets, phantoms with known displacements, and pipelines of image pairs."""

from tfreg.data import acdc, bodies, cine, mnist, phantoms, sunnybrook
from tfreg.data.pairs import PairSampler

__all__ = ["PairSampler", "acdc", "bodies", "cine", "mnist", "phantoms", "sunnybrook"]
