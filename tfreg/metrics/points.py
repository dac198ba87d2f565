"""Distance of landmarks after registration."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import map_coordinates

from tfreg.metrics._checks import as_displacement, as_points, as_spacing


def target_registration_error(
    fixed_points: ArrayLike,
    moving_points: ArrayLike,
    displacement: ArrayLike,
    spacing: Sequence[float] | None = None,
    snap_to_voxel: bool = False,
) -> np.ndarray:
    """``|p + u(p) - q|`` in mm for each pair of a fixed point ``p`` and a moving point ``q``.

    Args:
        fixed_points: ``(n, ndim)`` in voxels of the fixed image, array-axis order.
        moving_points: ``(n, ndim)`` in voxels of the moving image, in the same order of pairs.
        displacement: ``(*spatial, ndim)`` in voxels, on the fixed grid; linear between voxels.
        spacing: mm per axis of the *moving* image, where the distance is taken. Default: 1.
        snap_to_voxel: round ``p + u(p)`` to the nearest voxel of the moving image first (halves go
            up), as is done for DIR-Lab, whose landmarks sit on voxel centres. That lowers the error
            of a good registration, so say which of the two a table shows. The rounding rule of
            DIR-Lab's own tool for exact halves was not verified.

    Returns:
        float64 array ``(n,)`` in mm.

    Raises:
        ValueError: on wrong shapes, on points that are not finite, and on a fixed point outside of
            the grid of the displacement, where the registration says nothing.

    Example:

    >>> import numpy as np
    >>> from tfreg import metrics
    >>> u = np.zeros((4, 5, 2))
    >>> u[..., 1] = 0.75
    >>> pair = [[1.0, 2.0]], [[1.0, 2.0]]
    >>> metrics.target_registration_error(*pair, u, spacing=(5.0, 2.0)).tolist()
    [1.5]
    >>> metrics.target_registration_error(*pair, u, (5.0, 2.0), snap_to_voxel=True).tolist()
    [2.0]

    Reference:
        Castillo et al., A framework for evaluation of deformable image registration spatial
        accuracy using large landmark point sets, Phys. Med. Biol. 54(7), 2009 (DIR-Lab).
    """
    field = as_displacement(displacement)
    ndim = field.shape[-1]
    fixed = as_points(fixed_points, "fixed_points", ndim)
    moving = as_points(moving_points, "moving_points", ndim, len(fixed))
    size = as_spacing(spacing, ndim)
    last = np.array(field.shape[:-1]) - 1
    outside = np.flatnonzero(((fixed < 0) | (fixed > last)).any(axis=1))
    if outside.size:
        first = int(outside[0])
        raise ValueError(
            f"fixed_points must lie within 0 and {last.tolist()}, the grid of the displacement. "
            f"Received: fixed_points[{first}]={fixed[first].tolist()}"
        )
    moved = fixed + np.stack(
        [map_coordinates(field[..., axis], fixed.T, order=1) for axis in range(ndim)], axis=-1
    )
    if snap_to_voxel:
        moved = np.floor(moved + 0.5)
    return np.linalg.norm((moved - moving) * size, axis=1)
