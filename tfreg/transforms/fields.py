"""What transforms on a grid share."""

from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import Geometry

_SAMPLES = 1000


def check_field(field: Any, geometry: Geometry, name: str) -> np.ndarray:
    """A field as a read-only floating array of the geometry's shape.

    Args:
        field: ``(*spatial, ndim)``.
        geometry: of its grid.
        name: of the field, for the message.

    Raises:
        InputError: if the two do not fit together, or the field is not finite.
    """
    try:
        field = np.asarray(field)
        if field.dtype != np.float32:
            field = field.astype("float64", copy=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must hold numbers: {error}.") from error
    if not isinstance(geometry, Geometry):
        raise InputError(f"A Geometry is needed. Received: {geometry!r}")
    expected = (*geometry.shape, geometry.ndim)
    if field.shape != expected:
        raise InputError(f"{name} must be {expected} on this grid. Received: shape={field.shape}")
    if not np.isfinite(field).all():
        raise InputError(f"{name} must be finite. Received: NaN or infinite values")
    field = field.view()
    field.flags.writeable = False
    return field


def inside_buffer(index: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Which positions ``(n, ndim)`` lie on the grid or within half a voxel around it."""
    return ((index >= -0.5) & (index < np.array(geometry.shape) - 0.5)).all(axis=1)


def index_jacobian(slopes: np.ndarray, inside: Any, count: int, geometry: Geometry) -> np.ndarray:
    """``I + du/dx`` from derivatives along the axes of the array.

    Args:
        slopes: ``(m, ndim, ndim)`` derivatives of ``u`` in mm per voxel, array-axis order.
        inside: which of the points they belong to; the derivative is 0 at the others.
        count: of all points.
        geometry: of the grid.
    """
    result = np.tile(np.eye(geometry.ndim), (count, 1, 1))
    result[inside] += slopes @ np.linalg.inv(geometry.matrix[:, :-1])
    return result


def random_index(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Some positions between two corners, always the same ones."""
    return np.random.default_rng(0).uniform(low, high, (_SAMPLES, len(low)))
