"""A function of a patch at every voxel: a network of patches slides over an image as a whole.

Where patches are seen at every second place, such as after pooling with a stride, an image is seen
at every second voxel from each of its voxels: what was a stride becomes a dilation.
"""

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from keras import ops


def around(images: Any, reach: int) -> Any:
    """Images ``(batch, *spatial, channels)``, mirrored at their borders so far beyond them."""
    widths = [(0, 0), *[(reach, reach)] * (len(images.shape) - 2), (0, 0)]
    return ops.pad(images, widths, mode="symmetric") if reach else images


def convolve(values: Any, kernel: Any, dilation: int = 1) -> Any:
    """``y(x) = sum_t K(t) values(x + dilation t)``, where all of it is within the image.

    Args:
        values: tensor ``(batch, *spatial, channels)``.
        kernel: tensor ``(*sizes, channels, filters)``, a cube of taps.
        dilation: voxels between neighbouring taps.

    Returns:
        Tensor ``(batch, *(spatial - dilation (sizes - 1)), filters)``.

    Example:

    >>> import numpy as np
    >>> from tfreg.features.dense import convolve
    >>> line = np.arange(12, dtype="float32").reshape(1, 2, 6, 1)
    >>> pair = np.ones((1, 2, 1, 1), "float32")
    >>> [float(v) for v in convolve(line, pair, dilation=2)[0, 0, :, 0]]
    [2.0, 4.0, 6.0, 8.0]
    """
    kernel = ops.cast(ops.convert_to_tensor(kernel), values.dtype)
    if dilation == 1:
        return ops.conv(values, kernel, padding="valid", data_format="channels_last")
    # On a processor TensorFlow has no dilated convolution of volumes.
    total = None
    for tap, shifted in _taps(values, kernel.shape[:-2], dilation):
        part = ops.matmul(shifted, kernel[tap])
        total = part if total is None else total + part
    return total


def maximum(values: Any, window: int, dilation: int = 1) -> Any:
    """The maximum of each cube of ``window`` values, ``dilation`` apart, along all axes.

    Args:
        values: tensor ``(batch, *spatial, channels)``.
        window: values along each axis.
        dilation: voxels between them.

    Returns:
        Tensor ``(batch, *(spatial - dilation (window - 1)), channels)``.
    """
    for axis in range(1, len(values.shape) - 1):
        size = values.shape[axis] - dilation * (window - 1)
        parts = [_part(values, axis, dilation * k, size) for k in range(window)]
        values = parts[0]
        for part in parts[1:]:
            values = ops.maximum(values, part)
    return values


def vectors(values: Any, size: int, dilation: int = 1, stride: int = 1) -> Any:
    """All patches of ``size`` places along each axis, as vectors ``(n, size ** ndim * channels)``.

    Args:
        values: tensor ``(batch, *spatial, channels)``.
        size: places of a patch along each axis.
        dilation: voxels between neighbouring places of a patch.
        stride: voxels between neighbouring patches.
    """
    ndim = len(values.shape) - 2
    box = (slice(None), *[slice(None, None, stride)] * ndim)
    found = [part[box] for _, part in _taps(values, (size,) * ndim, dilation)]
    together = ops.concatenate(found, axis=-1)
    return ops.reshape(together, (-1, size**ndim * values.shape[-1]))


def spread(parts: Any, size: int, stride: int = 1) -> Any:
    """What patches say of the voxels that they cover, averaged: the way back from patches.

    One product with a matrix that depends on sizes alone: for patches, not for whole images.

    Args:
        parts: tensor ``(batch, *places, size ** ndim, channels)``: patches at places that are
            ``stride`` voxels apart.
        size: voxels of a patch along each axis.
        stride: between neighbouring patches.

    Returns:
        Tensor ``(batch, *(stride (places - 1) + size), channels)``.

    Example:

    >>> import numpy as np
    >>> from tfreg.features.dense import spread
    >>> two = np.array([[1, 1, 1, 1], [3, 3, 3, 3]], "float32")[None, :, None, :, None]
    >>> [float(v) for v in spread(two, 2)[0, :, 0, 0]]
    [1.0, 2.0, 3.0]
    """
    places, channels = tuple(parts.shape[1:-2]), parts.shape[-1]
    shape = tuple(stride * (n - 1) + size for n in places)
    matrix = ops.convert_to_tensor(_means(places, size, stride), parts.dtype)
    flat = ops.reshape(parts, (-1, matrix.shape[1], channels))
    if channels == 1:  # one large product is quicker than many small ones
        flat = ops.matmul(ops.reshape(flat, (-1, matrix.shape[1])), ops.transpose(matrix))
    else:
        flat = ops.matmul(matrix, flat)
    return ops.reshape(flat, (-1, *shape, channels))


def widened(values: Any, size: int, stride: int) -> Any:
    """The way back from maxima: each value at all places of its window, where these overlap their
    mean.

    Args:
        values: tensor ``(batch, *places, channels)``.
        size: places of a window along each axis.
        stride: places between neighbouring windows.

    Returns:
        Tensor ``(batch, *(stride (places - 1) + size), channels)``.
    """
    places, channels = tuple(values.shape[1:-1]), values.shape[-1]
    matrix = _means(places, size, stride)
    matrix = matrix.reshape(len(matrix), -1, size ** len(places)).sum(axis=-1)
    flat = ops.reshape(values, (-1, matrix.shape[1], channels))
    flat = ops.matmul(ops.convert_to_tensor(matrix, values.dtype), flat)
    shape = (stride * (n - 1) + size for n in places)
    return ops.reshape(flat, (-1, *shape, channels))


@functools.lru_cache(maxsize=16)
def _means(places: tuple[int, ...], size: int, stride: int) -> np.ndarray:
    """``(voxels, places and taps)``: the mean of what is said of each voxel."""
    ndim = len(places)
    shape = tuple(stride * (n - 1) + size for n in places)
    at = np.indices(places).reshape(ndim, -1, 1) * stride
    taps = np.indices((size,) * ndim).reshape(ndim, 1, -1)
    voxels = np.ravel_multi_index(tuple(at + taps), shape).ravel()
    matrix = np.zeros((math.prod(shape), len(voxels)), "float32")
    matrix[voxels, np.arange(len(voxels))] = 1
    return matrix / matrix.sum(axis=1, keepdims=True)


def _taps(values: Any, sizes: tuple[int, ...], dilation: int) -> Iterator[tuple[tuple, Any]]:
    """Each tap of a kernel, and the values that it is multiplied with."""
    spatial = values.shape[1:-1]
    for tap in itertools.product(*map(range, sizes)):
        shifted = values
        for axis, (t, k, n) in enumerate(zip(tap, sizes, spatial, strict=True), start=1):
            shifted = _part(shifted, axis, dilation * t, n - dilation * (k - 1))
        yield tap, shifted


def _part(values: Any, axis: int, start: int, size: int) -> Any:
    box = (slice(None),) * axis + (slice(start, start + size),)
    return values[box]
