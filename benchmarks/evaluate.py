"""The one evaluator: every method hands over a displacement, and only this code warps.

Written with NumPy and SciPy alone, so that it shares nothing with the methods that it judges.
"""

import numpy as np


def warp(moving: np.ndarray, displacement: np.ndarray, order: int = 1) -> np.ndarray:
    """``moved(x) = moving(x + u(x))``, linear (or nearest), clamped at the border.

    Args:
        moving: ``(*spatial,)``.
        displacement: ``(*spatial, ndim)`` in voxels, array-axis order.
        order: 1 linear, 0 nearest.
    """
    from scipy.ndimage import map_coordinates

    grid = np.indices(displacement.shape[:-1], dtype="float64")
    return map_coordinates(
        moving, grid + np.moveaxis(displacement, -1, 0), order=order, mode="nearest"
    )


def warp_labels(labels: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """Each label warped linearly and cut at one half, all at once.

    At most one label is above one half in a voxel; where none is, there is 0. The same as ``warp``
    of the label as 0 and 1, ``> 0.5``, for every label, in the time of one.

    Args:
        labels: ``(*spatial,)`` integers, 0 being none.
        displacement: ``(*spatial, ndim)`` in voxels.
    """
    out = np.zeros(displacement.shape[:-1], labels.dtype)
    for index in range(len(out)):  # slice by slice: memory stays small
        out[index] = _warped_slice(labels, displacement[index], index)
    return out


def _warped_slice(labels: np.ndarray, displacement: np.ndarray, index: int) -> np.ndarray:
    ndim = displacement.shape[-1]
    grid = np.indices(displacement.shape[:-1], dtype="float64")
    places = np.moveaxis(displacement, -1, 0).astype("float64")
    places[0] += index
    places[1:] += grid
    last = np.reshape(np.array(labels.shape) - 1, (ndim, *[1] * (ndim - 1)))
    places = np.clip(places, 0, last)
    low = np.minimum(places.astype(int), np.maximum(last - 1, 0))
    share = places - low
    corners = []
    for corner in np.ndindex(*[2] * ndim):
        at = [np.minimum(low[k] + corner[k], labels.shape[k] - 1) for k in range(ndim)]
        sides = (share[k] if corner[k] else 1 - share[k] for k in range(ndim))
        corners.append((labels[tuple(at)], np.prod(np.stack([*sides]), axis=0)))
    found = np.zeros(displacement.shape[:-1], labels.dtype)
    for label, _ in corners:
        total = sum(weight * (other == label) for other, weight in corners)
        found = np.where(total > 0.5, label, found)
    return found


def ncc(fixed: np.ndarray, moved: np.ndarray) -> float:
    """Normalised cross correlation over the whole image; 0 where an image is constant."""
    fixed = fixed - fixed.mean(dtype="float64")
    moved = moved - moved.mean(dtype="float64")
    scale = np.sqrt((fixed**2).sum() * (moved**2).sum())
    return float((fixed * moved).sum() / scale) if scale > 0 else 0.0


def folding(displacement: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Percentage of voxels (of a mask) with ``det(I + grad u) <= 0``; central differences."""
    ndim = displacement.shape[-1]
    jacobian = np.stack(np.gradient(displacement, axis=tuple(range(ndim))), axis=-1)
    folds = np.linalg.det(jacobian + np.eye(ndim)) <= 0
    return 100 * float(folds.mean() if mask is None else folds[mask].mean())
