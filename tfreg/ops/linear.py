"""Linear transforms as matrices: ``y = A x + b``, fixed voxel coordinates to moving ones.

A matrix is ``[A | b]`` of shape ``(batch, ndim, ndim + 1)``, or ``(batch, 3, 3)`` for a projective
transform in 2-D. Products of these small matrices are written as sums: a GPU may run ``matmul`` in
reduced precision, which at voxel 300 is an error of a tenth of a voxel.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfreg.ops.grid import axis_coordinates
from tfreg.ops.precision import at_least_float32, same_dtype


def linear_displacement(matrix: Any, shape: Sequence[int]) -> Any:
    """Dense displacement of a linear transform: ``u(x) = (A - I) x + b``.

    For a projective matrix ``H``, ``u(x) = (H x)[:2] / (H x)[2] - x``; its denominator must be
    positive on the whole grid, else the result is not finite or folds. An identity matrix gives a
    displacement of exact zeros.

    Args:
        matrix: tensor ``(batch, ndim, ndim + 1)``, or ``(batch, 3, 3)`` for a projective transform;
            maps fixed to moving voxel coordinates, array-axis order.
        shape: spatial shape of the fixed grid, one positive integer per axis.

    Returns:
        Tensor ``(batch, *shape, ndim)`` in voxels, array-axis order; float32, or float64 where
        ``matrix`` is.

    Raises:
        ValueError: if ``matrix`` is not of a supported shape or ``shape`` does not fit it.

    Example:

    >>> from tfreg.ops.linear import linear_displacement
    >>> zoom = [[[1.5, 0.0, 0.0], [0.0, 1.0, -2.0]]]  # y0 = 1.5 x0, y1 = x1 - 2
    >>> u = linear_displacement(zoom, (4, 5))
    >>> tuple(u.shape), [float(v) for v in u[0, 2, 3]]
    ((1, 4, 5, 2), [1.0, -2.0])
    """
    matrix = at_least_float32(matrix)
    ndim = dimensions(matrix)
    shape = check_shape(shape, ndim)
    axes = [
        axis_coordinates(size, axis, ndim, keras.backend.standardize_dtype(matrix.dtype))[..., None]
        for axis, size in enumerate(shape)
    ]
    return _displacement(matrix, axes, ndim)


def apply_linear(matrix: Any, points: Any) -> Any:
    """Positions of points after a linear transform: ``y = A x + b``.

    Args:
        matrix: tensor ``(batch, ndim, ndim + 1)`` or ``(batch, 3, 3)``.
        points: tensor ``(batch, *any, ndim)`` in voxels, array-axis order.

    Returns:
        Tensor of the shape of ``points``, in voxels.

    Raises:
        ValueError: on shapes that do not fit each other.

    Example:

    >>> from tfreg.ops.linear import apply_linear
    >>> shift = [[[1.0, 0.0, 3.0], [0.0, 1.0, -1.0]]]
    >>> [float(v) for v in apply_linear(shift, [[[5.0, 7.0]]])[0, 0]]
    [8.0, 6.0]
    """
    matrix, points = same_dtype(matrix, points)
    ndim = dimensions(matrix)
    rank = len(points.shape)
    if rank < 2 or points.shape[-1] != ndim:
        raise ValueError(
            f"points for this matrix must be (batch, *any, {ndim}). "
            f"Received: points.shape={tuple(points.shape)}, matrix.shape={tuple(matrix.shape)}"
        )
    matrix = ops.reshape(matrix, [-1] + [1] * (rank - 2) + list(matrix.shape[1:]))
    image = _affine_part(matrix, [points[..., a, None] for a in range(ndim)], ndim)
    if matrix.shape[-2] == ndim:
        return image
    return image[..., :ndim] / image[..., ndim:]


def compose_linear(outer: Any, inner: Any) -> Any:
    """The transform that applies ``inner`` first: ``x -> outer(inner(x))``.

    Args:
        outer, inner: tensors ``(batch, ndim, ndim + 1)`` or ``(batch, 3, 3)``; a batch of one is
            broadcast.

    Returns:
        Tensor ``(batch, ndim, ndim + 1)``, or ``(batch, 3, 3)`` if either is projective.

    Raises:
        ValueError: on matrices of different dimension.

    Example:

    >>> from tfreg.ops.linear import compose_linear
    >>> double = [[[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]]
    >>> shift = [[[1.0, 0.0, 3.0], [0.0, 1.0, 0.0]]]
    >>> [float(v) for v in compose_linear(double, shift)[0, 0]]
    [2.0, 0.0, 6.0]
    """
    outer, inner = same_dtype(outer, inner)
    ndim = dimensions(outer)
    if dimensions(inner) != ndim:
        raise ValueError(
            "Only transforms of the same dimension compose. "
            f"Received: outer.shape={tuple(outer.shape)}, inner.shape={tuple(inner.shape)}"
        )
    projective = ndim + 1 in (outer.shape[-2], inner.shape[-2])
    result = multiply(homogeneous(outer), homogeneous(inner))
    return result if projective else result[:, :ndim]


def invert_linear(matrix: Any) -> Any:
    """The inverse transform: ``x = A^-1 (y - b)``.

    Args:
        matrix: tensor ``(batch, ndim, ndim + 1)`` or ``(batch, 3, 3)``.

    Returns:
        Tensor of the same shape; not finite where ``A`` is singular.

    Raises:
        ValueError: if ``matrix`` is not of a supported shape.

    Example:

    >>> from tfreg.ops.linear import invert_linear
    >>> double = [[[2.0, 0.0, 6.0], [0.0, 2.0, 0.0]]]
    >>> [float(v) + 0.0 for v in invert_linear(double)[0, 0]]
    [0.5, 0.0, -3.0]
    """
    matrix = at_least_float32(matrix)
    ndim = dimensions(matrix)
    if matrix.shape[-2] == ndim + 1:
        return inverse(matrix)
    linear = inverse(matrix[..., :ndim])
    return ops.concatenate([linear, -multiply(linear, matrix[..., ndim:])], axis=-1)


def dimensions(matrix: Any) -> int:
    """The dimension of the space a matrix acts on; ``(batch, 3, 3)`` is projective, hence 2."""
    shape = tuple(matrix.shape)
    if len(shape) != 3 or shape[1:] not in ((2, 3), (3, 4), (3, 3)):
        raise ValueError(
            "matrix must be (batch, 2, 3), (batch, 3, 4) or, projective, (batch, 3, 3). "
            f"Received: matrix.shape={shape}"
        )
    return shape[2] - 1


def check_shape(shape: Sequence[int], ndim: int | None = None) -> tuple[int, ...]:
    """A spatial shape as a tuple of positive integers, of ``ndim`` axes where that is given."""
    shape = tuple(shape)
    integers = all(isinstance(size, (int, np.integer)) and size > 0 for size in shape)
    if not integers or (len(shape) not in (2, 3) if ndim is None else len(shape) != ndim):
        wanted = "2 or 3" if ndim is None else ndim
        raise ValueError(f"shape must be {wanted} positive integers. Received: shape={shape}")
    return tuple(int(size) for size in shape)


def homogeneous(matrix: Any) -> Any:
    """A square matrix: the row ``(0, ..., 0, 1)`` is appended where it is missing."""
    if matrix.shape[-2] == matrix.shape[-1]:
        return matrix
    last = ops.zeros_like(matrix[:, :1])
    one = ops.ones_like(last[..., :1])
    return ops.concatenate([matrix, ops.concatenate([last[..., 1:], one], axis=-1)], axis=-2)


def multiply(left: Any, right: Any) -> Any:
    """Product of small matrices in full precision, ``(..., i, j)`` by ``(..., j, k)``."""
    return ops.sum(left[..., :, :, None] * right[..., None, :, :], axis=-2)


def inverse(matrix: Any) -> Any:
    """Inverse of ``(..., 2, 2)`` or ``(..., 3, 3)`` matrices by cofactors."""
    m = [[matrix[..., i, j] for j in range(matrix.shape[-1])] for i in range(matrix.shape[-2])]
    if len(m) == 2:
        cofactors = [[m[1][1], -m[0][1]], [-m[1][0], m[0][0]]]
        determinant = m[0][0] * m[1][1] - m[0][1] * m[1][0]
    else:

        def minor(i: int, j: int) -> Any:
            a, b, c, d = (i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3
            return m[a][c] * m[b][d] - m[a][d] * m[b][c]

        cofactors = [[minor(j, i) for j in range(3)] for i in range(3)]
        determinant = sum(m[0][j] * cofactors[j][0] for j in range(3))
    rows = [ops.stack(row, axis=-1) for row in cofactors]
    return ops.stack(rows, axis=-2) / determinant[..., None, None]


def _affine_part(matrix: Any, axes: list[Any], ndim: int) -> Any:
    """``b + sum_a A[:, a] x_a``; axis by axis, so that only the last sum has the full size."""
    total = matrix[..., ndim]
    for axis, coordinate in enumerate(axes):
        total = total + matrix[..., axis] * coordinate
    return total


def _displacement(matrix: Any, axes: list[Any], ndim: int) -> Any:
    identity = np.eye(*matrix.shape[-2:])
    matrix = matrix - ops.convert_to_tensor(identity, matrix.dtype)
    matrix = ops.reshape(matrix, [-1] + [1] * ndim + list(matrix.shape[1:]))
    moved = _affine_part(matrix, axes, ndim)
    if matrix.shape[-2] == ndim:
        return moved
    excess = moved[..., ndim]  # the denominator minus one
    parts = [
        (moved[..., a] - coordinate[..., 0] * excess) / (1.0 + excess)
        for a, coordinate in enumerate(axes)
    ]
    return ops.stack(parts, axis=-1)
