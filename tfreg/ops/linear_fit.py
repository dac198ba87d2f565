"""Linear transforms from pairs of points: weighted least squares in closed form."""

from typing import Any

import numpy as np
from keras import ops

from tfreg.ops.linear import inverse, multiply
from tfreg.ops.precision import same_dtype

FIT_KINDS = ("translation", "rigid", "similarity", "affine")


def fit_linear(
    fixed_points: Any, moving_points: Any, kind: str = "affine", weights: Any | None = None
) -> Any:
    """The transform that minimises ``sum_i w_i |A x_i + b - y_i|^2``.

    Affine by the normal equations, rigid and similarity by the singular value decomposition of the
    covariance (Procrustes; Umeyama's scale). These two never mirror: where the best orthogonal
    matrix is a reflection, the best rotation is returned.

    Args:
        fixed_points: tensor ``(batch, n, ndim)``: ``x`` in voxels, array-axis order, 2-D or 3-D. An
            affine fit needs ``ndim + 1`` points, a rigid or similarity fit ``ndim``, a translation
            one; they must not lie on one line (3-D affine: in one plane), or the result is not
            finite or not unique.
        moving_points: tensor ``(batch, n, ndim)``: the matching ``y`` in voxels.
        kind: ``"translation"``, ``"rigid"``, ``"similarity"`` or ``"affine"``.
        weights: tensor ``(batch, n)``, at least 0, with a positive sum. None: all 1.

    Returns:
        Tensor ``(batch, ndim, ndim + 1)``: the matrix, fixed to moving voxels.

    Raises:
        ValueError: on an unknown kind, too few points or shapes that do not match.

    Example:

    >>> from tfreg.ops.linear_fit import fit_linear
    >>> fixed = [[[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]]]
    >>> moving = [[[1.0, 2.0], [9.0, 2.0], [1.0, 10.0]]]
    >>> [[round(float(v), 3) + 0.0 for v in row] for row in fit_linear(fixed, moving)[0]]
    [[2.0, 0.0, 1.0], [0.0, 2.0, 2.0]]

    Reference:
        Umeyama, Least-squares estimation of transformation parameters between two point patterns,
        IEEE TPAMI 13(4), 1991.
    """
    fixed, moving = same_dtype(fixed_points, moving_points)
    _check(fixed, moving, kind)
    ndim = fixed.shape[-1]
    if weights is None:
        share = ops.ones_like(fixed[..., :1]) / fixed.shape[1]
    else:
        share, _ = same_dtype(weights, fixed)
        if tuple(share.shape[1:]) != (fixed.shape[1],):
            raise ValueError(
                f"weights must be (batch, {fixed.shape[1]}), one per point. "
                f"Received: weights.shape={tuple(share.shape)}"
            )
        share = ops.cast(share, fixed.dtype)[..., None]
        share = share / ops.sum(share, axis=1, keepdims=True)
    fixed_mean = ops.sum(share * fixed, axis=1, keepdims=True)
    moving_mean = ops.sum(share * moving, axis=1, keepdims=True)
    x, y = fixed - fixed_mean, moving - moving_mean

    if kind == "translation":
        eye = ops.convert_to_tensor(np.eye(ndim)[None], x.dtype)
        linear = eye + ops.zeros_like(x[:, :1, :1])
    elif kind == "affine":
        linear = multiply(_covariance(share, y, x), inverse(_covariance(share, x, x)))
    else:
        linear = _rotation(_covariance(share, y, x))
        if kind == "similarity":
            turned = ops.sum(linear[:, None] * x[:, :, None, :], axis=-1)
            scale = _mean(share * y * turned) / _mean(share * x * x)
            linear = scale * linear
    shift = moving_mean[:, 0] - ops.sum(linear * fixed_mean, axis=-1)
    return ops.concatenate([linear, shift[..., None]], axis=-1)


def _check(fixed: Any, moving: Any, kind: str) -> None:
    if kind not in FIT_KINDS:
        raise ValueError(f"kind must be one of {FIT_KINDS}. Received: kind={kind}")
    shapes = f"Received: fixed {tuple(fixed.shape)}, moving {tuple(moving.shape)}"
    if len(fixed.shape) != 3 or fixed.shape[-1] not in (2, 3):
        raise ValueError(f"Points must be (batch, n, ndim), 2-D or 3-D. {shapes}")
    if tuple(fixed.shape[1:]) != tuple(moving.shape[1:]) or fixed.shape[1] is None:
        raise ValueError(f"Both sets must have the same, known number of points. {shapes}")
    ndim = fixed.shape[-1]
    needed = {"translation": 1, "affine": ndim + 1}.get(kind, ndim)
    if fixed.shape[1] < needed:
        raise ValueError(f"A {ndim}-D {kind} fit needs {needed} points. {shapes}")


def _covariance(share: Any, a: Any, b: Any) -> Any:
    """``sum_i w_i a_i b_i^T``, ``(batch, ndim, ndim)``."""
    return ops.sum(share[..., None] * a[..., :, None] * b[..., None, :], axis=1)


def _mean(values: Any) -> Any:
    return ops.sum(values, axis=(1, 2), keepdims=True)


def _rotation(covariance: Any) -> Any:
    """The rotation ``R`` that maximises ``trace(R^T covariance)``."""
    u, _, vt = ops.svd(covariance, full_matrices=False)
    orthogonal = multiply(u, vt)
    # Where that mirrors, the axis of the smallest singular value turns round.
    mirrors = _determinant(orthogonal) < 0
    sign = ops.where(mirrors, -ops.ones_like(u[:, 0, 0]), ops.ones_like(u[:, 0, 0]))
    u = ops.concatenate([u[..., :-1], u[..., -1:] * sign[:, None, None]], axis=-1)
    return multiply(u, vt)


def _determinant(m: Any) -> Any:
    if m.shape[-1] == 2:
        return m[:, 0, 0] * m[:, 1, 1] - m[:, 0, 1] * m[:, 1, 0]
    return sum(
        m[:, 0, i]
        * (
            m[:, 1, (i + 1) % 3] * m[:, 2, (i + 2) % 3]
            - m[:, 1, (i + 2) % 3] * m[:, 2, (i + 1) % 3]
        )
        for i in range(3)
    )
