"""Descriptors of what is about every voxel, made by hand or learned elsewhere."""

from tfreg.features.handmade import attributes, raw_patches

__all__ = ["attributes", "raw_patches"]
