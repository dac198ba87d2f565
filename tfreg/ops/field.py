"""Derivatives of displacement fields: Jacobian, divergence, curl."""

from typing import Any

from keras import ops


def gradient(values: Any, axis: int) -> Any:
    """Derivative along one axis per voxel: central differences, one-sided at the two ends.

    Args:
        values: tensor with at least two voxels along ``axis``.
        axis: axis of ``values``.

    Returns:
        Tensor of the shape of ``values``.
    """
    size = values.shape[axis]
    if size is None or size < 2:
        raise ValueError(
            f"A derivative needs a known size of at least 2. Received: size={size}, axis={axis}"
        )

    def part(start: int, stop: int) -> Any:
        index = [slice(None)] * len(values.shape)
        index[axis] = slice(start, stop)
        return values[tuple(index)]

    first = part(1, 2) - part(0, 1)
    last = part(size - 1, size) - part(size - 2, size - 1)
    middle = (part(2, size) - part(0, size - 2)) * 0.5
    return ops.concatenate([first, middle, last], axis=axis)


def jacobian_matrix(displacement: Any) -> Any:
    """Jacobian of the map ``x + u(x)``: ``J[i, j] = delta_ij + d u_i / d x_j``.

    Args:
        displacement: tensor ``(batch, *spatial, ndim)`` in voxels.

    Returns:
        Tensor ``(batch, *spatial, ndim, ndim)``.
    """
    displacement = ops.convert_to_tensor(displacement)
    ndim = _check(displacement)
    columns = [gradient(displacement, axis=1 + axis) for axis in range(ndim)]
    return ops.stack(columns, axis=-1) + ops.eye(ndim, dtype=displacement.dtype)


def jacobian_determinant(displacement: Any) -> Any:
    """``det(I + grad u)``: local change of volume of the map; at or below zero it folds.

    Central differences inside, one-sided differences at the border.

    Args:
        displacement: tensor ``(batch, *spatial, ndim)`` in voxels, 2-D or 3-D.

    Returns:
        Tensor ``(batch, *spatial)``.

    Raises:
        ValueError: if the shape is not that of a displacement.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> x = np.moveaxis(np.indices((4, 5)), 0, -1)[None].astype("float32")
    >>> det = ops.jacobian_determinant(0.5 * x)  # x -> 1.5 x along both axes
    >>> float(np.asarray(det)[0, 2, 2])
    2.25
    """
    return _determinant(jacobian_matrix(displacement))


def cell_determinant(displacement: Any) -> Any:
    """``det(I + grad u)`` with forward differences, per cell of the grid.

    Central differences do not see a field that alternates from voxel to voxel; these do, which is
    what a penalty needs.

    Args:
        displacement: tensor ``(batch, *spatial, ndim)`` in voxels, 2-D or 3-D.

    Returns:
        Tensor ``(batch, *(spatial - 1))``.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> tuple(ops.cell_determinant(np.zeros((1, 5, 4, 2), "float32")).shape)
    (1, 4, 3)
    """
    displacement = ops.convert_to_tensor(displacement)
    ndim = _check(displacement)

    def corner(axis: int | None) -> Any:
        index = [slice(None)] + [slice(None, -1)] * ndim
        if axis is not None:
            index[1 + axis] = slice(1, None)
        return displacement[tuple(index)]

    columns = [corner(axis) - corner(None) for axis in range(ndim)]
    return _determinant(ops.stack(columns, axis=-1) + ops.eye(ndim, dtype=displacement.dtype))


def divergence(field: Any) -> Any:
    """``sum_i d u_i / d x_i`` per voxel; central differences, one-sided at the border.

    Args:
        field: tensor ``(batch, *spatial, ndim)``.

    Returns:
        Tensor ``(batch, *spatial)``.
    """
    field = ops.convert_to_tensor(field)
    return sum(gradient(field[..., axis], axis=1 + axis) for axis in range(field.shape[-1]))


def curl(field: Any) -> Any:
    """Rotation of a field per voxel, in array-axis order.

    In 2-D ``d u_1 / d x_0 - d u_0 / d x_1``; in 3-D the vector of ``d u_k / d x_j - d u_j / d x_k``
    for ``(j, k)`` = (1, 2), (2, 0), (0, 1).

    Args:
        field: tensor ``(batch, *spatial, ndim)``.

    Returns:
        Tensor ``(batch, *spatial)`` in 2-D, ``(batch, *spatial, 3)`` in 3-D.
    """
    field = ops.convert_to_tensor(field)

    def rotation(j: int, k: int) -> Any:
        return gradient(field[..., k], axis=1 + j) - gradient(field[..., j], axis=1 + k)

    if field.shape[-1] == 2:
        return rotation(0, 1)
    return ops.stack([rotation(1, 2), rotation(2, 0), rotation(0, 1)], axis=-1)


def _check(displacement: Any) -> int:
    ndim = displacement.shape[-1]
    if len(displacement.shape) != ndim + 2 or ndim not in (2, 3):
        raise ValueError(
            "displacement must be (batch, *spatial, ndim), 2-D or 3-D. "
            f"Received: displacement.shape={tuple(displacement.shape)}"
        )
    return ndim


def _determinant(m: Any) -> Any:
    if m.shape[-1] == 2:
        return m[..., 0, 0] * m[..., 1, 1] - m[..., 0, 1] * m[..., 1, 0]
    return (
        m[..., 0, 0] * (m[..., 1, 1] * m[..., 2, 2] - m[..., 1, 2] * m[..., 2, 1])
        - m[..., 0, 1] * (m[..., 1, 0] * m[..., 2, 2] - m[..., 1, 2] * m[..., 2, 0])
        + m[..., 0, 2] * (m[..., 1, 0] * m[..., 2, 1] - m[..., 1, 1] * m[..., 2, 0])
    )
