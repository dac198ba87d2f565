"""Overlap of segmentations."""

from typing import Any

import keras
from keras import ops

from tfreg.losses.means import divide
from tfreg.losses.pair import prepare


def soft_dice(fixed: Any, moved: Any, mask: Any = None) -> Any:
    """``mean_c 2 sum(w f_c m_c) / (sum(w f_c) + sum(w m_c))`` over the classes that occur.

    ``w`` is the mask, or 1. A class occurs in a pair if ``sum(w f_c) + sum(w m_c) > 0``; the
    others do not count. Leave a background channel out if it should not count either. Where no
    class occurs, the result is 0 and so is its gradient.

    Args:
        fixed: tensor ``(batch, *spatial, classes)`` in [0, 1], one-hot segmentation.
        moved: tensor of the same shape, one-hot or, after interpolation, in between.
        mask: tensor ``(batch, *spatial, 1)`` of weights >= 0. Where they are all zero, the result
            is 0 and so is its gradient.

    Returns:
        Tensor ``(batch,)`` in [0, 1]; 1 for equal one-hot segmentations.

    Raises:
        ValueError: if the shapes do not fit.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> fixed = np.eye(3, dtype="float32")[[[[0, 0, 1, 1]]]]  # class 2 does not occur
    >>> moved = np.eye(3, dtype="float32")[[[[0, 1, 1, 1]]]]
    >>> round(float(losses.soft_dice(fixed, moved)[0]), 4)  # mean of 2/3 and 4/5
    0.7333

    Reference:
        Dice, Measures of the amount of ecologic association between species, Ecology 1945; as a
        loss for registration: Balakrishnan et al., VoxelMorph, IEEE TMI 2019.
    """
    fixed, moved, mask = prepare(fixed, moved, mask)
    axes = tuple(range(1, len(fixed.shape) - 1))
    weights = 1.0 if mask is None else mask
    both = ops.sum(weights * fixed * moved, axis=axes)
    either = ops.sum(weights * (fixed + moved), axis=axes)
    occurring = ops.sum(ops.cast(either > 0, fixed.dtype), axis=-1)
    return divide(ops.sum(divide(2 * both, either), axis=-1), occurring)


@keras.saving.register_keras_serializable(package="tfreg")
class SoftDice(keras.losses.Loss):
    """The loss ``1 - soft_dice``, per pair of segmentations, averaged over the batch.

    Args:
        name: name of the loss.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> segmentation = np.eye(2, dtype="float32")[[[[0, 1, 1], [0, 0, 1]]]]
    >>> float(losses.SoftDice()(segmentation, segmentation))
    0.0
    """

    def __init__(self, name: str = "soft_dice", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return 1 - soft_dice(y_true, y_pred)
