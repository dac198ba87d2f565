"""Descriptors of what is about every voxel, made by hand or learned elsewhere."""

import tfreg.supported  # noqa: F401  first, since the others import Keras
from tfreg.features.handmade import attributes, raw_patches

__all__ = ["attributes", "raw_patches"]
