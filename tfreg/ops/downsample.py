"""Gaussian smoothing, and down-sampling without aliasing."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfreg.ops.precision import at_least_float32
from tfreg.ops.separable import apply_per_axis


def downsample(image: Any, factors: Sequence[int]) -> Any:
    """Smooths an image with a Gaussian and keeps one voxel of each block.

    ``small[j] = sum_i g((i - c_j) / sigma) image[i] / sum_i g((i - c_j) / sigma)``, with the centre
    of the block ``c_j = (j + 1/2) factor - 1/2`` and ``sigma = factor / 2``, cut at 4 sigma. At the
    border the weights are those of the voxels that exist, so a constant image stays constant.

    Args:
        image: tensor ``(batch, *spatial, channels)`` of known spatial shape, 2-D or 3-D.
        factors: positive integer per axis; an axis of factor 1 is left alone.

    Returns:
        Tensor ``(batch, *ceil(spatial / factors), channels)``, float32, or float64 where the image
        is. Voxel ``j`` of it lies at ``c_j`` of the image.

    Raises:
        ValueError: if the shape is not known or the factors do not fit it.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> small = ops.downsample(np.ones((1, 9, 6, 1), "float32"), (2, 3))
    >>> tuple(small.shape), round(float(small[0, 4, 1, 0]), 5)
    ((1, 5, 2, 1), 1.0)
    """
    image = at_least_float32(image)
    spatial, factors = tuple(image.shape[1:-1]), tuple(factors)
    if len(spatial) not in (2, 3) or None in spatial or len(factors) != len(spatial):
        raise ValueError(
            "image must be (batch, *spatial, channels) of known spatial shape, 2-D or 3-D, with "
            f"one factor per axis. Received: image.shape={tuple(image.shape)}, factors={factors}"
        )
    if any(not isinstance(f, (int, np.integer)) or f < 1 for f in factors):
        raise ValueError(f"factors must be positive integers. Received: factors={factors}")
    matrices = [
        None if factor == 1 else _matrix(size, int(factor))
        for size, factor in zip(spatial, factors, strict=True)
    ]
    return apply_per_axis(image, matrices)


@functools.lru_cache(maxsize=64)
def _matrix(size: int, factor: int) -> np.ndarray:
    centres = (np.arange(-(-size // factor)) + 0.5) * factor - 0.5
    distance = (np.arange(size)[None] - centres[:, None]) / (factor / 2)
    weights = np.where(np.abs(distance) <= 4, np.exp(-0.5 * distance**2), 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def smooth(image: Any, sigma: Sequence[float]) -> Any:
    """Convolves an image with a Gaussian, cut at 4 sigma and normalised at the border.

    Args:
        image: tensor ``(batch, *spatial, channels)`` of known spatial shape, 2-D or 3-D.
        sigma: standard deviation in voxels per axis; 0 leaves an axis alone.

    Returns:
        Tensor of the same shape; a constant image stays constant.

    Raises:
        ValueError: if there is not one sigma per axis, 0 or more.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> peak = np.zeros((1, 9, 9, 1), "float32")
    >>> peak[0, 4, 4] = 1
    >>> blurred = ops.smooth(peak, (1.0, 0.0))
    >>> round(float(blurred[0, 4, 4, 0]), 3), float(blurred[0, 4, 5, 0])
    (0.399, 0.0)
    """
    image = at_least_float32(image)
    spatial, sigma = tuple(image.shape[1:-1]), tuple(float(s) for s in sigma)
    if len(sigma) != len(spatial) or not all(np.isfinite(s) and s >= 0 for s in sigma):
        raise ValueError(
            "sigma must be one number per axis, 0 or more. "
            f"Received: sigma={sigma}, image.shape={tuple(image.shape)}"
        )
    matrices = [_gaussian(n, s) if s > 0 else None for n, s in zip(spatial, sigma, strict=True)]
    return apply_per_axis(image, matrices)


@functools.lru_cache(maxsize=64)
def _gaussian(size: int, sigma: float) -> np.ndarray:
    distance = (np.arange(size)[None] - np.arange(size)[:, None]) / sigma
    weights = np.where(np.abs(distance) <= 4, np.exp(-0.5 * distance**2), 0.0)
    return weights / weights.sum(axis=1, keepdims=True)
