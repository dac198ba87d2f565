"""Penalty on folding."""

from typing import Any

from keras import ops

from tfreg.losses.means import mean
from tfreg.ops.field import cell_determinant


def folding_penalty(displacement: Any, margin: float = 0.1) -> Any:
    """``mean(max(0, margin - det(I + grad u)))`` over the cells of the grid, per field.

    Args:
        displacement: tensor ``(batch, *spatial, ndim)`` in voxels.
        margin: determinants below this are penalised, so that folding is stopped before it begins.

    Returns:
        Tensor ``(batch,)``; 0 where the map shrinks no cell below ``margin``.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> float(losses.folding_penalty(np.zeros((1, 4, 4, 2), "float32"))[0])
    0.0
    """
    determinant = cell_determinant(displacement)
    return mean(ops.relu(margin - determinant))
