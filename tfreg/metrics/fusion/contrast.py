"""Q_CB: how much of the contrast that an eye sees a fused image keeps."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from tfreg.metrics._checks import as_domain
from tfreg.metrics.fusion.images import as_images, stretched

_WIDE, _NARROW, _LESS = 15.3870, 1.3456, 0.7622  # of the contrast sensitivity, in cycles
_VIEW = 30  # pixels per unit of frequency
_RADIUS, _FINE, _COARSE = 15, 2.0, 4.0  # of the Gaussians of local contrast, in pixels
_SATURATION = 1e-4


def q_cb(
    first: ArrayLike, second: ArrayLike, fused: ArrayLike, mask: ArrayLike | None = None
) -> float:
    """Contrast of two images that a fused one keeps, as an eye sees it.

    Each image is scaled to 0 to 255 and rounded, filtered in frequency by the sensitivity ``S(r) =
    exp(-(r / 15.387)^2) - 0.7622 exp(-(r / 1.3456)^2)``, where the highest frequency of an axis of
    ``n`` pixels is ``n / 30``, and its masked contrast is::

        C = |G_2 * I / (G_4 * I) - 1|,  C' = C^3 / (C^2 + 1e-4)

    with Gaussians of 2 and 4 pixels, 31x31, not normalised, zeros beyond the border. Then::

        Q_A = min(C'_A / C'_F, C'_F / C'_A),  l = C'_A^2 / (C'_A^2 + C'_B^2)
        Q_CB = mean of l Q_A + (1 - l) Q_B

    Where two contrasts are both 0, their ratio is 1 and ``l`` a half.

    Args:
        first, second, fused: ``(rows, columns)``.
        mask: which pixels count.

    Returns:
        0 to 1.

    Raises:
        ValueError: on images that do not fit.

    Example:

    >>> import numpy as np
    >>> from tfreg.metrics import fusion
    >>> image = np.random.default_rng(0).random((40, 40))
    >>> round(fusion.q_cb(image, image, image), 6)
    1.0

    Reference:
        Y. Chen and R. Blum, A new automated quality assessment algorithm for image fusion, Image
        and Vision Computing 27(10), 2009.
    """
    images = as_images(first, second, fused)
    domain = as_domain(mask, images[0].shape)
    a, b, f = (_contrast(_as_seen(stretched(image))) for image in images)
    both = a**2 + b**2
    share = np.where(both > 0, a**2 / np.where(both > 0, both, 1), 0.5)
    found = share * _ratio(a, f) + (1 - share) * _ratio(b, f)
    return float(found[domain].mean())


def _as_seen(image: np.ndarray) -> np.ndarray:
    """An image filtered by the sensitivity to contrast."""
    axes = (2 * np.fft.fftfreq(size) * size / _VIEW for size in image.shape)
    squared = sum(np.meshgrid(*(axis**2 for axis in axes), indexing="ij"))
    sensitivity = np.exp(-squared / _WIDE**2) - _LESS * np.exp(-squared / _NARROW**2)
    return np.fft.ifft2(np.fft.fft2(image) * sensitivity).real


def _contrast(image: np.ndarray) -> np.ndarray:
    """Local contrast after masking; none where there is no light."""
    fine, coarse = (_blurred(image, sigma) for sigma in (_FINE, _COARSE))
    lit = coarse != 0
    contrast = np.where(lit, np.abs(fine / np.where(lit, coarse, 1) - 1), 0)
    return contrast**3 / (contrast**2 + _SATURATION)


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    taps = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / sigma) ** 2)
    taps /= np.sqrt(2 * np.pi) * sigma
    for axis in (0, 1):
        image = ndimage.correlate1d(image, taps, axis, mode="constant")
    return image


def _ratio(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    lower, higher = np.minimum(one, other), np.maximum(one, other)
    return np.where(higher > 0, lower / np.where(higher > 0, higher, 1), 1)
