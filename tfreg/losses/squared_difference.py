"""Mean squared difference of intensities."""

from typing import Any

from tfreg.losses.means import weighted_mean
from tfreg.losses.pair import prepare


def mse(fixed: Any, moved: Any, mask: Any = None) -> Any:
    """``sum(w (f - m)^2) / (channels sum(w))`` of each image pair.

    ``w`` is the mask, or 1. As a Keras loss, ``keras.losses.MeanSquaredError`` is the same.

    Args:
        fixed: tensor ``(batch, *spatial, channels)``.
        moved: tensor of the same shape.
        mask: tensor ``(batch, *spatial, 1)`` of weights >= 0. Where they are all zero, the result
            is 0 and so is its gradient.

    Returns:
        Tensor ``(batch,)``.

    Raises:
        ValueError: if the shapes do not fit.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> image = np.zeros((1, 4, 4, 1), "float32")
    >>> float(losses.mse(image, image + 3)[0])
    9.0
    """
    fixed, moved, mask = prepare(fixed, moved, mask)
    difference = fixed - moved
    return weighted_mean(difference * difference, mask)
