"""Bending energy of a B-spline, from its coefficients alone."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from tfreg.ops.bspline import basis_matrix, check_grid
from tfreg.ops.precision import at_least_float32
from tfreg.ops.separable import apply_per_axis


def bspline_bending_energy(
    control_points: Any,
    spacing: Sequence[int],
    boundary: str = "zero",
    order: int = 3,
    shape: Sequence[int] | None = None,
) -> Any:
    """``mean_x sum_i sum_ab (d^2 u_i / dx_a dx_b)^2`` of a B-spline displacement.

    The mean is over the voxels, the derivatives are exact, and no dense field is made: per pair of
    axes the energy is a quadratic form ``c^T (G_0 x G_1 x ...) c`` of the control points.

    Args:
        control_points: tensor ``(batch, *grid, ndim)`` of displacements in voxels.
        spacing: voxels between control points, a positive integer per axis.
        boundary, order, shape: as in :func:`tfreg.ops.bspline_displacement`; ``order`` 2 or 3.

    Returns:
        Tensor ``(batch,)`` in voxels^-2; 0 for an affine field inside the grid.

    Raises:
        ValueError: as :func:`tfreg.ops.bspline_displacement`, and on order 1, which has kinks.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> bump = np.zeros((1, 5, 5, 2), "float32")
    >>> bump[0, 2, 2] = 1.0
    >>> energy = [float(losses.bspline_bending_energy(k * bump, (4, 4))[0]) for k in (1, 2)]
    >>> round(energy[1] / energy[0], 4)
    4.0

    Reference:
        Rueckert et al., IEEE TMI 18(8), 1999.
    """
    control_points = at_least_float32(control_points)
    grid, spacing, shape = check_grid(control_points, spacing, boundary, order, shape)
    if order == 1:
        raise ValueError(f"A spline of order 1 has no second derivatives. Received: order={order}")
    ndim = len(grid)
    total = 0.0
    for a, b in itertools.combinations_with_replacement(range(ndim), 2):
        matrices = [
            _gram(size, count, step, boundary, order, (axis == a) + (axis == b))
            for axis, (size, count, step) in enumerate(zip(shape, grid, spacing, strict=True))
        ]
        products = control_points * apply_per_axis(control_points, matrices)
        once = ops.sum(products, axis=tuple(range(1, ndim + 2)))
        total = total + (once if a == b else 2 * once)  # the mixed derivative occurs twice
    return total


@functools.lru_cache(maxsize=256)
def _gram(size: int, count: int, spacing: int, boundary: str, order: int, times: int) -> np.ndarray:
    """``M^T M / size``: the mean over an axis of products of (derivatives of) basis functions."""
    matrix = basis_matrix(size, count, spacing, boundary, order, times)
    return matrix.T @ matrix / size
