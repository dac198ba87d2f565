"""Rules that fuse two images without a network, each in its usual form.

All take grey images ``(rows, columns)`` in [0, 1] and answer one of the same shape, which may be a
little beyond that range. Pyramids and wavelets have four levels.
"""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from scipy import ndimage

from tfreg import ops

Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]
_WAVELET, _LEVELS = "db2", 4
_BASE = 31  # side of the means that part base and detail
_FOR_BASE, _FOR_DETAIL = (45, 0.3), (7, 1e-6)  # radius and regularisation of guided filters
_BLUR = 5  # standard deviation and radius of the Gaussian over what is salient
_DARK, _WHITE = 1 / 255, 255


def average(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The mean of both."""
    return (first + second) / 2


def laplacian(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of both Laplacian pyramids the larger coefficients, and the mean of the last level."""
    return _by_pyramids(_laplacian, first, second)


def wavelet(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of both discrete wavelet transforms the larger details, and the mean of the rest."""
    import pywt

    (rest, *details), (other_rest, *others) = (
        pywt.wavedec2(image, _WAVELET, level=_LEVELS) for image in (first, second)
    )
    chosen = [
        tuple(np.where(np.abs(a) > np.abs(b), a, b) for a, b in zip(level, other, strict=True))
        for level, other in zip(details, others, strict=True)
    ]
    fused = pywt.waverec2([average(rest, other_rest), *chosen], _WAVELET)
    return fused[: first.shape[0], : first.shape[1]]


def guided_filter(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Weights of saliency, smoothed along the edges of each image, for base and for detail.

    As its authors' code has it: where both images are as salient the first one is taken, weights
    are of 8 bits, and beyond their border images go on as they end, while windows of the guided
    filter are cut off.

    Reference:
        S. Li, X. Kang and J. Hu, Image fusion with guided filtering, IEEE Transactions on Image
        Processing 22(7), 2013.
    """
    images = first, second
    bases = [ndimage.uniform_filter(image, _BASE, mode="nearest") for image in images]
    details = [image - base for image, base in zip(images, bases, strict=True)]
    salient = [
        ndimage.gaussian_filter(
            np.abs(ndimage.laplace(image, mode="nearest")), _BLUR, radius=_BLUR, mode="nearest"
        )
        for image in images
    ]
    more = (salient[0] >= salient[1]).astype("float64")
    fused = np.zeros(first.shape)
    for parts, (radius, epsilon) in ((bases, _FOR_BASE), (details, _FOR_DETAIL)):
        maps = zip((more, 1 - more), images, strict=True)
        weights = shares(*(_guided(one, image, radius, epsilon) for one, image in maps))
        fused += sum(weight * part for weight, part in zip(weights, parts, strict=True))
    return fused


def shares(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two weights, cut off at 0 and 1 and rounded to 8 bits, as shares of their sum.

    Example:

    >>> import numpy as np
    >>> from benchmarks.methods.fusion_rules import shares
    >>> [share.round(6).tolist() for share in shares(np.array([1.2, -0.1]), np.array([0.0, 0.001]))]
    [[1.0, 0.5], [0.0, 0.5]]
    """
    one, other = (np.rint(_WHITE * np.clip(weight, 0, 1)) + 1e-12 for weight in (one, other))
    return one / (one + other), other / (one + other)


def ratio_pyramid(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of both pyramids of ratios, each level by the next one expanded, the higher contrast.

    The contrast of a ratio ``R`` is ``|R - 1|``, as in the paper; of the last level the mean.

    Reference:
        A. Toet, Image fusion by a ratio of low-pass pyramid, Pattern Recognition Letters 9(4),
        1989.
    """
    return _by_pyramids(_ratio_pyramid, first, second)


RULES: dict[str, Rule] = {
    "average": average,
    "maximum": np.maximum,
    "laplacian": laplacian,
    "wavelet": wavelet,
    "guided filter": guided_filter,
    "ratio pyramid": ratio_pyramid,
}


def unavailable(rule: str) -> str | None:
    """Why a rule cannot run here; ``None``: it can."""
    missing = rule == "wavelet" and importlib.util.find_spec("pywt") is None
    return "left out, PyWavelets is not installed." if missing else None


def _guided(image: np.ndarray, guide: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """An image as a linear function of a guide within each window (He, Sun and Tang, 2013)."""
    width = 2 * radius + 1
    inside = ndimage.uniform_filter(np.ones(image.shape), width, mode="constant")

    def mean(values: np.ndarray) -> np.ndarray:
        return ndimage.uniform_filter(values, width, mode="constant") / inside

    slope = mean(image * guide) - mean(image) * mean(guide)
    slope = slope / (mean(guide * guide) - mean(guide) ** 2 + epsilon)
    rest = mean(image) - slope * mean(guide)
    return mean(slope) * guide + mean(rest)


def _by_pyramids(rule: Callable, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """What a compiled rule makes of two images, as tensors ``(1, rows, columns, 1)``."""
    pair = (
        keras.ops.convert_to_tensor(image[None, ..., None], "float32") for image in (first, second)
    )
    return keras.ops.convert_to_numpy(_compiled(rule)(*pair))[0, ..., 0]


@functools.cache
def _compiled(rule: Callable) -> Callable:
    return ops.compiled(rule)


def _laplacian(first: Any, second: Any) -> Any:
    levels = zip(*(ops.laplacian_pyramid(im, _LEVELS) for im in (first, second)), strict=True)
    *fine, last = levels
    return ops.collapse_laplacian([*(_farther(a, b, 0.0) for a, b in fine), average(*last)])


def _ratio_pyramid(first: Any, second: Any) -> Any:
    ratios, lasts = [], []
    for image in (first + _DARK, second + _DARK):
        levels = ops.gaussian_pyramid(image, _LEVELS)
        *fine, last = ops.laplacian_pyramid(image, _LEVELS)
        # A level less its Laplacian is the next level, expanded.
        ratios.append([level / (level - own) for level, own in zip(levels, fine, strict=False)])
        lasts.append(last)
    fused = average(*lasts)
    for one, other in zip(*map(reversed, ratios), strict=True):
        expanded = ops.collapse_laplacian([keras.ops.zeros_like(one), fused])
        fused = _farther(one, other, 1.0) * expanded
    return fused - _DARK


def _farther(one: Any, other: Any, middle: float) -> Any:
    """Of each two values the one that is further from a third."""
    distances = (keras.ops.abs(values - middle) for values in (one, other))
    return keras.ops.where(keras.ops.greater(*distances), one, other)
