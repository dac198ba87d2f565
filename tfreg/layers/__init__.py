"""Thin Keras layers over ``tfreg.ops``: one transformer or resampler per file."""

from tfreg.layers.bspline_transformer import BSplineTransformer
from tfreg.layers.resampler import Resampler

__all__ = ["BSplineTransformer", "Resampler"]
