"""What the loss of DLIR calls alike: NCC as the paper, or declared variants."""

import functools
from collections.abc import Callable
from typing import Any

from keras import ops as keras_ops

from tfreg import losses
from tfreg.errors import InputError

SIMILARITIES = ("ncc", "lncc", "mind")
# Of the squared difference of two descriptors, whose 12 values are between 0 and 1: as NCC and
# LNCC do, the similarity then goes from well below 0.9 to 1 as two scans are brought together.
_MIND_WEIGHT = 5.0


def similarity_of(name: str) -> Callable[[Any, Any, Any], Any]:
    """A similarity ``(fixed, moved, mask) -> (batch,)``, 1 for equal images.

    Args:
        name: ``"ncc"``; ``"lncc"``: squared NCC in windows of 9 voxels, which the density of a lung
            that changes as it breathes matters less to; ``"mind"``: 1 less the mean squared
            difference of the descriptors MIND-SSC, times 5.

    Raises:
        InputError: where tfreg has no such descriptors.

    Example:

    >>> import numpy as np
    >>> from zoo.dlir.similarities import similarity_of
    >>> image = np.random.default_rng(0).random((1, 8, 8, 8, 1)).astype("float32")
    >>> round(float(similarity_of("ncc")(image, 2 * image, None)[0]), 4)
    1.0
    """
    if name == "ncc":
        return losses.ncc
    if name == "lncc":
        return lambda fixed, moved, mask: losses.lncc(fixed, moved, mask=mask)
    try:
        from tfreg.features import mind_ssc
    except ImportError as error:
        raise InputError(
            "similarity='mind' needs tfreg.features.mind_ssc, which this tfreg lacks."
        ) from error
    return functools.partial(_mind, mind_ssc)


def _mind(mind_ssc: Callable, fixed: Any, moved: Any, mask: Any) -> Any:
    difference = keras_ops.square(mind_ssc(fixed) - mind_ssc(moved))
    difference = keras_ops.mean(difference, axis=-1, keepdims=True)
    weights = keras_ops.ones_like(difference) if mask is None else mask
    axes = tuple(range(1, len(difference.shape)))
    total = keras_ops.maximum(keras_ops.sum(weights, axis=axes), 1e-6)
    return 1 - _MIND_WEIGHT * keras_ops.sum(weights * difference, axis=axes) / total
