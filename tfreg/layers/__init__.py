"""Thin Keras layers over ``tfreg.ops``: one transformer or resampler per file."""

import tfreg.supported  # noqa: F401  first, since the others import Keras
from tfreg.layers.bspline_transformer import BSplineTransformer
from tfreg.layers.convolution import Convolution2D
from tfreg.layers.linear_transformer import LinearTransformer
from tfreg.layers.resampler import Resampler
from tfreg.layers.spatial_transformer import SpatialTransformer
from tfreg.layers.tps_transformer import TPSTransformer
from tfreg.layers.velocity_transformer import VelocityTransformer

__all__ = [
    "BSplineTransformer",
    "Convolution2D",
    "LinearTransformer",
    "Resampler",
    "SpatialTransformer",
    "TPSTransformer",
    "VelocityTransformer",
]
