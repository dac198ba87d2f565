"""Normalised cross correlation over the whole image."""

from typing import Any

import keras
from keras import ops

from tfreg.losses.means import extent, inner_axes, weighted_mean, weighted_sum
from tfreg.losses.pair import prepare


def ncc(fixed: Any, moved: Any, mask: Any = None) -> Any:
    """Normalised cross correlation of each image pair, over the whole image.

    ``ncc = sum(w (f - mean f)(m - mean m)) / sqrt(sum(w (f - mean f)^2) sum(w (m - mean m)^2))``,
    with means weighted by ``w`` as well; ``w`` is the mask, or 1.

    Computed in at least float32 on centred values. Where an image is constant, correlation is not
    defined; the result is 0 and so is its gradient.

    Args:
        fixed: tensor ``(batch, *spatial, channels)``.
        moved: tensor of the same shape.
        mask: tensor ``(batch, *spatial, 1)`` of weights >= 0. Where they are all zero, the result
            is 0 and so is its gradient.

    Returns:
        Tensor ``(batch,)`` in [-1, 1].

    Raises:
        ValueError: if the shapes do not fit.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> image = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    >>> round(float(losses.ncc(image, 3 * image + 5)[0]), 5)
    1.0
    """
    fixed, moved, mask = prepare(fixed, moved, mask)
    fixed, fixed_varies = _standardise(fixed, mask)
    moved, moved_varies = _standardise(moved, mask)
    covariance = weighted_sum(fixed * moved, mask)
    squares = weighted_sum(fixed * fixed, mask) * weighted_sum(moved * moved, mask)
    # Tiny weights can bring the product to zero although both images vary.
    defined = ops.logical_and(ops.logical_and(fixed_varies, moved_varies), squares > 0)
    # The inner where keeps the root from zero: the gradient of the unused branch is finite too.
    safe = ops.where(defined, squares, ops.ones_like(squares))
    return ops.where(defined, covariance / ops.sqrt(safe), ops.zeros_like(covariance))


def _standardise(images: Any, mask: Any) -> tuple[Any, Any]:
    """Centres each image and brings it to order 1, and tells whether it varies beyond rounding."""
    low, high, varies = extent(images, mask, inner_axes(images))
    # Correlation does not depend on the scale, so no gradient flows through it.
    scale = ops.stop_gradient(ops.where(varies, high - low, ops.ones_like(low)))
    images = (images - low) / scale
    images = images - ops.reshape(weighted_mean(images, mask), ops.shape(low))
    return images, ops.reshape(varies, (-1,))


@keras.saving.register_keras_serializable(package="tfreg")
class NCC(keras.losses.Loss):
    """The loss ``-NCC``, per image, averaged over the batch.

    Args:
        name: name of the loss.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> image = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype("float32")
    >>> round(float(losses.NCC()(image, image)), 5)
    -1.0

    Reference:
        de Vos et al., End-to-end unsupervised deformable image registration with a convolutional
        neural network, DLMIA 2017.
    """

    def __init__(self, name: str = "ncc", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return -ncc(y_true, y_pred)
