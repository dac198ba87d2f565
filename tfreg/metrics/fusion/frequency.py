"""Spatial frequency: how much an image changes from pixel to pixel."""

import numpy as np
from numpy.typing import ArrayLike

from tfreg.metrics._checks import as_domain
from tfreg.metrics.fusion.images import as_images


def spatial_frequency(fused: ArrayLike, mask: ArrayLike | None = None) -> float:
    """``sqrt(RF^2 + CF^2)``: the mean squared steps along rows and along columns.

    The sums of both are divided by the number of all pixels, not of the steps.

    Args:
        fused: ``(rows, columns)``, in the unit of the answer.
        mask: which pixels count; a step does where both of its ends do.

    Returns:
        Greys per pixel.

    Raises:
        ValueError: on an image that is not grey and finite, or a mask of another shape.

    Example:

    >>> from tfreg.metrics import fusion
    >>> fusion.spatial_frequency([[0, 2], [0, 2]])
    1.4142135623730951

    Reference:
        A. Eskicioglu and P. Fisher, Image quality measures and their performance, IEEE Transactions
        on Communications 43(12), 1995.
    """
    (image,) = as_images(fused)
    domain = as_domain(mask, image.shape)
    total = 0.0
    for axis in (0, 1):
        ends = np.moveaxis(domain, axis, 0)
        steps = np.diff(np.moveaxis(image, axis, 0), axis=0)
        total += (steps[ends[1:] & ends[:-1]] ** 2).sum()
    return float(np.sqrt(total / domain.sum()))
