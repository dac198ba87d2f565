"""What ``tfreg evaluate`` measures, as plain numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfreg import metrics
from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.metrics import l2r_compatible


def of_labels(
    fixed: np.ndarray, moved: np.ndarray, spacing: Sequence[float], labels: Sequence[int] | None
) -> dict[int, dict[str, float]]:
    """Dice, 95 % Hausdorff distance and mean surface distance in mm per label.

    Args:
        fixed: label map ``(*spatial)``.
        moved: label map on the same grid.
        spacing: mm per axis, array-axis order.
        labels: which ones; ``None``: all but 0 that either map has.
    """
    found = {}
    for label, dice in metrics.dice(fixed, moved, labels).items():
        masks = _cropped(fixed == label, moved == label)
        found[label] = {
            "dice": dice,
            "hd95_mm": metrics.hausdorff95(*masks, spacing),
            "surface_distance_mm": metrics.mean_surface_distance(*masks, spacing),
        }
    return found


def of_labels_l2r(
    fixed: np.ndarray, moving: np.ndarray, displacement: np.ndarray, labels: Sequence[int] | None
) -> dict[int, dict[str, float]]:
    """Dice and 95 % Hausdorff distance in voxels per label, as Learn2Reg takes them.

    Args:
        fixed: label map ``(*spatial)``, 3-D.
        moving: label map, not warped.
        displacement: ``(*spatial, 3)`` in voxels.
        labels: which ones; ``None``: all but 0 that either map has.
    """
    if labels is None:
        labels = sorted({*np.unique(fixed).tolist(), *np.unique(moving).tolist()} - {0})
    moved = l2r_compatible.warp_labels(moving, displacement)
    dice = l2r_compatible.dice(fixed, moving, moved, labels)
    distance = l2r_compatible.hausdorff95(fixed, moving, moved, labels)
    return {n: {"dice": dice[n], "hd95_voxels": distance[n]} for n in labels}


def mean_of(scores: dict[int, dict[str, float]]) -> dict[str, float]:
    """Means over the labels that have a number; infinity stays."""
    names = next(iter(scores.values()), {})
    values = {name: np.array([score[name] for score in scores.values()]) for name in names}
    return {
        name: float(row[~np.isnan(row)].mean()) if (~np.isnan(row)).any() else float("nan")
        for name, row in values.items()
    }


def of_distances(distances: np.ndarray) -> dict[str, float]:
    """Count, mean, standard deviation, median, 95th percentile and largest, in mm."""
    return {
        "count": len(distances),
        "mean_mm": float(distances.mean()),
        "sd_mm": float(distances.std()),
        "median_mm": float(np.median(distances)),
        "percentile95_mm": float(np.percentile(distances, 95)),
        "max_mm": float(distances.max()),
    }


def of_field(displacement: np.ndarray, mask: np.ndarray | None) -> dict[str, float]:
    """Folding and Jacobian of a displacement in voxels."""
    inside = metrics.jacobian_determinant(displacement)
    if mask is not None:
        inside = inside[mask]
    return {
        "folding_percent": metrics.folding_fraction(displacement, mask),
        "jacobian_min": float(inside.min()),
        "jacobian_max": float(inside.max()),
        "sd_log_jacobian": metrics.sd_log_jacobian(displacement, mask),
    }


def of_field_l2r(displacement: np.ndarray, mask: np.ndarray | None) -> dict[str, float]:
    """The same as Learn2Reg takes them."""
    return {
        "folding_percent": l2r_compatible.folding_fraction(displacement, mask),
        "sd_log_jacobian": l2r_compatible.sd_log_jacobian(displacement, mask),
    }


def voxel_displacement(transform: Any, grid: Geometry, target: Geometry) -> np.ndarray:
    """``u`` with which ``target`` index = ``grid`` index + u, ``(*spatial, ndim)`` in voxels."""
    index = np.moveaxis(np.indices(grid.shape), 0, -1).astype("float64")
    if transform is None:
        return target.to_index(grid.to_physical(index)) - index
    points = grid.to_physical(index) + transform.to_displacement(grid).field
    return target.to_index(points) - index


def whole_numbers(array: np.ndarray, name: str) -> np.ndarray:
    """Labels as integers.

    Raises:
        InputError: if they are none.
    """
    if array.dtype.kind == "f":
        if not np.isfinite(array).all() or (array != np.rint(array)).any():
            raise InputError(f"{name} must hold labels: whole numbers. Received: {array.dtype}")
        if np.abs(array).max() > 2**53:
            raise InputError(
                f"{name} must hold labels as integers where they are beyond 2^53, which "
                f"{array.dtype} rounds. Received: {array.min():g} to {array.max():g}"
            )
        return array.astype("int64")
    return array


def _cropped(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both masks within the box around them: beyond it is outside, so no distance changes."""
    either = first | second
    if not either.any():
        return first, second
    box = []
    for axis in range(either.ndim):
        along = either.any(axis=tuple(a for a in range(either.ndim) if a != axis)).nonzero()[0]
        box.append(slice(along[0], along[-1] + 1))
    return first[tuple(box)], second[tuple(box)]
