"""B-splines of order 1 to 3: from a coarse grid of control points to a dense displacement.

``u(x) = sum_i c_i prod_a beta((x_a - p_i,a) / s_a)`` with the basis function ``beta`` (Rueckert et
al., 1999). The sum separates over the axes, so it is one small matrix product per axis, and so are
its derivatives and its inverse, the prefilter.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfreg.ops.precision import at_least_float32
from tfreg.ops.separable import apply_per_axis

BOUNDARIES = ("zero", "edge")
ORDERS = (1, 2, 3)


def basis(t: np.ndarray, order: int = 3, derivative: int = 0) -> np.ndarray:
    """The B-spline basis function ``beta_n(t)`` or a derivative, zero for ``|t| >= (n + 1) / 2``.

    Args:
        t: distances in units of the grid spacing.
        order: the order ``n``: 0 (a box) to 3 (cubic).
        derivative: 0 for the function itself, 1 or more for its derivatives. Where a derivative
            jumps, the value is that on the right.

    Returns:
        float64 array of the shape of ``t``.

    Example:

    >>> from tfreg.ops import bspline
    >>> [round(float(v), 4) for v in bspline.basis([0.0, 1.0, 2.0])]
    [0.6667, 0.1667, 0.0]
    >>> [float(v) for v in bspline.basis([0.0, 1.0], derivative=2)]
    [-2.0, 1.0]
    """
    t = np.asarray(t, dtype="float64")
    if derivative > order:
        return np.zeros_like(t)
    if derivative:
        lower = functools.partial(basis, order=order - 1, derivative=derivative - 1)
        return lower(t + 0.5) - lower(t - 0.5)
    if order == 0:
        return ((t >= -0.5) & (t < 0.5)).astype("float64")
    half = (order + 1) / 2
    rising, falling = (half + t) * basis(t + 0.5, order - 1), (half - t) * basis(t - 0.5, order - 1)
    return (rising + falling) / order


@functools.lru_cache(maxsize=512)
def basis_matrix(
    size: int,
    control_points: int,
    spacing: int,
    boundary: str,
    order: int = 3,
    derivative: int = 0,
) -> np.ndarray:
    """Weights that take the control points of one axis to its voxels.

    Control point ``i`` sits in the middle of the ``i``-th block of ``spacing`` voxels, at voxel
    ``i * spacing + (spacing - 1) / 2``.

    Args:
        size: number of voxels along the axis.
        control_points: number of control points along the axis.
        spacing: voxels between control points.
        boundary: ``"zero"`` or ``"edge"``, see :func:`bspline_displacement`.
        order: order of the spline.
        derivative: order of the derivative with respect to the voxel coordinate.

    Returns:
        float64 array ``(size, control_points)``, not to be written to.
    """
    first = (spacing - 1) / 2
    weights = _weights((np.arange(size) - first) / spacing, control_points, boundary, order)
    matrix = weights(derivative) / float(spacing) ** derivative
    matrix.setflags(write=False)
    return matrix


def _weights(positions: np.ndarray, control_points: int, boundary: str, order: int) -> Any:
    """Basis functions at positions in units of the spacing, as a function of the derivative."""
    # Control points beyond the grid that still act at the positions.
    reach = 2 + max(0, int(np.ceil(max(-positions.min(), positions.max() - control_points + 1))))
    index = np.arange(-reach, control_points + reach)
    if boundary == "mirror":  # about the outermost control points
        last = max(control_points - 1, 1)
        source = last - np.abs(last - np.abs(index) % (2 * last)) if control_points > 1 else index
    else:
        source = index
    source = np.clip(source, 0, control_points - 1)
    kept = (index == source) if boundary == "zero" else np.ones(len(index), bool)

    def matrix(derivative: int) -> np.ndarray:
        weights = basis(positions[:, None] - index[None, :], order, derivative)
        result = np.zeros((len(positions), control_points))
        for column in np.flatnonzero(kept):
            result[:, source[column]] += weights[:, column]
        return result

    return matrix


@functools.lru_cache(maxsize=64)
def prefilter_matrix(size: int, order: int, boundary: str) -> np.ndarray:
    """The inverse of the B-spline at its own control points, ``(size, size)``, float64."""
    matrix = np.linalg.inv(_weights(np.arange(size, dtype="float64"), size, boundary, order)(0))
    matrix.setflags(write=False)
    return matrix


def bspline_displacement(
    control_points: Any,
    spacing: Sequence[int],
    boundary: str = "zero",
    order: int = 3,
    shape: Sequence[int] | None = None,
) -> Any:
    """Dense displacement of a grid of B-spline control points.

    Args:
        control_points: tensor ``(batch, *grid, ndim)`` of displacements in voxels, array-axis
            order; 2-D or 3-D.
        spacing: voxels between control points, a positive integer per axis.
        boundary: ``"zero"``: coefficients outside the grid are zero, so the displacement is pulled
            towards zero at the image border (DIRNet, whose grid is the network's output and nothing
            more). ``"edge"``: the outermost coefficients are repeated, so weights sum to one
            everywhere and a constant grid is a translation.
        order: order of the spline: 1 (linear), 2 (quadratic) or 3 (cubic).
        shape: spatial shape of the result, at most ``grid * spacing``. None: ``grid * spacing``.

    Returns:
        Tensor ``(batch, *shape, ndim)`` in voxels.

    Raises:
        ValueError: on an unknown option, or a spacing or shape that does not fit the grid.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> control_points = np.ones((1, 7, 7, 2), "float32")
    >>> u = ops.bspline_displacement(control_points, (4, 4), boundary="edge")
    >>> tuple(u.shape), round(float(u[0, 0, 0, 0]), 5)
    ((1, 28, 28, 2), 1.0)

    Reference:
        Rueckert et al., Nonrigid registration using free-form deformations, IEEE TMI 18(8), 1999.
    """
    control_points = at_least_float32(control_points)
    ndim = len(control_points.shape) - 2
    grid, spacing, shape = check_grid(control_points, spacing, boundary, order, shape)
    return _evaluate(control_points, grid, spacing, shape, boundary, order, (0,) * ndim)


def bspline_derivative(
    control_points: Any,
    spacing: Sequence[int],
    derivative: Sequence[int],
    boundary: str = "zero",
    order: int = 3,
    shape: Sequence[int] | None = None,
) -> Any:
    """Analytic derivative of a B-spline displacement with respect to the voxel coordinates.

    ``d^k u / dx_0^k_0 dx_1^k_1 ...``, exact, no differences.

    Args:
        control_points: tensor ``(batch, *grid, ndim)`` in voxels, array-axis order.
        spacing: voxels between control points, a positive integer per axis.
        derivative: how often to differentiate along each axis, at most ``order`` times; where the
            spline has a kink (order 1) or a jump (twice at order 2), the value to its right.
        boundary, order, shape: as in :func:`bspline_displacement`.

    Returns:
        Tensor ``(batch, *shape, ndim)`` in voxels per voxel to the power of ``sum(derivative)``.

    Raises:
        ValueError: as :func:`bspline_displacement`, and on a derivative that does not fit.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> ramp = np.arange(7, dtype="float32").reshape(1, 7, 1, 1) * np.ones((1, 7, 7, 2), "float32")
    >>> slope = ops.bspline_derivative(ramp, (4, 4), (1, 0))
    >>> round(float(slope[0, 14, 14, 0]), 4)  # one voxel per four voxels
    0.25

    Reference:
        Unser, Splines: a perfect fit for signal and image processing, IEEE Signal Processing
        Magazine 16(6), 1999.
    """
    control_points = at_least_float32(control_points)
    grid, spacing, shape = check_grid(control_points, spacing, boundary, order, shape)
    derivative = tuple(derivative)
    if len(derivative) != len(grid) or any(
        not isinstance(d, (int, np.integer)) or not 0 <= d <= order for d in derivative
    ):
        raise ValueError(
            f"derivative must hold, per axis, a number from 0 to the order {order}. "
            f"Received: derivative={derivative}"
        )
    return _evaluate(control_points, grid, spacing, shape, boundary, order, derivative)


def bspline_coefficients(values: Any, order: int = 3, boundary: str = "mirror") -> Any:
    """The prefilter: coefficients of the B-spline that passes through ``values``.

    Args:
        values: tensor ``(batch, *spatial, channels)`` of known spatial shape, 2-D or 3-D: an image,
            or the displacements that control points shall have.
        order: order of the spline. Order 1 passes through its coefficients as it is.
        boundary: how coefficients continue outside: ``"mirror"`` about the outermost ones (the rule
            of SciPy's ``mode="mirror"``, for images), ``"zero"`` or ``"edge"`` (as in
            :func:`bspline_displacement`).

    Returns:
        Tensor of the shape of ``values``; float32, or float64 where ``values`` is.

    Raises:
        ValueError: on an unknown option or a shape that is not known.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> wanted = np.random.default_rng(0).normal(size=(1, 4, 5, 2)).astype("float32")
    >>> c = ops.bspline_coefficients(wanted, boundary="zero")
    >>> u = ops.bspline_displacement(c, (3, 3))  # control points in the middle of 3 x 3 blocks
    >>> bool(np.allclose(np.asarray(u)[:, 1::3, 1::3], wanted, atol=1e-5))
    True

    Reference:
        Unser, Aldroubi and Eden, B-spline signal processing, IEEE Transactions on Signal Processing
        41(2), 1993.
    """
    values = at_least_float32(values)
    boundaries = ("mirror", *BOUNDARIES)
    if boundary not in boundaries:
        raise ValueError(f"boundary must be one of {boundaries}. Received: boundary={boundary}")
    _check_order(order)
    spatial = tuple(values.shape[1:-1])
    if len(spatial) not in (2, 3) or None in spatial:
        raise ValueError(
            "values must be (batch, *spatial, channels), 2-D or 3-D, of known spatial shape. "
            f"Received: values.shape={tuple(values.shape)}"
        )
    if order == 1:
        return values
    return apply_per_axis(values, [prefilter_matrix(size, order, boundary) for size in spatial])


def refine_bspline(
    control_points: Any,
    spacing: Sequence[int],
    new_spacing: Sequence[int],
    new_grid: Sequence[int],
    boundary: str = "zero",
    order: int = 3,
) -> Any:
    """Control points of another grid, whose spline agrees with the old one at the new points.

    Args:
        control_points: tensor ``(batch, *grid, ndim)``.
        spacing: voxels between the control points, per axis.
        new_spacing: voxels between the new ones.
        new_grid: number of new control points per axis.
        boundary, order: as in :func:`bspline_displacement`.

    Returns:
        Tensor ``(batch, *new_grid, ndim)`` in the units of ``control_points``.

    Example:

    >>> import numpy as np
    >>> from tfreg.ops.bspline import refine_bspline
    >>> shift = np.ones((1, 3, 3, 2), "float32")
    >>> fine = refine_bspline(shift, (8, 8), (4, 4), (6, 6), "edge")
    >>> tuple(fine.shape), round(float(fine[0, 0, 0, 0]), 5)
    ((1, 6, 6, 2), 1.0)
    """
    control_points = at_least_float32(control_points)
    grid = tuple(control_points.shape[1:-1])
    matrices = []
    for count, old, new, size in zip(grid, spacing, new_spacing, new_grid, strict=True):
        where = np.arange(size) * new + (new - 1) / 2
        values = _weights((where - (old - 1) / 2) / old, count, boundary, order)(0)
        matrices.append(prefilter_matrix(size, order, boundary) @ values)
    return apply_per_axis(control_points, matrices)


def _evaluate(
    control_points: Any,
    grid: tuple[int, ...],
    spacing: tuple[int, ...],
    shape: tuple[int, ...],
    boundary: str,
    order: int,
    derivative: tuple[int, ...],
) -> Any:
    matrices = [
        basis_matrix(size, count, step, boundary, order, int(times))
        for size, count, step, times in zip(shape, grid, spacing, derivative, strict=True)
    ]
    return apply_per_axis(control_points, matrices)


def _check_order(order: int) -> None:
    if order not in ORDERS:
        raise ValueError(f"order must be one of {ORDERS}. Received: order={order}")


def check_grid(
    control_points: Any,
    spacing: Sequence[int],
    boundary: str,
    order: int,
    shape: Sequence[int] | None,
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Grid, spacing and dense shape as tuples, or an error that names what does not fit."""
    ndim = len(control_points.shape) - 2
    spacing = tuple(spacing)
    if boundary not in BOUNDARIES:
        raise ValueError(f"boundary must be one of {BOUNDARIES}. Received: boundary={boundary}")
    _check_order(order)
    if ndim not in (2, 3) or len(spacing) != ndim or control_points.shape[-1] != ndim:
        raise ValueError(
            "control_points must be (batch, *grid, ndim) with one spacing per axis, 2-D or 3-D. "
            f"Received: control_points.shape={tuple(control_points.shape)}, spacing={spacing}"
        )
    if any(not isinstance(s, (int, np.integer)) or s < 1 for s in spacing):
        raise ValueError(f"spacing must be positive integers. Received: spacing={spacing}")
    grid = tuple(control_points.shape[1:-1])
    if None in grid:
        raise ValueError(
            f"The grid of control points must have a known size. Received: grid={grid}"
        )
    full = tuple(n * s for n, s in zip(grid, spacing, strict=True))
    if shape is None:
        return grid, spacing, full
    shape = tuple(shape)
    if len(shape) != ndim or any(not 0 < n <= most for n, most in zip(shape, full, strict=True)):
        raise ValueError(
            f"shape must be at most grid * spacing = {full} per axis. Received: shape={shape}"
        )
    return grid, spacing, shape
