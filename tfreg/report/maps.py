"""The fields that a report shows: where each point goes, and how volume changes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfreg import metrics
from tfreg.geometry import Geometry
from tfreg.transforms import Affine

VOXELS = 3_000_000  # the fields are taken on a coarser grid where the fixed image has more


@dataclass(frozen=True)
class Maps:
    """Fields of a transform on a grid of the fixed image.

    Attributes:
        geometry: of that grid: the fixed image's own, or coarser where that is large.
        positions: ``(*spatial, ndim)``, where the voxels go beyond the initial alignment, in voxels
            of the grid, array-axis order.
        jacobian: ``(*spatial)``, ``det`` of the whole map in mm.
        initial_jacobian: the same of the initial alignment.
    """

    geometry: Geometry
    positions: np.ndarray
    jacobian: np.ndarray
    initial_jacobian: np.ndarray

    @property
    def folding(self) -> float:
        """Share of the voxels where the map folds, in %."""
        return 100 * float((self.jacobian <= 0).mean())

    @property
    def initial_folding(self) -> float:
        """The same of the initial alignment."""
        return 100 * float((self.initial_jacobian <= 0).mean())


def maps(fixed: Geometry, transform: Any, initial: Any) -> Maps:
    """The fields of a transform on the grid of the fixed image.

    Args:
        fixed: geometry of the fixed image.
        transform: from the fixed to the moving space, the initial alignment included.
        initial: the initial alignment alone.
    """
    geometry = _coarse(fixed)
    index = np.moveaxis(np.indices(geometry.shape), 0, -1).astype("float64")
    points = geometry.to_physical(index)
    ends = [points + each.to_displacement(geometry).field for each in (transform, initial)]
    # Determinants in voxels of the grid: a change of units and axes on both sides cancels out.
    whole, first = (_determinant(geometry.to_index(end) - index) for end in ends)
    positions = geometry.to_index(points + _undone(initial, points, ends[0] - ends[1]))
    return Maps(geometry, positions, whole, first)


def _undone(initial: Any, points: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """What the registration adds, ``J^-1 (T - initial)``: where it comes before the alignment.

    Exact where the initial alignment is linear, else of first order.
    """
    matrix = initial.jacobian(points[(0,) * (points.ndim - 1)][None])[0]
    if not isinstance(initial, Affine):
        flat = initial.jacobian(points.reshape(-1, points.shape[-1]))
        matrix = flat.reshape(*points.shape, points.shape[-1])
    return (np.linalg.pinv(matrix) @ difference[..., None])[..., 0]


def _determinant(displacement: np.ndarray) -> np.ndarray:
    if min(displacement.shape[:-1]) < 2:  # one slice: there is no change across it to see
        return np.ones(displacement.shape[:-1])
    return metrics.jacobian_determinant(displacement)


def _coarse(geometry: Geometry) -> Geometry:
    count = float(np.prod(geometry.size))
    if count <= VOXELS:
        return geometry
    shrink = (count / VOXELS) ** (1 / geometry.ndim)
    return geometry.resampled(size=tuple(max(2, int(n / shrink)) for n in geometry.size))
