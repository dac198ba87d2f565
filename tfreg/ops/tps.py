"""Thin-plate splines through arbitrary control points: solved once, evaluated anywhere.

``f(x) = a0 + A x + sum_i w_i phi(|x - p_i|)``, ``phi(r) = r^2 log r`` in 2-D and ``-r`` in 3-D,
with ``sum_i w_i = 0`` and ``sum_i w_i p_i = 0``: the function of least bending through the values
``f(p_i)``. All affine maps are reproduced. Distances are measured in units of the control points'
spread, which leaves ``f`` as it is and keeps float32 accurate.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfreg.ops.grid import axis_coordinates
from tfreg.ops.linear import check_shape
from tfreg.ops.precision import same_dtype


def tps_displacement(
    fixed_points: Any, moving_points: Any, shape: Sequence[int], regularisation: float = 0.0
) -> Any:
    """Dense displacement that takes landmarks to landmarks: ``p_i + u(p_i) = q_i``.

    Memory grows as voxels times points. In float32 the error is about 1e-6 of the largest kernel
    weight: 1e-4 voxel where neighbours a voxel apart move by two voxels. Where the fixed points are
    the same in every call, :func:`tfreg.ops.tps_layout_displacement` is faster.

    Args:
        fixed_points: tensor ``(batch, n, ndim)``: ``p`` in voxels, array-axis order, 2-D or 3-D;
            at least ``ndim + 1`` points, not all on one line (plane), no two the same.
        moving_points: tensor ``(batch, n, ndim)``: ``q`` in voxels.
        shape: spatial shape of the fixed grid.
        regularisation: as in :func:`tps_coefficients`.

    Returns:
        Tensor ``(batch, *shape, ndim)`` in voxels, array-axis order.

    Raises:
        ValueError: on shapes that do not fit, or a negative regularisation.

    Example:

    >>> import numpy as np
    >>> from tfreg.ops.tps import tps_displacement
    >>> fixed = np.array([[[0, 0], [0, 8], [6, 0], [6, 8], [3, 4]]], "float32")
    >>> moving = fixed.copy()
    >>> moving[0, 4] += (1, 0)  # only the middle moves, by one voxel along axis 0
    >>> u = tps_displacement(fixed, moving, (7, 9))
    >>> tuple(u.shape), round(float(u[0, 3, 4, 0]), 4)
    ((1, 7, 9, 2), 1.0)

    Reference:
        Bookstein, Principal warps: thin-plate splines and the decomposition of deformations, IEEE
        TPAMI 11(6), 1989.
    """
    fixed, moving = same_dtype(fixed_points, moving_points)
    _check(fixed, moving)
    ndim = fixed.shape[-1]
    shape = check_shape(shape, ndim)
    coefficients = tps_coefficients(fixed, moving - fixed, regularisation)
    dtype = keras.backend.standardize_dtype(fixed.dtype)
    axes = [axis_coordinates(size, a, ndim, dtype) for a, size in enumerate(shape)]
    return _evaluate(coefficients, fixed, [axis[None] for axis in axes])


def tps_coefficients(control_points: Any, values: Any, regularisation: float = 0.0) -> Any:
    """Solves for the spline through ``values`` at ``control_points``.

    Args:
        control_points: tensor ``(batch, n, ndim)`` in voxels, 2-D or 3-D; at least ``ndim + 1``
            points, not all on one line (3-D: plane), no two the same.
        values: tensor ``(batch, n, channels)``, in any unit.
        regularisation: ``s >= 0``. At 0 the spline passes through the values. Above, it minimises
            ``sum_i |f(p_i) - v_i|^2 + s / (8 pi) B(f)``, ``B`` the integral of all squared second
            derivatives; the number is that of ``smoothing`` in SciPy's ``RBFInterpolator``.

    Returns:
        Tensor ``(batch, n + ndim + 1, channels)`` for :func:`tps_evaluate`: kernel weights, offset
        and slopes, in the units of the control points' spread.

    Raises:
        ValueError: on shapes that do not fit, or a negative regularisation.

    Example:

    >>> from tfreg.ops.tps import tps_coefficients, tps_evaluate
    >>> points = [[[0.0, 0.0], [0.0, 4.0], [4.0, 0.0], [4.0, 4.0]]]
    >>> coefficients = tps_coefficients(points, [[[0.0], [4.0], [4.0], [8.0]]])  # x0 + x1
    >>> round(float(tps_evaluate(coefficients, points, [[[1.0, 2.0]]])[0, 0, 0]), 4)
    3.0

    Reference:
        Wahba, Spline models for observational data, SIAM, 1990.
    """
    points, values = same_dtype(control_points, values)
    _check(points, values)
    regularisation = check_regularisation(regularisation)
    count, ndim = points.shape[1:]
    centre, spread = _frame(points)
    points = (points - centre) / spread
    squared = sum((points[:, :, None, a] - points[:, None, :, a]) ** 2 for a in range(ndim))
    # The kernel scales as spread^2 in 2-D (the logarithm adds but a part of A x), spread in 3-D.
    penalty = regularisation / (spread**2 if ndim == 2 else spread)
    diagonal = ops.convert_to_tensor(np.eye(count)[None], points.dtype)
    square = kernel(squared, ndim) + penalty * diagonal
    affine = ops.concatenate([ops.ones_like(points[..., :1]), points], axis=-1)
    zeros = ops.zeros_like(affine[:, : ndim + 1])
    above = ops.concatenate([square, affine], axis=-1)
    below = ops.concatenate([ops.transpose(affine, (0, 2, 1)), zeros], axis=-1)
    right = ops.concatenate([values, ops.zeros_like(values[:, : ndim + 1])], axis=1)
    return ops.solve(ops.concatenate([above, below], axis=1), right)


def tps_evaluate(coefficients: Any, control_points: Any, points: Any) -> Any:
    """Values of a solved spline: ``f(x) = a0 + A x + sum_i w_i phi(|x - p_i|)``.

    Args:
        coefficients: tensor ``(batch, n + ndim + 1, channels)`` of :func:`tps_coefficients`.
        control_points: the tensor ``(batch, n, ndim)`` it was solved for, in voxels.
        points: tensor ``(batch, *any, ndim)`` in voxels, array-axis order.

    Returns:
        Tensor ``(batch, *any, channels)``, in the unit of the values.

    Raises:
        ValueError: on shapes that do not fit.

    Example:

    >>> from tfreg.ops.tps import tps_coefficients, tps_evaluate
    >>> control = [[[0.0, 0.0], [0.0, 4.0], [4.0, 0.0], [5.0, 5.0]]]
    >>> coefficients = tps_coefficients(control, [[[1.0], [0.0], [0.0], [2.0]]])
    >>> round(float(tps_evaluate(coefficients, control, [[[5.0, 5.0]]])[0, 0, 0]), 4)
    2.0
    """
    coefficients, control, points = same_dtype(coefficients, control_points, points)
    if len(control.shape) != 3 or len(coefficients.shape) != 3:
        raise ValueError(
            "coefficients and control_points must be (batch, n, ...). Received: "
            f"shapes {tuple(coefficients.shape)}, {tuple(control.shape)}"
        )
    count, ndim = control.shape[1:]
    if coefficients.shape[1] != count + ndim + 1 or points.shape[-1] != ndim:
        raise ValueError(
            "coefficients, control_points and points must belong together. Received: "
            f"shapes {tuple(coefficients.shape)}, {tuple(control.shape)}, {tuple(points.shape)}"
        )
    return _evaluate(coefficients, control, [points[..., a] for a in range(ndim)])


def kernel(squared: Any, ndim: int) -> Any:
    """``phi`` of squared distances: ``r^2 log r`` in 2-D, ``-r`` in 3-D; its gradient at 0 is 0."""
    positive = squared > 0
    safe = ops.where(positive, squared, ops.ones_like(squared))
    if ndim == 2:
        return 0.5 * squared * ops.log(safe)
    return ops.where(positive, -ops.sqrt(safe), ops.zeros_like(squared))


def check_regularisation(regularisation: float) -> float:
    """A regularisation as a float, refused where negative."""
    if not float(regularisation) >= 0:
        raise ValueError(
            f"regularisation must not be negative. Received: regularisation={regularisation}"
        )
    return float(regularisation)


def _frame(points: Any) -> tuple[Any, Any]:
    """Mean ``(batch, 1, ndim)`` and root mean square spread ``(batch, 1, 1)`` of points."""
    centre = ops.mean(points, axis=1, keepdims=True)
    variance = ops.mean(ops.sum((points - centre) ** 2, axis=-1), axis=1)
    return centre, ops.sqrt(variance)[:, None, None]


def _evaluate(coefficients: Any, control: Any, axes: list[Any]) -> Any:
    """The spline at positions given per axis, as tensors that broadcast against each other.

    Sums instead of matrix products: kernel weights cancel, and a GPU may round products coarsely.
    """
    count, ndim = control.shape[1:]
    rank = len(axes[0].shape)
    centre, spread = _frame(control)
    control = (control - centre) / spread

    def spatial(values: Any) -> Any:  # (batch, k) -> (batch, 1, ..., 1, k)
        return ops.reshape(values, [-1] + [1] * (rank - 1) + [values.shape[-1]])

    axes = [
        (axis[..., None] - spatial(centre[:, :, a])) / spatial(spread[:, :, 0])
        for a, axis in enumerate(axes)
    ]
    squared = sum((axis - spatial(control[:, :, a])) ** 2 for a, axis in enumerate(axes))
    phi = kernel(squared, ndim)
    parts = []
    for channel in range(coefficients.shape[-1]):
        c = coefficients[..., channel]
        value = spatial(c[:, count : count + 1])
        for a, axis in enumerate(axes):
            value = value + axis * spatial(c[:, count + 1 + a : count + 2 + a])
        bent = ops.sum(phi * spatial(c[:, :count]), axis=-1, keepdims=True)
        parts.append(value + bent)
    return ops.concatenate(parts, axis=-1)


def _check(points: Any, values: Any) -> None:
    shapes = f"Received: points {tuple(points.shape)}, values {tuple(values.shape)}"
    if len(points.shape) != 3 or points.shape[-1] not in (2, 3) or points.shape[1] is None:
        raise ValueError(f"Control points must be (batch, n, ndim), 2-D or 3-D. {shapes}")
    if len(values.shape) != 3 or values.shape[1] != points.shape[1]:
        raise ValueError(f"There must be one value per control point. {shapes}")
    if points.shape[1] < points.shape[-1] + 1:
        raise ValueError(f"A spline needs ndim + 1 control points. {shapes}")
