"""Similarities between a fixed and a moved image, and penalties on a displacement.

Images are ``(batch, *spatial, channels)``, displacements ``(batch, *spatial, ndim)`` in voxels, in
array-axis order, in 2-D and 3-D. Every function returns one value per item of the batch, computed
in at least float32. The classes are Keras losses; minimising them registers.
"""

import tfreg.supported  # noqa: F401  first, since the others import Keras
from tfreg.losses.bspline_bending import bspline_bending_energy
from tfreg.losses.correlation import NCC, ncc
from tfreg.losses.folding import folding_penalty
from tfreg.losses.gradient_field import NGF, ngf
from tfreg.losses.information import MutualInformation, mutual_information
from tfreg.losses.local_correlation import LNCC, lncc
from tfreg.losses.overlap import SoftDice, soft_dice
from tfreg.losses.smoothness import bending_energy, diffusion
from tfreg.losses.squared_difference import mse

__all__ = [
    "LNCC",
    "NCC",
    "NGF",
    "MutualInformation",
    "SoftDice",
    "bending_energy",
    "bspline_bending_energy",
    "diffusion",
    "folding_penalty",
    "lncc",
    "mse",
    "mutual_information",
    "ncc",
    "ngf",
    "soft_dice",
]
