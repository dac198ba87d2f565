"""Descriptors of images: what a voxel's surroundings look like, whatever their contrast."""

import tfreg.supported  # noqa: F401  first, since the others import Keras
from tfreg.features.mind import PAIRS, forget_descriptors, mind_ssc, mind_ssc_on_grids

__all__ = ["PAIRS", "forget_descriptors", "mind_ssc", "mind_ssc_on_grids"]
