"""The normalised coordinates of spatial transformer networks, and their exact way to voxels.

``-1`` is the centre of the first voxel and ``+1`` that of the last: ``n = x / h - 1``, with
``h = (size - 1) / 2``. Normalised coordinates are in the order of the paper, ``(x, y)`` or
``(x, y, z)``: the last array axis first. Everything else in tfreg is in array-axis order. The paper
says only "normalised to [-1, 1]"; voxel centres at the ends make the identity exact.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from tfreg.ops.linear import check_shape, dimensions, homogeneous, multiply
from tfreg.ops.precision import at_least_float32

STN_KINDS = ("attention", "affine", "projective")


def points_from_normalised(points: Any, shape: Sequence[int]) -> Any:
    """Voxel coordinates of normalised ones: ``x_a = h_a (n_a + 1)``.

    Args:
        points: tensor ``(..., ndim)`` of normalised coordinates, last array axis first.
        shape: spatial shape of the image they lie in.

    Returns:
        Tensor ``(..., ndim)`` in voxels, array-axis order.

    Raises:
        ValueError: if ``shape`` does not fit ``points``, or has an axis of one voxel.

    Example:

    >>> from tfreg.ops.normalised import points_from_normalised
    >>> [float(v) for v in points_from_normalised([1.0, -1.0], (3, 5))]  # x = right, y = top
    [0.0, 4.0]
    """
    points = at_least_float32(points)
    half = _half(shape, points.shape[-1])
    return (ops.flip(points, axis=-1) + 1.0) * ops.convert_to_tensor(half, points.dtype)


def points_to_normalised(points: Any, shape: Sequence[int]) -> Any:
    """Normalised coordinates of voxel ones: ``n_a = x_a / h_a - 1``.

    Args:
        points: tensor ``(..., ndim)`` in voxels, array-axis order.
        shape: spatial shape of the image they lie in.

    Returns:
        Tensor ``(..., ndim)`` of normalised coordinates, last array axis first.

    Raises:
        ValueError: if ``shape`` does not fit ``points``, or has an axis of one voxel.

    Example:

    >>> from tfreg.ops.normalised import points_to_normalised
    >>> [float(v) for v in points_to_normalised([0.0, 4.0], (3, 5))]
    [1.0, -1.0]
    """
    points = at_least_float32(points)
    half = _half(shape, points.shape[-1])
    return ops.flip(points / ops.convert_to_tensor(half, points.dtype) - 1.0, axis=-1)


def matrix_from_normalised(
    theta: Any, shape: Sequence[int], moving_shape: Sequence[int] | None = None
) -> Any:
    """Voxel matrix of an STN's ``theta``: ``[x_s; y_s] = theta [x_t; y_t; 1]``.

    The identity ``theta`` is exactly the identity matrix where both grids have the same shape; else
    it stretches one over the other.

    Args:
        theta: tensor ``(batch, ndim, ndim + 1)``, projective ``(batch, 3, 3)``; rows and columns
            with the last array axis first, as in the paper.
        shape: spatial shape of the fixed (the paper's target, or output) grid.
        moving_shape: spatial shape of the moving (source, or input) image. None: ``shape``.

    Returns:
        Tensor of the shape of ``theta``: fixed voxels to moving voxels, array-axis order.

    Raises:
        ValueError: if a shape does not fit ``theta``, or has an axis of one voxel.

    Example:

    >>> from tfreg.ops.normalised import matrix_from_normalised
    >>> right_half = [[[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]]
    >>> [[float(v) for v in row] for row in matrix_from_normalised(right_half, (3, 5))[0]]
    [[1.0, 0.0, 0.0], [0.0, 0.5, 2.0]]

    Reference:
        Jaderberg et al., Spatial transformer networks, NIPS 2015.
    """
    theta = at_least_float32(theta)
    ndim = dimensions(theta)
    ratio = _ratio(shape, moving_shape, ndim)
    shift = np.eye(ndim + 1)
    shift[:ndim, ndim] = 1  # from -1..1 to 0..2
    result = _between(_reverse(homogeneous(theta), ndim), shift)
    result = result * ops.convert_to_tensor(ratio, theta.dtype)
    return result[:, : theta.shape[-2]]


def matrix_to_normalised(
    matrix: Any, shape: Sequence[int], moving_shape: Sequence[int] | None = None
) -> Any:
    """An STN's ``theta`` of a voxel matrix: the inverse of :func:`matrix_from_normalised`.

    Args:
        matrix: tensor ``(batch, ndim, ndim + 1)``, projective ``(batch, 3, 3)``, array-axis order.
        shape: spatial shape of the fixed grid.
        moving_shape: spatial shape of the moving image. None: ``shape``.

    Returns:
        Tensor of the shape of ``matrix``; rows and columns with the last array axis first.

    Raises:
        ValueError: if a shape does not fit ``matrix``, or has an axis of one voxel.

    Example:

    >>> from tfreg.ops.normalised import matrix_to_normalised
    >>> right_half = [[[1.0, 0.0, 0.0], [0.0, 0.5, 2.0]]]
    >>> [[float(v) for v in row] for row in matrix_to_normalised(right_half, (3, 5))[0]]
    [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]
    """
    matrix = at_least_float32(matrix)
    ndim = dimensions(matrix)
    ratio = _ratio(shape, moving_shape, ndim)
    shift = np.eye(ndim + 1)
    shift[:ndim, ndim] = -1
    result = homogeneous(matrix) / ops.convert_to_tensor(ratio, matrix.dtype)
    result = _reverse(_between(result, shift), ndim)
    return result[:, : matrix.shape[-2]]


def stn_theta(parameters: Any, kind: str, ndim: int) -> Any:
    """The paper's ``theta`` of the numbers a localisation network puts out.

    Affine: the matrix, row by row. Attention: ``(s, t_x, t_y)`` gives ``[s 0 t_x; 0 s t_y]``.
    Projective: the first eight entries of a 3 by 3 matrix whose last is 1.

    Args:
        parameters: tensor ``(batch, n)``: n = 1 + ndim for attention, ndim (ndim + 1) for affine, 8
            for projective.
        kind: ``"attention"``, ``"affine"`` or ``"projective"`` (2-D).
        ndim: 2 or 3.

    Returns:
        Tensor ``(batch, ndim, ndim + 1)``, projective ``(batch, 3, 3)``, normalised.

    Raises:
        ValueError: on an unknown kind or a number of parameters that does not fit.

    Example:

    >>> from tfreg.ops.normalised import stn_theta
    >>> [[float(v) for v in row] for row in stn_theta([[0.5, 0.1, 0.2]], "attention", 2)[0]][1]
    [0.0, 0.5, 0.20000000298023224]

    Reference:
        Jaderberg et al., Spatial transformer networks, NIPS 2015.
    """
    identity = stn_identity(kind, ndim)
    parameters = at_least_float32(parameters)
    if len(parameters.shape) != 2 or parameters.shape[1] != len(identity):
        raise ValueError(
            f"A {ndim}-D {kind} transform of an STN has parameters (batch, {len(identity)}). "
            f"Received: parameters.shape={tuple(parameters.shape)}"
        )
    if kind == "affine":
        return ops.reshape(parameters, (-1, ndim, ndim + 1))
    if kind == "projective":
        last = ops.ones_like(parameters[:, :1])
        return ops.reshape(ops.concatenate([parameters, last], axis=-1), (-1, 3, 3))
    scale = parameters[:, :1, None] * ops.convert_to_tensor(np.eye(ndim), parameters.dtype)
    return ops.concatenate([scale, parameters[:, 1:, None]], axis=-1)


def stn_identity(kind: str, ndim: int) -> np.ndarray:
    """The parameters of the identity: the initial bias of a localisation network.

    Args:
        kind: ``"attention"``, ``"affine"`` or ``"projective"`` (2-D).
        ndim: 2 or 3.

    Returns:
        float32 array ``(n,)`` for :func:`stn_theta`.

    Raises:
        ValueError: on an unknown kind or dimension.

    Example:

    >>> from tfreg.ops.normalised import stn_identity
    >>> stn_identity("affine", 2).tolist()
    [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """
    if kind not in STN_KINDS:
        raise ValueError(f"kind must be one of {STN_KINDS}. Received: kind={kind}")
    if ndim not in ((2,) if kind == "projective" else (2, 3)):
        raise ValueError(
            f"A transform is 2-D or 3-D, a projective one 2-D. Received: ndim={ndim}, kind={kind}"
        )
    if kind == "attention":
        return np.eye(1, 1 + ndim, dtype="float32")[0]
    if kind == "projective":
        return np.eye(3, dtype="float32").ravel()[:8]
    return np.eye(ndim, ndim + 1, dtype="float32").ravel()


def _half(shape: Sequence[int], ndim: int) -> np.ndarray:
    shape = check_shape(shape, ndim)
    if 1 in shape:
        raise ValueError(
            f"Normalised coordinates need at least 2 voxels per axis. Received: shape={shape}"
        )
    return (np.asarray(shape, dtype="float64") - 1) / 2


def _ratio(shape: Sequence[int], moving_shape: Sequence[int] | None, ndim: int) -> np.ndarray:
    """Half the moving size over half the fixed size, per entry of a homogeneous matrix."""
    fixed = np.append(_half(shape, ndim), 1)
    moving = fixed if moving_shape is None else np.append(_half(moving_shape, ndim), 1)
    return moving[:, None] / fixed[None, :]


def _between(matrix: Any, shift: np.ndarray) -> Any:
    """``shift matrix shift^-1``, in small integers, so that the identity stays exact."""
    left = ops.convert_to_tensor(shift, matrix.dtype)
    right = ops.convert_to_tensor(2 * np.eye(len(shift)) - shift, matrix.dtype)
    return multiply(multiply(left, matrix), right)


def _reverse(matrix: Any, ndim: int) -> Any:
    order = np.array([*reversed(range(ndim)), ndim])
    return ops.take(ops.take(matrix, order, axis=-2), order, axis=-1)
