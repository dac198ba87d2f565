"""The parts of an affine transform: translation, rotation, scaling, shearing, and back.

``y = S K R (x - c) + c + t``: rotate about the centre ``c = (shape - 1) / 2`` of the fixed grid,
shear, scale, translate. This is the order of TorchIR, code by DLIR's first author. In 3-D DLIR has
three shearings; TorchIR has six, and so no unique way back.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from keras import ops

from tfreg.ops.linear import check_shape, dimensions, multiply
from tfreg.ops.precision import at_least_float32, same_dtype


class AffineParts(NamedTuple):
    """The parts of ``y = S K R (x - c) + c + t``, in array-axis order.

    Attributes:
        translation: ``t``, ``(batch, ndim)`` in voxels.
        rotation: angles of ``R`` in radians. 2-D ``(batch, 1)``: a positive angle turns axis 0
            towards axis 1. 3-D ``(batch, 3)``: ``R = R0 R1 R2``, ``Ra`` about axis ``a``,
            right-handed in array-axis order (the negative of ITK's angles, in ITK's ZYX order).
        scaling: diagonal of ``S``, ``(batch, ndim)``, factors.
        shearing: ``K`` above its diagonal of ones, row by row; 2-D ``(batch, 1)``: K01;
            3-D ``(batch, 3)``: K01, K02, K12.
    """

    translation: Any
    rotation: Any
    scaling: Any
    shearing: Any


def affine_matrix(
    translation: Any, rotation: Any, scaling: Any, shearing: Any, shape: Sequence[int]
) -> Any:
    """Matrix of DLIR's four parts: ``A = S K R``, ``b = t + c - A c``.

    Args:
        translation, rotation, scaling, shearing: tensors as in :class:`AffineParts`; ``scaling``
            holds factors, whose identity is 1.
        shape: spatial shape of the fixed grid, of centre ``c = (shape - 1) / 2``.

    Returns:
        Tensor ``(batch, ndim, ndim + 1)``.

    Raises:
        ValueError: on parts that do not fit ``shape``.

    Example:

    >>> from tfreg.ops.affine_parts import affine_matrix
    >>> m = affine_matrix([[1.0, 0.0]], [[0.0]], [[2.0, 1.0]], [[0.0]], (5, 5))
    >>> [[float(v) for v in row] for row in m[0]]
    [[2.0, 0.0, -1.0], [0.0, 1.0, 0.0]]
    """
    shape = check_shape(shape)
    ndim = len(shape)
    parts = AffineParts(*same_dtype(translation, rotation, scaling, shearing))
    plane = ndim * (ndim - 1) // 2
    for name, size in zip(AffineParts._fields, (ndim, plane, ndim, plane), strict=True):
        found = tuple(getattr(parts, name).shape)
        if len(found) != 2 or found[1] != size:
            raise ValueError(f"{name} must be (batch, {size}). Received: {name}.shape={found}")
    linear = multiply(_shear_matrix(parts.shearing, ndim), rotation_matrix(parts.rotation))
    linear = parts.scaling[..., None] * linear
    centre = centre_of(shape, linear)
    turned = ops.sum(linear * centre[:, None, :], axis=-1)
    shift = parts.translation + (centre - turned)
    return ops.concatenate([linear, shift[..., None]], axis=-1)


def decompose_affine(matrix: Any, shape: Sequence[int]) -> AffineParts:
    """The parts ``t, R, S, K`` of a matrix: the inverse of :func:`affine_matrix`.

    The parts are unique: angles in ``(-pi, pi]`` (in 3-D the second in ``[-pi/2, pi/2]``, and the
    third zero where the second is at these ends), scalings positive. A matrix that mirrors has a
    negative scaling of axis 0.

    Args:
        matrix: tensor ``(batch, ndim, ndim + 1)``, ``A`` not singular.
        shape: spatial shape of the fixed grid, whose centre is the centre of rotation.

    Returns:
        :class:`AffineParts`.

    Raises:
        ValueError: on a projective matrix or a shape that does not fit.

    Example:

    >>> from tfreg.ops.affine_parts import affine_matrix, decompose_affine
    >>> matrix = affine_matrix([[3.0, -1.0]], [[0.5]], [[2.0, 0.5]], [[0.25]], (8, 6))
    >>> parts = decompose_affine(matrix, (8, 6))
    >>> round(float(parts.rotation[0, 0]), 4), round(float(parts.shearing[0, 0]), 4)
    (0.5, 0.25)
    """
    matrix = at_least_float32(matrix)
    ndim = dimensions(matrix)
    if matrix.shape[-2] != ndim:
        raise ValueError(
            f"A projective matrix has no affine parts. Received: matrix.shape={tuple(matrix.shape)}"
        )
    shape = check_shape(shape, ndim)
    linear = matrix[..., :ndim]
    centre = centre_of(shape, matrix)
    turned = ops.sum(linear * centre[:, None, :], axis=-1)
    translation = matrix[..., ndim] - centre + turned

    # A = T Q with T upper triangular: orthogonalise the rows, the last one first.
    rows = [linear[:, i] for i in range(ndim)]
    q: list[Any] = [None] * ndim
    for i in reversed(range(1, ndim)):
        rest = rows[i]
        for j in range(i + 1, ndim):
            rest = rest - _dot(rows[i], q[j]) * q[j]
        q[i] = rest / ops.sqrt(_dot(rest, rest))
    if ndim == 2:
        q[0] = ops.stack([q[1][:, 1], -q[1][:, 0]], axis=-1)
    else:
        q[0] = _cross(q[1], q[2])
    scaling = ops.concatenate([_dot(rows[i], q[i]) for i in range(ndim)], axis=-1)
    shearing = [
        _dot(rows[i], q[j]) / scaling[:, i : i + 1] for i in range(ndim) for j in range(i + 1, ndim)
    ]
    rotation = _angles(ops.stack(q, axis=-2), ndim)
    return AffineParts(translation, rotation, scaling, ops.concatenate(shearing, axis=-1))


def rotation_matrix(angles: Any) -> Any:
    """Rotation matrix of one angle (2-D), or ``R0 R1 R2`` of three (3-D), array-axis order.

    Args:
        angles: tensor ``(batch, 1)`` or ``(batch, 3)`` in radians, see :class:`AffineParts`.

    Returns:
        Tensor ``(batch, ndim, ndim)``.

    Raises:
        ValueError: on another number of angles.
    """
    angles = at_least_float32(angles)
    if len(angles.shape) != 2 or angles.shape[1] not in (1, 3):
        raise ValueError(
            f"angles must be (batch, 1) or (batch, 3). Received: angles.shape={angles.shape}"
        )
    cos, sin = ops.cos(angles), ops.sin(angles)
    if angles.shape[1] == 1:
        return _matrix([[cos[:, 0], -sin[:, 0]], [sin[:, 0], cos[:, 0]]])
    (c0, c1, c2), (s0, s1, s2) = ([part[:, a] for a in range(3)] for part in (cos, sin))
    return _matrix(
        [
            [c1 * c2, -c1 * s2, s1],
            [c0 * s2 + s0 * s1 * c2, c0 * c2 - s0 * s1 * s2, -s0 * c1],
            [s0 * s2 - c0 * s1 * c2, s0 * c2 + c0 * s1 * s2, c0 * c1],
        ]
    )


def centre_of(shape: Sequence[int], like: Any) -> Any:
    """The centre ``(shape - 1) / 2`` of a grid, ``(1, ndim)`` in the dtype of ``like``."""
    return ops.convert_to_tensor([[(size - 1) / 2 for size in shape]], like.dtype)


def _angles(rotation: Any, ndim: int) -> Any:
    r = [[rotation[:, i, j] for j in range(ndim)] for i in range(ndim)]
    if ndim == 2:
        return ops.arctan2(r[1][0], r[0][0])[:, None]
    cosine = ops.sqrt(r[1][2] ** 2 + r[2][2] ** 2)
    locked = cosine < 1e-6  # the first and third axis coincide: all of the turn goes to the first
    first = ops.where(locked, ops.arctan2(r[2][1], r[1][1]), ops.arctan2(-r[1][2], r[2][2]))
    third = ops.where(locked, ops.zeros_like(cosine), ops.arctan2(-r[0][1], r[0][0]))
    return ops.stack([first, ops.arctan2(r[0][2], cosine), third], axis=-1)


def _shear_matrix(shearing: Any, ndim: int) -> Any:
    one, zero = ops.ones_like(shearing[:, 0]), ops.zeros_like(shearing[:, 0])
    if ndim == 2:
        return _matrix([[one, shearing[:, 0]], [zero, one]])
    k01, k02, k12 = (shearing[:, i] for i in range(3))
    return _matrix([[one, k01, k02], [zero, one, k12], [zero, zero, one]])


def _matrix(rows: list[list[Any]]) -> Any:
    return ops.stack([ops.stack(row, axis=-1) for row in rows], axis=-2)


def _dot(a: Any, b: Any) -> Any:
    return ops.sum(a * b, axis=-1, keepdims=True)


def _cross(a: Any, b: Any) -> Any:
    parts = [
        a[:, (i + 1) % 3] * b[:, (i + 2) % 3] - a[:, (i + 2) % 3] * b[:, (i + 1) % 3]
        for i in range(3)
    ]
    return ops.stack(parts, axis=-1)
