"""Rules that fuse two images without a network, each in its usual form.

All take grey images ``(rows, columns)`` in [0, 1] and answer one of the same shape, which may be a
little beyond that range.
"""

from collections.abc import Callable

import keras
import numpy as np
from scipy import ndimage

from tfreg import ops

Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]
_WAVELET, _LEVELS = "db2", 4
_BASE = 31  # side of the means that part base and detail
_FOR_BASE, _FOR_DETAIL = (45, 0.3), (7, 1e-6)  # radius and regularisation of guided filters
_DARK = 1 / 255


def average(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The mean of both."""
    return (first + second) / 2


def laplacian(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of both Laplacian pyramids the larger coefficients, and the mean of the last level."""
    pyramids = [_arrays(ops.laplacian_pyramid(_batch(image))) for image in (first, second)]
    *fine, last = [_larger(a, b) for a, b in zip(*pyramids, strict=True)]
    last = average(pyramids[0][-1], pyramids[1][-1])
    return _image(ops.collapse_laplacian([*fine, last]))


def wavelet(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of both discrete wavelet transforms the larger details, and the mean of the rest."""
    import pywt

    (rest, *details), (other_rest, *others) = (
        pywt.wavedec2(image, _WAVELET, level=_LEVELS) for image in (first, second)
    )
    chosen = [
        tuple(_larger(a, b) for a, b in zip(level, other, strict=True))
        for level, other in zip(details, others, strict=True)
    ]
    fused = pywt.waverec2([average(rest, other_rest), *chosen], _WAVELET)
    return fused[: first.shape[0], : first.shape[1]]


def guided_filter(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Weights of saliency, smoothed along the edges of each image, for base and for detail.

    Reference:
        S. Li, X. Kang and J. Hu, Image fusion with guided filtering, IEEE Transactions on Image
        Processing 22(7), 2013.
    """
    images = first, second
    bases = [ndimage.uniform_filter(image, _BASE) for image in images]
    salient = [ndimage.gaussian_filter(np.abs(ndimage.laplace(im)), 5, radius=5) for im in images]
    more = (salient[0] > salient[1]).astype("float64")
    fused = np.zeros(first.shape)
    for parts, (radius, epsilon) in (
        (bases, _FOR_BASE),
        ([image - base for image, base in zip(images, bases, strict=True)], _FOR_DETAIL),
    ):
        maps = (more, 1 - more)
        weights = [_guided(m, im, radius, epsilon) for m, im in zip(maps, images, strict=True)]
        weights = [np.clip(weight, 0, 1) for weight in weights]
        total = np.maximum(weights[0] + weights[1], 1e-12)
        fused += sum(w * part for w, part in zip(weights, parts, strict=True)) / total
    return fused


def ratio_pyramid(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of both pyramids of ratios, each level by the next one expanded, the higher contrast.

    Reference:
        A. Toet, Image fusion by a ratio of low-pass pyramid, Pattern Recognition Letters 9(4),
        1989.
    """
    ratios, lasts = [], []
    for image in (first, second):
        batch = _batch(image + _DARK)
        levels = [_arrays(make(batch)) for make in (ops.gaussian_pyramid, ops.laplacian_pyramid)]
        # A level less its Laplacian is the next level, expanded.
        expanded = [g - fine for g, fine in zip(*levels, strict=True)][:-1]
        ratios.append([g / e for g, e in zip(levels[0], expanded, strict=False)])
        lasts.append(levels[0][-1])
    fused = average(*lasts)
    for one, other in zip(*(reversed(levels) for levels in ratios), strict=True):
        stronger = np.where(np.abs(one - 1) > np.abs(other - 1), one, other)
        fused = stronger * _arrays([ops.collapse_laplacian([np.zeros_like(one), fused])])[0]
    return _image(fused) - _DARK


RULES: dict[str, Rule] = {
    "average": average,
    "maximum": np.maximum,
    "laplacian": laplacian,
    "wavelet": wavelet,
    "guided filter": guided_filter,
    "ratio pyramid": ratio_pyramid,
}


def _larger(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.where(np.abs(one) > np.abs(other), one, other)


def _guided(image: np.ndarray, guide: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """An image as a linear function of a guide within each window (He, Sun and Tang, 2013)."""

    def mean(values: np.ndarray) -> np.ndarray:
        return ndimage.uniform_filter(values, 2 * radius + 1)

    slope = mean(image * guide) - mean(image) * mean(guide)
    slope = slope / (mean(guide * guide) - mean(guide) ** 2 + epsilon)
    rest = mean(image) - slope * mean(guide)
    return mean(slope) * guide + mean(rest)


def _batch(image: np.ndarray) -> np.ndarray:
    return image.astype("float32")[None, ..., None]


def _arrays(levels: list) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(level) for level in levels]


def _image(batch: object) -> np.ndarray:
    return keras.ops.convert_to_numpy(batch)[0, ..., 0]
