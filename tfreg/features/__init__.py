"""Descriptors of what is about every voxel, made by hand or learned elsewhere."""
