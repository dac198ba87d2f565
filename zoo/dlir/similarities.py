"""What the loss of DLIR calls alike: NCC as the paper, or declared variants."""

from collections.abc import Callable
from typing import Any

from tfreg import losses
from tfreg.features import mind_ssc

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
    return _mind


def _mind(fixed: Any, moved: Any, mask: Any) -> Any:
    return 1 - _MIND_WEIGHT * losses.mse(mind_ssc(fixed), mind_ssc(moved), mask=mask)
