"""Descriptors of what is about every voxel: whatever the contrast, made by hand or learned."""

import tfreg.supported  # noqa: F401  first, since the others import Keras
from tfreg.features.handmade import attributes, raw_patches
from tfreg.features.mind import PAIRS, forget_descriptors, mind_ssc, mind_ssc_on_grids

__all__ = [
    "PAIRS",
    "attributes",
    "forget_descriptors",
    "mind_ssc",
    "mind_ssc_on_grids",
    "raw_patches",
]
