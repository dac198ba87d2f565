"""The coarse vector map: one vector per control cell, interpolated to every pixel.

Control point ``i`` of an axis is in the middle of the ``i``-th block of ``spacing`` pixels. All
four interpolations are linear in the vectors; beyond the outermost control points these go on.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.ops.bspline import refine_bspline
from tfreg.ops.separable import apply_per_axis
from tfreg.ops.tps_layout import tps_matrix

INTERPOLATIONS = ("bilinear", "bicubic", "thin-plate", "bspline")
_ORDERS = {"bilinear": 1, "bspline": 3}


def grid_of(shape: Sequence[int], spacing: int) -> tuple[int, ...]:
    """Number of control points per axis."""
    return tuple(-(-n // spacing) for n in shape)


def dense(vectors: Any, shape: Sequence[int], spacing: int, interpolation: str) -> Any:
    """The displacement of every pixel.

    Args:
        vectors: tensor ``(batch, *grid_of(shape, spacing), 2)`` in px.
        shape: height and width.
        spacing: px between control points.
        interpolation: of ``INTERPOLATIONS``; ``"bspline"`` approximates the vectors, the others
            pass through them.

    Returns:
        Tensor ``(batch, *shape, 2)`` in px.
    """
    if interpolation in _ORDERS:
        steps, order = (spacing,) * len(shape), _ORDERS[interpolation]
        return ops.bspline_displacement(vectors, steps, "edge", order, shape)
    if interpolation == "bicubic":
        sizes = zip(shape, grid_of(shape, spacing), strict=True)
        at = [_bicubic(_in_cells(np.arange(n), spacing), count) for n, count in sizes]
        return apply_per_axis(vectors, at)
    return ops.tps_layout_displacement(vectors, _points(shape, spacing), shape)


def finer(
    vectors: Any, shape: Sequence[int], spacing: int, new_spacing: int, interpolation: str
) -> Any:
    """The vectors of a finer map that agrees with a coarse one at the new control points.

    Args:
        vectors, shape, spacing, interpolation: as :func:`dense` takes them.
        new_spacing: px between the new control points.

    Returns:
        Tensor ``(batch, *grid_of(shape, new_spacing), 2)`` in px.
    """
    counts = grid_of(shape, new_spacing)
    if interpolation in _ORDERS:
        steps = ((s,) * len(shape) for s in (spacing, new_spacing))
        return refine_bspline(vectors, *steps, counts, "edge", _ORDERS[interpolation])
    if interpolation == "bicubic":
        places = [_places(count, new_spacing) for count in counts]
        sizes = zip(places, grid_of(shape, spacing), strict=True)
        return apply_per_axis(vectors, [_bicubic(_in_cells(p, spacing), n) for p, n in sizes])
    old, new = (_points(shape, s).reshape(-1, len(shape)) for s in (spacing, new_spacing))
    batch, components = vectors.shape[0], vectors.shape[-1]
    flat = keras_ops.reshape(vectors, (batch, len(old), components))
    found = apply_per_axis(flat, [tps_matrix(old, new)])
    return keras_ops.reshape(found, (batch, *counts, components))


def _places(count: int, spacing: int) -> np.ndarray:
    """Where the control points of an axis are, px."""
    return np.arange(count) * spacing + (spacing - 1) / 2


def _in_cells(places: np.ndarray, spacing: int) -> np.ndarray:
    """Pixels in units of the control points' distance, the first at 0."""
    return (places - (spacing - 1) / 2) / spacing


def _points(shape: Sequence[int], spacing: int) -> np.ndarray:
    axes = [_places(count, spacing) for count in grid_of(shape, spacing)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def _bicubic(positions: np.ndarray, count: int) -> np.ndarray:
    """Weights ``(positions, count)`` of Keys' cubic convolution, the outermost points repeated.

    Reference:
        Keys, Cubic convolution interpolation for digital image processing, IEEE TASSP 29(6), 1981.
    """
    first = np.floor(positions).astype(int) - 1
    matrix = np.zeros((len(positions), count))
    for tap in range(4):
        index = first + tap
        t = np.abs(positions - index)
        near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
        weights = np.where(t < 1, near, np.where(t < 2, far, 0.0))
        np.add.at(matrix, (np.arange(len(positions)), np.clip(index, 0, count - 1)), weights)
    return matrix
