"""How unlike the features of two images are: by squared differences, or by centred cosine.

With the empty-space mask, and without the share of the features that differ most (the paper's loss
drop).
"""

from collections.abc import Callable
from typing import Any

from keras import ops

from tfreg.errors import InputError
from tfreg.losses.means import mean_per_channel, weighted_mean
from tfreg.ops.precision import at_least_float32

SIMILARITIES = ("squared", "centred")
_HALVINGS = 20  # of the threshold: its place is known to a millionth of the largest error
_TINY = 1e-12


def distance(reference: Any, found: Any, mask: Any, drop: Any, similarity: str) -> Any:
    """``sum_x M(x) |r(x) - f(x)|^2`` over the features that are kept, as a mean.

    Args:
        reference: features ``(batch, height, width, channels)`` of the fixed image.
        found: those of the moved one.
        mask: ``(batch, height, width, 1)`` of weights >= 0.
        drop: the share of the features, those with the largest errors, that do not count; a
            scalar, 0 for none.
        similarity: ``"squared"``: differences relative to the variance of the reference.
            ``"centred"``: each channel without its mean, all scaled to one length: 1 minus the
            cosine between both.

    Returns:
        Tensor ``(batch,)``, 0 for equal features.
    """
    if similarity == "centred":
        reference, found = _standardised(reference, mask), _standardised(found, mask)
        scale = 0.5
    else:
        centred = reference - mean_per_channel(reference, mask)
        scale = 1 / _per_item(weighted_mean(centred * centred, mask) + _TINY, reference)
    difference = reference - found
    errors = scale * ops.mean(difference * difference, axis=-1, keepdims=True)
    return weighted_mean(errors, mask * kept(ops.stop_gradient(errors), mask, drop))


def kept(errors: Any, weights: Any, drop: Any) -> Any:
    """1 where an error is not among the largest, 0 where it is; their share is at most ``drop``.

    The threshold is found by bisection, which a compiled loop does in a fraction of the time of a
    sort.

    Args:
        errors: tensor ``(batch, ...)``, 0 or more.
        weights: of the same shape, with which shares are counted.
        drop: a scalar below 1.

    Returns:
        Tensor of the shape of ``errors``.
    """
    axes = tuple(range(1, len(errors.shape)))
    total = ops.sum(weights, axis=axes, keepdims=True)
    high = ops.max(errors, axis=axes, keepdims=True)
    low = ops.zeros_like(high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = ops.cast(errors > middle, errors.dtype)
        few = ops.sum(weights * above, axis=axes, keepdims=True) <= drop * total
        low, high = ops.where(few, low, middle), ops.where(few, middle, high)
    return ops.cast(errors <= high, errors.dtype)


def averaged(values: Any, factor: int) -> Any:
    """Means of blocks of ``factor`` pixels along both axes; what does not fill a block is left out.

    A reshape and a mean: XLA has a slow gradient for pooling.
    """
    height, width = (n // factor for n in values.shape[1:3])
    values = values[:, : height * factor, : width * factor]
    blocks = ops.reshape(values, (-1, height, factor, width, factor, values.shape[-1]))
    return ops.mean(blocks, axis=(2, 4))


class FeatureSimilarity:
    """Minus the distance of features: a similarity for :func:`tfreg.registration.register`.

    The encoder sees the intensities as they were given, whatever it was trained on. Its
    convolutions are quick within the compiled loop where they are
    :class:`tfreg.layers.Convolution2D`.

    Args:
        encoder: images ``(batch, height, width, channels)`` to features on a grid that is coarser
            by a whole factor, the same along both axes: any Keras model, or function in
            ``keras.ops``, that pads. It is not trained.
        similarity, drop: of :func:`distance`.

    Raises:
        InputError: on an unknown similarity, or a drop that is no share.

    Example:

    >>> import keras, numpy as np
    >>> from tfreg.registration import register
    >>> from zoo.ssemnet.similarity import FeatureSimilarity
    >>> blurred = keras.Sequential([keras.Input((None, None, 1)), keras.layers.AveragePooling2D(2)])
    >>> y, x = np.mgrid[:32, :32]
    >>> disc = ((y - 15) ** 2 + (x - 15) ** 2 < 60).astype("float32")
    >>> similarity = FeatureSimilarity(blurred)
    >>> answer = register(disc, np.roll(disc, 2, axis=1), "translation", similarity=similarity)
    >>> round(float(answer.displacement[16, 16, 1]), 1)
    2.0
    """

    def __init__(
        self, encoder: Callable[[Any], Any], similarity: str = "centred", drop: float = 0.0
    ) -> None:
        check_similarity(similarity)
        if not 0 <= drop < 1:
            raise InputError(f"drop must be 0 or more and below 1. Received: drop={drop}")
        self.encoder = encoder
        self.similarity = similarity
        self.drop = drop

    @property
    def __name__(self) -> str:
        return f"features ({self.similarity})"

    def __call__(self, fixed: Any, moved: Any, mask: Any) -> Any:
        reference, found = (at_least_float32(self.encoder(image)) for image in (fixed, moved))
        factor = fixed.shape[1] // max(reference.shape[1], 1)
        if factor < 1 or tuple(n // factor for n in fixed.shape[1:3]) != reference.shape[1:3]:
            raise InputError(
                "The features of an encoder must be coarser than its images by a whole factor, "
                f"the same along both axes. Received: {tuple(reference.shape[1:3])} of images of "
                f"{tuple(fixed.shape[1:3])} px"
            )
        mask = ops.ones_like(fixed[..., :1]) if mask is None else mask
        mask = averaged(mask, factor)
        return -distance(reference, found, mask, self.drop, self.similarity)


def check_similarity(similarity: str) -> None:
    """Raises ``InputError`` on an unknown one."""
    if similarity not in SIMILARITIES:
        raise InputError(
            f"similarity must be one of {SIMILARITIES}. Received: similarity={similarity!r}"
        )


def _standardised(features: Any, mask: Any) -> Any:
    centred = features - mean_per_channel(features, mask)
    square = weighted_mean(centred * centred, mask)
    return centred / _per_item(ops.sqrt(square + _TINY), features)


def _per_item(values: Any, like: Any) -> Any:
    return ops.reshape(values, (-1,) + (1,) * (len(like.shape) - 1))
