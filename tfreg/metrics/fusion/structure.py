"""Measures of structure: Q_Y and the mean SSIM to both sources."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from tfreg.metrics._checks import as_domain
from tfreg.metrics.fusion.images import WHITE, as_images

_SIGMA = 1.5
_ALIKE = 0.75  # SSIM of the sources, from which both are to be seen


class _Map(NamedTuple):
    """SSIM of two images where a whole window fits, and the variance of each within it."""

    values: np.ndarray
    first: np.ndarray
    second: np.ndarray


def q_y(
    first: ArrayLike, second: ArrayLike, fused: ArrayLike, mask: ArrayLike | None = None
) -> float:
    """Structure of two images that a fused one keeps: of both where they are alike, else of one.

    With SSIM over windows of 7x7, a Gaussian of 1.5 pixels, ``C1 = C2 = 2e-16``, where a whole
    window fits, and the share ``l = var_A / (var_A + var_B)``, a half where both are 0::

        Q = l SSIM(A, F) + (1 - l) SSIM(B, F)   where SSIM(A, B) >= 0.75
        Q = max(SSIM(A, F), SSIM(B, F))         elsewhere

    Args:
        first, second, fused: ``(rows, columns)``, 7x7 pixels or more.
        mask: which pixels count.

    Returns:
        -1 to 1, the mean of ``Q``; NaN where no whole window is about a pixel that counts.

    Raises:
        ValueError: on images that do not fit.

    Example:

    >>> import numpy as np
    >>> from tfreg.metrics import fusion
    >>> image = np.random.default_rng(0).random((20, 20))
    >>> round(fusion.q_y(image, 1 - image, image), 6)
    1.0

    Reference:
        C. Yang, J. Zhang, X. Wang and X. Liu, A novel similarity based quality metric for image
        fusion, Information Fusion 9(2), 2008.
    """
    a, b, f = as_images(first, second, fused, least=7)
    constants = 7, 2e-16, 2e-16
    sources, one, other = (_ssim(x, y, *constants) for x, y in ((a, b), (a, f), (b, f)))
    both = sources.first + sources.second
    share = np.where(both > 0, sources.first / np.where(both > 0, both, 1), 0.5)
    mixed = share * one.values + (1 - share) * other.values
    found = np.where(sources.values >= _ALIKE, mixed, np.maximum(one.values, other.values))
    return _mean(found, mask, a.shape, 7)


def ssim(
    first: ArrayLike, second: ArrayLike, fused: ArrayLike, mask: ArrayLike | None = None
) -> float:
    """The mean of the fused image's SSIM to each source.

    As its authors compute it: windows of 11x11, a Gaussian of 1.5 pixels, ``C1 = (0.01 255)^2``,
    ``C2 = (0.03 255)^2``, where a whole window fits.

    Args:
        first, second, fused: ``(rows, columns)``, 0 to 255, 11x11 pixels or more.
        mask: which pixels count.

    Returns:
        -1 to 1; NaN where no whole window is about a pixel that counts.

    Raises:
        ValueError: on images that do not fit.

    Example:

    >>> import numpy as np
    >>> from tfreg.metrics import fusion
    >>> image = 255 * np.random.default_rng(0).random((20, 20))
    >>> round(fusion.ssim(image, image, image), 6)
    1.0

    Reference:
        Z. Wang, A. Bovik, H. Sheikh and E. Simoncelli, Image quality assessment: from error
        visibility to structural similarity, IEEE Transactions on Image Processing 13(4), 2004.
    """
    a, b, f = as_images(first, second, fused, least=11)
    constants = 11, (0.01 * WHITE) ** 2, (0.03 * WHITE) ** 2
    maps = [_ssim(image, f, *constants).values for image in (a, b)]
    return _mean((maps[0] + maps[1]) / 2, mask, a.shape, 11)


def _ssim(x: np.ndarray, y: np.ndarray, width: int, c1: float, c2: float) -> _Map:
    mean_x, mean_y = _smoothed(x, width), _smoothed(y, width)
    flat_x, flat_y = _flat(x, width), _flat(y, width)
    # Of a flat window rounding would leave more than ``c2``, of either sign.
    var_x = np.where(flat_x, 0, _smoothed(x * x, width) - mean_x**2)
    var_y = np.where(flat_y, 0, _smoothed(y * y, width) - mean_y**2)
    covariance = np.where(flat_x | flat_y, 0, _smoothed(x * y, width) - mean_x * mean_y)
    light = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return _Map(light * (2 * covariance + c2) / (var_x + var_y + c2), var_x, var_y)


def _flat(image: np.ndarray, width: int) -> np.ndarray:
    """Where a whole window holds one value."""
    inside = slice(width // 2, -(width // 2))
    highest, lowest = ndimage.maximum_filter(image, width), ndimage.minimum_filter(image, width)
    return (highest == lowest)[inside, inside]


def _smoothed(image: np.ndarray, width: int) -> np.ndarray:
    """Weighted means where a whole window fits."""
    taps = np.exp(-0.5 * ((np.arange(width) - width // 2) / _SIGMA) ** 2)
    for axis in (0, 1):
        image = ndimage.correlate1d(image, taps / taps.sum(), axis)
    inside = slice(width // 2, -(width // 2))
    return image[inside, inside]


def _mean(values: np.ndarray, mask: ArrayLike | None, shape: tuple[int, ...], width: int) -> float:
    inside = slice(width // 2, -(width // 2))
    domain = as_domain(mask, shape)[inside, inside]
    return float(values[domain].mean()) if domain.any() else float("nan")
