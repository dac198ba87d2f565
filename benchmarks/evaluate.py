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
