"""Penalties on the derivatives of a displacement."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from tfreg.losses.means import mean
from tfreg.ops.precision import at_least_float32


def bending_energy(displacement: Any) -> Any:
    """``mean_x sum_i sum_ab (d^2 u_i / dx_a dx_b)^2`` of each field.

    The full double sum over the axes: a mixed derivative counts twice. Second derivatives are
    ``u(x + a) - 2 u(x) + u(x - a)`` along one axis and
    ``(u(x+a+b) - u(x+a-b) - u(x-a+b) + u(x-a-b)) / 4`` along two, ``a`` and ``b`` one voxel long;
    the mean is over the voxels inside, which have all neighbours. Affine fields cost nothing.

    Args:
        displacement: tensor ``(batch, *spatial, ndim)`` in voxels, 2-D or 3-D, at least 3 voxels
            along each axis.

    Returns:
        Tensor ``(batch,)`` in 1 / voxel^2.

    Raises:
        ValueError: if the shape is not that of a displacement, or too small.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> i, j = np.indices((5, 6))
    >>> u = np.stack([i**2, i * j], axis=-1)[None]  # d2u0/di2 = 2, d2u1/didj = 1, twice
    >>> float(losses.bending_energy(u)[0])
    6.0

    Reference:
        Rueckert et al., Nonrigid registration using free-form deformations, IEEE TMI 1999; as a
        loss: de Vos et al., A deep learning framework for unsupervised affine and deformable image
        registration, Medical Image Analysis 2019.
    """
    u, ndim = _field(displacement, least=3)

    def shifted(*steps: tuple[int, int]) -> Any:
        """The voxels inside, moved by one voxel along each (axis, -1 or 1)."""
        moves = dict(steps)
        index = [slice(1 + moves.get(a, 0), _stop(moves.get(a, 0))) for a in range(ndim)]
        return u[(slice(None), *index)]

    total = 0.0
    for a in range(ndim):
        second = shifted((a, 1)) - 2 * shifted() + shifted((a, -1))
        total = total + second * second
        for b in range(a + 1, ndim):
            plus = shifted((a, 1), (b, 1)) + shifted((a, -1), (b, -1))
            mixed = (plus - shifted((a, 1), (b, -1)) - shifted((a, -1), (b, 1))) / 4
            total = total + 2 * mixed * mixed
    return mean(ops.sum(total, axis=-1))


def diffusion(displacement: Any) -> Any:
    """``sum_a mean_x sum_i (u_i(x + a) - u_i(x))^2`` of each field: its squared first derivatives.

    Forward differences; for each axis ``a`` the mean is over all pairs of neighbours along it.

    Args:
        displacement: tensor ``(batch, *spatial, ndim)`` in voxels, 2-D or 3-D, at least 2 voxels
            along each axis.

    Returns:
        Tensor ``(batch,)``, without a unit.

    Raises:
        ValueError: if the shape is not that of a displacement, or too small.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> i, j = np.indices((5, 6))
    >>> u = np.stack([3 * i + j, 2 * j], axis=-1)[None]  # 3^2 + 1^2 + 2^2
    >>> float(losses.diffusion(u)[0])
    14.0

    Reference:
        Fischer & Modersitzki, Fast diffusion registration, Contemporary Mathematics 2002.
    """
    u, ndim = _field(displacement, least=2)
    total = 0.0
    for axis in range(ndim):
        index = [slice(None)] * (ndim + 2)
        index[1 + axis] = slice(1, None)
        after = u[tuple(index)]
        index[1 + axis] = slice(None, -1)
        difference = after - u[tuple(index)]
        total = total + mean(ops.sum(difference * difference, axis=-1))
    return total


def _stop(move: int) -> int | None:
    """End of the voxels inside, one before the last, moved by -1, 0 or 1."""
    return None if move == 1 else move - 1


def _field(displacement: Any, least: int) -> tuple[Any, int]:
    displacement = at_least_float32(displacement)
    shape: Sequence[int | None] = tuple(displacement.shape)
    ndim = len(shape) - 2
    if ndim not in (2, 3) or shape[-1] != ndim:
        raise ValueError(
            "displacement must be (batch, *spatial, ndim), 2-D or 3-D. "
            f"Received: displacement.shape={shape}"
        )
    if any(size is not None and size < least for size in shape[1:-1]):
        raise ValueError(
            f"displacement must have at least {least} voxels along each axis. "
            f"Received: displacement.shape={shape}"
        )
    return displacement, ndim
