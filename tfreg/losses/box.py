"""Sums over the box around each voxel."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from tfreg.ops.grid import axis_coordinates


def box_sum(values: Any, window: Sequence[int]) -> Any:
    """Sum over the window centred at each voxel; windows end at the border of the image.

    Separable, and per axis by doubling (two neighbours, four, eight, ...), so that the cost grows
    with the logarithm of the window. Nothing is subtracted, as running sums would, so that nothing
    cancels; products of matrices and convolutions, the alternatives, lose digits to TF32 on GPUs.

    Args:
        values: tensor ``(batch, *spatial, channels)``.
        window: odd number of voxels per axis.

    Returns:
        Tensor of the shape of ``values``.
    """
    shape = ops.shape(values)
    for axis, length in enumerate(window, start=1):
        rest = 1
        for size in shape[axis + 1 :]:
            rest = rest * size
        # Three axes, whatever the rank: slices of those are the fastest.
        rows = ops.reshape(values, (-1, shape[axis], rest))
        values = ops.reshape(_sum_along_rows(rows, shape[axis], length), shape)
    return values


def box_mean(values: Any, window: Sequence[int]) -> Any:
    """Mean over the voxels of the image in the window centred at each voxel.

    Args:
        values: tensor ``(batch, *spatial, channels)``.
        window: odd number of voxels per axis.

    Returns:
        Tensor of the shape of ``values``.
    """
    return _shared_among(box_sum(values, window), window)


def box_mean_transposed(values: Any, window: Sequence[int]) -> Any:
    """The transpose of :func:`box_mean`: what every voxel adds to means of which these are the
    gradients.

    Args:
        values: tensor ``(batch, *spatial, channels)``.
        window: odd number of voxels per axis.

    Returns:
        Tensor of the shape of ``values``.
    """
    return box_sum(_shared_among(values, window), window)


def _shared_among(values: Any, window: Sequence[int]) -> Any:
    """Divides by how many voxels of the image the window has."""
    for axis, length in enumerate(window):
        size = ops.shape(values)[1 + axis]
        at = axis_coordinates(size, axis, len(window), "int32")
        last = ops.minimum(at + length // 2, size - 1)
        count = last - ops.maximum(at - length // 2, 0) + 1
        values = values / ops.expand_dims(ops.cast(count, values.dtype), (0, -1))
    return values


def _sum_along_rows(rows: Any, size: Any, length: int) -> Any:
    half = length // 2
    partial = ops.pad(rows, [(0, 0), (half, half), (0, 0)])  # at i: the sum of `width` from i on
    available = size + 2 * half
    total, covered, width = None, 0, 1
    while True:
        if length & width:  # the window is put together from one partial sum per binary digit
            piece = partial[:, covered : covered + size]
            total = piece if total is None else total + piece
            covered += width
        if covered == length:
            return total
        available = available - width
        partial = partial[:, :available] + partial[:, width : width + available]
        width *= 2
