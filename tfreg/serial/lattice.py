"""Smooth displacements of sections on a lattice of points: a stack of them fits into memory."""

from collections.abc import Sequence

import numpy as np

_MARGIN = 3  # points beyond the lattice that the spline sees


def points(shape: Sequence[int], step: int) -> np.ndarray:
    """The points of a lattice ``(rows, columns, 2)`` px: every ``step`` px, and beyond the end."""
    axes = [step * np.arange(-(-(n - 1) // step) + 1.0) for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def within(places: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Which of points ``(..., 2)`` px lie on an image of a shape."""
    return np.all((places >= 0) & (places <= np.array(shape) - 1), axis=-1)


def taken(displacement: np.ndarray, step: int) -> np.ndarray:
    """A displacement ``(height, width, 2)`` at the points of its lattice."""
    return at(displacement, points(displacement.shape[:2], step))


def at(field: np.ndarray, places: np.ndarray, step: float = 1.0, order: int = 1) -> np.ndarray:
    """Values of a field between its points; beyond them it goes on as at its border.

    Args:
        field: ``(rows, columns, channels)``, its points ``step`` px apart.
        places: ``(..., 2)`` px.
        step: see there.
        order: of the spline between the points.

    Returns:
        ``(..., channels)`` float64.
    """
    from scipy.ndimage import map_coordinates

    where = np.moveaxis(places / step, -1, 0)
    channels = (
        map_coordinates(field[..., c], where, "float64", order, mode="nearest")
        for c in range(field.shape[-1])
    )
    return np.stack(list(channels), axis=-1)


def everywhere(field: np.ndarray, shape: Sequence[int], step: int) -> np.ndarray:
    """The displacement ``(*shape, 2)`` of a field on the lattice, cubic between its points."""
    # Mirrored through its border values, a slope goes on: else the spline would bend towards 0.
    margin = [min(_MARGIN, n - 1) for n in field.shape[:2]]
    wide = np.pad(field, [(m, m) for m in margin] + [(0, 0)], "reflect", reflect_type="odd")
    return at(wide, points(shape, 1) + step * np.array(margin), step, order=3)
