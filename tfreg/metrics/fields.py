"""Measures of a displacement field itself: does it fold, is it smooth, can it be undone."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import map_coordinates

from tfreg.metrics._checks import as_displacement, as_domain, as_spacing

LOWEST_DETERMINANT = 1e-9


class InverseConsistency(NamedTuple):
    """Inverse consistency of two fields.

    Attributes:
        error: mean distance in mm over the points that stay in the grid; NaN if none does.
        excluded: share of the points that leave the grid of the backward field, in percent.
    """

    error: float
    excluded: float


def jacobian_determinant(displacement: ArrayLike) -> np.ndarray:
    """``det(I + grad u)`` per voxel: local change of volume; at or below zero the map folds.

    Central differences inside, one-sided differences at the border, as in
    :func:`tfreg.ops.jacobian_determinant`. No spacing enters: a change of units cancels out.

    Args:
        displacement: ``(*spatial, ndim)`` in voxels, 2-D or 3-D, at least 2 voxels per axis.

    Returns:
        float64 array ``(*spatial)``.

    Raises:
        ValueError: on a wrong shape, fewer than 2 voxels along an axis, or values not finite.

    Example:

    >>> import numpy as np
    >>> from tfreg import metrics
    >>> x = np.moveaxis(np.indices((4, 5)), 0, -1)
    >>> float(metrics.jacobian_determinant(0.5 * x)[0, 2])  # x -> 1.5 x along both axes
    2.25
    """
    field = as_displacement(displacement)
    ndim = field.shape[-1]
    if min(field.shape[:-1]) < 2:
        raise ValueError(
            "displacement must have at least 2 voxels per axis. "
            f"Received: displacement.shape={field.shape}"
        )
    # Written out, not np.linalg.det: that is slow on millions of small matrices, and its rounding
    # hides determinants that are exactly 0.
    m = [[grad + (i == j) for j, grad in enumerate(_gradients(field[..., i]))] for i in range(ndim)]
    if ndim == 2:
        return m[0][0] * m[1][1] - m[0][1] * m[1][0]
    return (
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    )


def folding_fraction(displacement: ArrayLike, mask: ArrayLike | None = None) -> float:
    """Share of voxels in percent where ``det(I + grad u) <= 0``.

    Central differences do not see a field that alternates from voxel to voxel, so 0 % does not
    prove that the map is one to one.

    Args:
        displacement: ``(*spatial, ndim)`` in voxels, 2-D or 3-D.
        mask: voxels to count, boolean or 0 and 1, ``(*spatial)``. Default: all.

    Returns:
        Percent of the voxels (of the mask).

    Raises:
        ValueError: as :func:`jacobian_determinant`, and on a mask of another shape or without a
            voxel.

    Example:

    >>> import numpy as np
    >>> from tfreg import metrics
    >>> u = np.zeros((10, 4, 2))
    >>> u[5:, :, 0] = -4.0  # the map steps back by 3 voxels between rows 4 and 5
    >>> metrics.folding_fraction(u)
    20.0
    """
    determinant = jacobian_determinant(displacement)
    inside = as_domain(mask, determinant.shape)
    return float(100 * np.mean(determinant[inside] <= 0))


def sd_log_jacobian(displacement: ArrayLike, mask: ArrayLike | None = None) -> float:
    """Standard deviation of ``log det(I + grad u)``: how unevenly the map changes volume.

    Determinants below 1e-9 are raised to 1e-9 first, or a fold would have no logarithm; each adds
    a value of -20.7. Read it along with :func:`folding_fraction`. The challenge Learn2Reg takes the
    logarithm of the determinant plus 3 instead: see :mod:`tfreg.metrics.l2r_compatible`.

    Args:
        displacement: ``(*spatial, ndim)`` in voxels, 2-D or 3-D.
        mask: voxels to look at, boolean or 0 and 1, ``(*spatial)``. Default: all.

    Returns:
        Population standard deviation (divided by ``n``), natural logarithm.

    Raises:
        ValueError: as :func:`folding_fraction`.

    Example:

    >>> import numpy as np
    >>> from tfreg import metrics
    >>> u = np.zeros((4, 4, 2))
    >>> u[2:, :, 0] = [[1.0], [2.0]]  # determinants 1, 1.5, 2, 2 along the first axis
    >>> round(metrics.sd_log_jacobian(u), 4)
    0.284

    Reference:
        Leow et al., Statistical properties of Jacobian maps and the realization of unbiased
        large-deformation nonlinear image registration, IEEE TMI 26(6), 2007.
    """
    determinant = jacobian_determinant(displacement)
    inside = as_domain(mask, determinant.shape)
    return float(np.log(np.maximum(determinant[inside], LOWEST_DETERMINANT)).std())


def inverse_consistency_error(
    forward: ArrayLike,
    backward: ArrayLike,
    spacing: Sequence[float] | None = None,
    mask: ArrayLike | None = None,
) -> InverseConsistency:
    """Mean of ``|u(x) + w(x + u(x))|`` in mm: how far forth and back misses the start.

    ``w`` is linear between voxels. A point that ``u`` takes out of the grid of ``w`` is left out,
    since nothing says where it would go; the share of such points comes along.

    Args:
        forward: ``u``, ``(*spatial, ndim)`` in voxels, on the fixed grid.
        backward: ``w``, ``(*spatial, ndim)`` in voxels, on the moving grid, which may be of another
            size.
        spacing: mm per axis of the *fixed* grid, to which the way back leads. Default: 1.
        mask: voxels of the fixed grid to start from, boolean or 0 and 1. Default: all.

    Returns:
        :class:`InverseConsistency`: the error in mm and the excluded share in percent.

    Raises:
        ValueError: on wrong shapes, values not finite, or a mask without a voxel.

    Example:

    >>> import numpy as np
    >>> from tfreg import metrics
    >>> u = np.zeros((4, 5, 2))
    >>> u[..., 0] = 1.0
    >>> metrics.inverse_consistency_error(u, -u)
    InverseConsistency(error=0.0, excluded=25.0)
    >>> metrics.inverse_consistency_error(u, 0 * u, spacing=(3.0, 1.0)).error
    3.0

    Reference:
        Christensen and Johnson, Consistent image registration, IEEE TMI 20(7), 2001.
    """
    there = as_displacement(forward, "forward")
    back = as_displacement(backward, "backward")
    ndim = there.shape[-1]
    if back.shape[-1] != ndim:
        raise ValueError(
            "forward and backward must have the same number of axes. "
            f"Received: forward.shape={there.shape}, backward.shape={back.shape}"
        )
    size = as_spacing(spacing, ndim)
    inside = as_domain(mask, there.shape[:-1])
    u = there[inside]
    reached = np.argwhere(inside) + u
    stays = ((reached >= 0) & (reached <= np.array(back.shape[:-1]) - 1)).all(axis=1)
    excluded = float(100 * np.mean(~stays))
    if not stays.any():
        return InverseConsistency(float("nan"), excluded)
    w = np.stack(
        [map_coordinates(back[..., axis], reached[stays].T, order=1) for axis in range(ndim)],
        axis=-1,
    )
    distances = np.linalg.norm((u[stays] + w) * size, axis=1)
    return InverseConsistency(float(distances.mean()), excluded)


def _gradients(component: np.ndarray) -> list[np.ndarray]:
    return [np.gradient(component, axis=axis) for axis in range(component.ndim)]
