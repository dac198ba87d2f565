"""The identity grid."""

from collections.abc import Sequence
from typing import Any

from keras import ops


def axis_coordinates(size: Any, axis: int, ndim: int, dtype: str = "float32") -> Any:
    """Voxel indices ``0 .. size-1`` along ``axis``, shaped to broadcast over ``ndim`` axes."""
    return ops.reshape(ops.arange(size, dtype=dtype), [-1 if a == axis else 1 for a in range(ndim)])


def identity_grid(shape: Sequence[int], dtype: str = "float32") -> Any:
    """The position of every voxel: ``grid[i, j, ...] = (i, j, ...)``.

    Args:
        shape: spatial shape, 2-D or 3-D.
        dtype: dtype of the result.

    Returns:
        Tensor ``(*shape, ndim)`` in voxels, array-axis order.

    Example:

    >>> from tfreg import ops
    >>> grid = ops.identity_grid((2, 3))
    >>> [float(v) for v in grid[1, 2]]
    [1.0, 2.0]
    """
    shape = tuple(shape)
    ndim = len(shape)
    axes = [
        ops.broadcast_to(axis_coordinates(size, axis, ndim, dtype), shape)
        for axis, size in enumerate(shape)
    ]
    return ops.stack(axes, axis=-1)
