"""The interpolation kernels: which voxels act on a position, with which weight and slope."""

from typing import Any

import numpy as np
from keras import ops

from tfreg.ops.bspline import prefilter_matrix
from tfreg.ops.separable import apply_per_axis

INTERPOLATIONS = ("nearest", "linear", "cubic", "catmull-rom")
TAPS = {"linear": 2, "cubic": 4, "catmull-rom": 4}

# Polynomials in the fraction f of the cell, one row per voxel around it: 1, f, f^2, f^3.
_POLYNOMIALS = {
    "linear": [[1, -1, 0, 0], [0, 1, 0, 0]],
    "cubic": np.array([[1, -3, 3, -1], [4, 0, -6, 3], [1, 3, 3, -3], [0, 0, 0, 1]]) / 6,
    "catmull-rom": np.array([[0, -1, 2, -1], [2, 0, -5, 3], [0, 1, 4, -3], [0, 0, -1, 1]]) / 2,
}


def weight(interpolation: str, voxel: Any, fraction: Any) -> Any:
    """Weight of one of the ``TAPS[interpolation]`` voxels around a position.

    Args:
        interpolation: ``"linear"``, ``"cubic"`` (B-spline, of coefficients) or ``"catmull-rom"``.
        voxel: which of them, 0 the lowest; a number, or an integer tensor in a compiled loop.
        fraction: tensor of positions within their cells, 0 to 1.

    Returns:
        Tensor of the shape of ``fraction``.
    """
    if interpolation == "linear":
        return fraction if voxel else 1 - fraction  # exact at both ends
    return _polynomial(_row(_POLYNOMIALS[interpolation], voxel, fraction), fraction)


def slope(interpolation: str, voxel: Any, fraction: Any) -> Any:
    """Derivative of :func:`weight` with respect to the fraction."""
    derivatives = np.asarray(_POLYNOMIALS[interpolation])[:, 1:] * [1, 2, 3]
    return _polynomial(_row(derivatives, voxel, fraction), fraction)


def _row(table: Any, voxel: Any, fraction: Any) -> list[Any]:
    if isinstance(voxel, int):
        return [float(c) for c in table[voxel]]
    row = ops.take(ops.convert_to_tensor(table, fraction.dtype), voxel, axis=0)
    return [row[k] for k in range(len(table[0]))]


def _polynomial(coefficients: list[Any], fraction: Any) -> Any:
    total = ops.zeros_like(fraction)
    for coefficient in reversed(coefficients):
        total = total * fraction + coefficient
    return total


def prepared(image: Any, interpolation: str) -> Any:
    """What the kernel is applied to: for a kernel of four voxels, with a margin around the image.

    ``"cubic"``: the B-spline coefficients, mirrored about the border voxels. ``"catmull-rom"``: the
    image, its border voxels repeated. The margin is one voxel below and two above: four voxels fit
    even along an axis of one.

    Args:
        image: tensor ``(batch, *spatial, channels)``.
        interpolation: ``"cubic"`` or ``"catmull-rom"``.

    Returns:
        Tensor ``(batch, *(spatial + 3), channels)``.

    Raises:
        ValueError: if the spatial shape is not known.
    """
    spatial = tuple(image.shape[1:-1])
    if None in spatial:
        raise ValueError(
            f'interpolation="{interpolation}" needs a known spatial shape. '
            f"Received: image.shape={tuple(image.shape)}"
        )
    if interpolation == "cubic":
        return apply_per_axis(image, [_with_margin(size) for size in spatial])
    for axis in range(1, len(spatial) + 1):
        index = [slice(None)] * len(image.shape)
        first, last = list(index), list(index)
        first[axis], last[axis] = slice(0, 1), slice(-1, None)
        first, last = image[tuple(first)], image[tuple(last)]
        image = ops.concatenate([first, image, last, last], axis=axis)
    return image


def _with_margin(size: int) -> np.ndarray:
    """The prefilter of one axis and the mirrored margin, as one matrix ``(size + 3, size)``."""
    last = max(size - 1, 1)
    index = np.abs(np.arange(-1, size + 2))
    index = np.minimum(last - np.abs(last - index % (2 * last)), size - 1)
    return prefilter_matrix(size, 3, "mirror")[index]
