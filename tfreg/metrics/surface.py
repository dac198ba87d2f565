"""Distances between the surfaces of two masks, in mm.

The surface of a mask is the set of voxel faces between a voxel inside and a neighbour outside,
where all that lies beyond the array counts as outside. Each face is one point, its centre, half a
voxel from the centres of the two voxels it parts, and weighs its area: on an anisotropic grid faces
across different axes differ in size. In 2-D a face is an edge of a pixel and its area a length.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from tfreg.metrics._checks import as_mask, as_spacing


class SurfaceDistances(NamedTuple):
    """Directed distances of two surfaces, with the areas of the faces they were taken from.

    Attributes:
        fixed_to_moved: float64 ``(n,)`` in mm, from each face of the fixed mask to the nearest face
            centre of the moved mask.
        moved_to_fixed: float64 ``(m,)`` in mm, the other way.
        fixed_areas: float64 ``(n,)`` in mm² (mm in 2-D).
        moved_areas: float64 ``(m,)``.
    """

    fixed_to_moved: np.ndarray
    moved_to_fixed: np.ndarray
    fixed_areas: np.ndarray
    moved_areas: np.ndarray


def surface_distances(
    fixed_mask: ArrayLike, moved_mask: ArrayLike, spacing: Sequence[float] | None = None
) -> SurfaceDistances:
    """Distance from every face of either mask to the nearest face of the other, centre to centre.

    A face lies between a voxel inside and a neighbour outside; beyond the array is outside. Running
    from centre to centre, a distance is exact where faces lie straight across, and elsewhere too
    long by at most half the diagonal of a face.

    Args:
        fixed_mask: boolean array ``(*spatial)``, 2-D or 3-D; numbers may be 0 and 1 only.
        moved_mask: mask of the same shape, on the fixed grid.
        spacing: mm per axis, array-axis order. Default: 1.

    Returns:
        :class:`SurfaceDistances`. An empty mask has no faces: its own arrays are empty, and the
        distances to it are NaN.

    Raises:
        ValueError: on masks that are none, differ in shape or are neither 2-D nor 3-D, or on a
            spacing that is not positive.

    Example:

    >>> import numpy as np
    >>> from tfreg import metrics
    >>> fixed, moved = np.zeros((2, 1, 9), bool)
    >>> fixed[0, 2], moved[0, 4] = True, True
    >>> found = metrics.surface_distances(fixed, moved, spacing=(5.0, 1.5))
    >>> found.fixed_to_moved.tolist(), found.fixed_areas.tolist()
    ([3.0, 3.0, 3.0, 1.5], [1.5, 1.5, 5.0, 5.0])
    """
    fixed = as_mask(fixed_mask, "fixed_mask")
    if fixed.ndim not in (2, 3):
        raise ValueError(f"fixed_mask must be 2-D or 3-D. Received: fixed_mask.shape={fixed.shape}")
    moved = as_mask(moved_mask, "moved_mask", fixed.shape)
    size = as_spacing(spacing, fixed.ndim)
    fixed_centres, fixed_areas = _faces(fixed, size)
    moved_centres, moved_areas = _faces(moved, size)
    return SurfaceDistances(
        _nearest(fixed_centres, moved_centres),
        _nearest(moved_centres, fixed_centres),
        fixed_areas,
        moved_areas,
    )


def hausdorff95(
    fixed_mask: ArrayLike, moved_mask: ArrayLike, spacing: Sequence[float] | None = None
) -> float:
    """95 % Hausdorff distance in mm: the larger of the two directed 95th percentiles.

    The percentile is weighted by area: the smallest distance within which at least 95 % of the
    area of the surface lies. It is a distance that occurs, nothing is interpolated. Surfaces are
    those of :func:`surface_distances`.

    Args:
        fixed_mask: boolean array ``(*spatial)``, 2-D or 3-D; numbers may be 0 and 1 only.
        moved_mask: mask of the same shape, on the fixed grid.
        spacing: mm per axis, array-axis order. Default: 1.

    Returns:
        Distance in mm; NaN if either mask is empty, or both are.

    Raises:
        ValueError: as :func:`surface_distances`.

    Example:

    >>> import numpy as np
    >>> from tfreg import metrics
    >>> fixed, moved = np.zeros((2, 12, 9), bool)
    >>> fixed[2:5, 3:6], moved[4:7, 3:6] = True, True
    >>> metrics.hausdorff95(fixed, moved, spacing=(2.5, 1.0))
    5.0

    Reference:
        Huttenlocher et al., Comparing images using the Hausdorff distance, IEEE TPAMI 15(9), 1993.
    """
    found = surface_distances(fixed_mask, moved_mask, spacing)
    if found.fixed_areas.size == 0 or found.moved_areas.size == 0:
        return float("nan")
    return max(
        _percentile(found.fixed_to_moved, found.fixed_areas, 0.95),
        _percentile(found.moved_to_fixed, found.moved_areas, 0.95),
    )


def mean_surface_distance(
    fixed_mask: ArrayLike, moved_mask: ArrayLike, spacing: Sequence[float] | None = None
) -> float:
    """Symmetric mean surface distance in mm: the mean of the two directed means.

    Each directed mean is weighted by area; the two count the same whatever the areas of the two
    surfaces. Surfaces are those of :func:`surface_distances`.

    Args:
        fixed_mask: boolean array ``(*spatial)``, 2-D or 3-D; numbers may be 0 and 1 only.
        moved_mask: mask of the same shape, on the fixed grid.
        spacing: mm per axis, array-axis order. Default: 1.

    Returns:
        Distance in mm; NaN if either mask is empty, or both are.

    Raises:
        ValueError: as :func:`surface_distances`.

    Example:

    >>> import numpy as np
    >>> from tfreg import metrics
    >>> mask = np.zeros((12, 9), bool)
    >>> mask[2:5, 3:6] = True
    >>> metrics.mean_surface_distance(mask, mask, spacing=(2.5, 1.0))
    0.0
    """
    found = surface_distances(fixed_mask, moved_mask, spacing)
    if found.fixed_areas.size == 0 or found.moved_areas.size == 0:
        return float("nan")
    there = np.average(found.fixed_to_moved, weights=found.fixed_areas)
    back = np.average(found.moved_to_fixed, weights=found.moved_areas)
    return float((there + back) / 2)


def _faces(mask: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres in mm ``(n, ndim)`` and areas ``(n,)`` of the faces of a mask, axis by axis."""
    centres, areas = [], []
    for axis in range(mask.ndim):
        padding = [(1, 1) if other == axis else (0, 0) for other in range(mask.ndim)]
        change = np.diff(np.pad(mask, padding), axis=axis)
        index = np.argwhere(change).astype("float64")
        index[:, axis] -= 0.5  # entry i of the padded difference parts voxels i - 1 and i
        centres.append(index * spacing)
        areas.append(np.full(len(index), np.delete(spacing, axis).prod()))
    return np.concatenate(centres), np.concatenate(areas)


def _nearest(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    if len(others) == 0 or len(points) == 0:
        return np.full(len(points), np.nan)
    return cKDTree(others).query(points)[0]


def _percentile(distances: np.ndarray, weights: np.ndarray, share: float) -> float:
    order = np.argsort(distances, kind="stable")
    reached = np.cumsum(weights[order])
    # Sums round: without the allowance a share that is met exactly could count as missed.
    return float(distances[order][np.searchsorted(reached, share * reached[-1] * (1 - 1e-9))])
