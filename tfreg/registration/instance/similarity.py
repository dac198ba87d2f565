"""Similarities, by name or of one's own: one value per pair, higher is better."""

import functools
import math
import numbers
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from tfreg import losses
from tfreg.errors import InputError
from tfreg.features import PAIRS
from tfreg.losses.means import weighted_sum
from tfreg.registration.images import unit_scale, without_outliers

# The mean squared difference between the descriptors of two images of white noise, in 2-D and 3-D.
_MIND_OF_NOISE = {2: 0.242, 3: 0.138}


def mind(fixed: Any, moved: Any, mask: Any = None) -> Any:
    """Minus the mean squared difference of descriptors: 0 of equal ones, -1 of white noise."""
    return -losses.mse(fixed, moved, mask=mask) / _MIND_OF_NOISE[len(fixed.shape) - 2]


SIMILARITIES: dict[str, Callable] = {
    "ncc": losses.ncc,
    "lncc": losses.lncc,
    "lncc5": functools.partial(losses.lncc, window=5),
    "mind": mind,
    "mi": functools.partial(
        losses.mutual_information, fixed_range=(0.0, 1.0), moved_range=(0.0, 1.0)
    ),
    "ngf": lambda *images, **options: -losses.ngf(*images, **options),
    "mse": lambda *images, **options: -losses.mse(*images, **options),
}
# These see single voxels, so they can be computed from some of them.
VOXELWISE = ("ncc", "mind", "mi", "mse")
# By so much a similarity of two images of white noise is below that of an image with itself (of MI
# it is the entropy of what is shown, a few nats): the units in which the terms of a sum count.
_UNITS = {"mse": {2: 1 / 6, 3: 1 / 6}, "ngf": {2: 0.15, 3: 0.172}}


@dataclass(frozen=True)
class WeightedSum:
    """``sum_k w_k S_k / c_k / sum_k w_k``: several similarities as one, in one loop.

    ``c_k`` is what white noise loses to an image compared with itself at full resolution, so that
    there terms of one weight count alike: 1 of ``ncc``, ``lncc`` and ``mind``, 1/6 of ``mse`` and
    about as much of ``ngf`` (0.15 in 2-D, 0.172 in 3-D); of ``mi`` it is one nat. Since the weights
    are divided by their sum, the weight of a regulariser means beside a sum what it means beside
    one of them.

    Attributes:
        terms: names and weights.
    """

    terms: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        return ",".join(f"{name}={weight:g}" for name, weight in self.terms)


Similarity = str | Callable[[Any, Any, Any], Any] | Mapping[str, float] | WeightedSum


def as_similarity(given: Any) -> Any:
    """A name, a function, or the sum that a mapping of names to weights means.

    Raises:
        InputError: on an unknown name, a weight that is not positive, or anything else.

    Example:

    >>> from tfreg.registration.instance.similarity import as_similarity
    >>> str(as_similarity({"lncc": 1, "mind": 0.5})), as_similarity({"mind": 3})
    ('lncc=1,mind=0.5', 'mind')
    """
    if isinstance(given, WeightedSum):
        return given
    if isinstance(given, Mapping):
        for name, weight in given.items():
            real = isinstance(weight, numbers.Real) and not isinstance(weight, bool)
            if not isinstance(name, str) or name not in SIMILARITIES:
                raise InputError(
                    f"A sum has similarities of {tuple(SIMILARITIES)}. Received: {name!r}"
                )
            if not real or not math.isfinite(weight) or weight <= 0:
                raise InputError(
                    f"The weight of {name} must be positive; leave out what is not to count. "
                    f"Received: {weight!r}"
                )
        terms = tuple((name, float(weight)) for name, weight in given.items())
        if terms:
            return terms[0][0] if len(terms) == 1 else WeightedSum(terms)
    known = isinstance(given, str) and given in SIMILARITIES
    if not known and not (callable(given) and isinstance(given, Hashable)):
        raise InputError(
            f"similarity must be one of {tuple(SIMILARITIES)}, a mapping of some of them to "
            f"weights, or a function (fixed, moved, mask). Received: similarity={given}"
        )
    return given


def names_of(similarity: Similarity) -> tuple[str, ...]:
    """The named similarities that one is made of; none of a function."""
    if isinstance(similarity, WeightedSum):
        return tuple(name for name, _ in similarity.terms)
    return (similarity,) if isinstance(similarity, str) else ()


def unit_of(name: str, ndim: int) -> float:
    """What white noise loses of a similarity to an image compared with itself, see
    :class:`WeightedSum`."""
    return _UNITS[name][ndim] if name in _UNITS else 1.0


def depth(similarity: Similarity, channels: int, ndim: int) -> int:
    """How many channels it sees of an image: intensities first, then descriptors."""
    names = names_of(similarity)
    if "mind" not in names:
        return channels
    return PAIRS[ndim] + (channels if len(names) > 1 else 0)


def quick_ncc(fixed: Any, moved: Any, mask: Any = None) -> Any:
    """NCC of images in [-1/2, 1/2], from sums that one pass over the images makes.

    ``losses.ncc`` centres the images first, which is exact for any image and takes longer. Here the
    caller has centred the range; the loss of precision is about 1e-5. Nothing is computed on the
    moved image before its sums, else XLA samples it once for each. A constant image gives 0.
    """
    total = functools.partial(weighted_sum, mask=None)
    count: Any = 1.0
    for size in fixed.shape[1:]:
        count *= size
    weighted = fixed
    sum_moved, square_moved = total(moved), total(moved * moved)
    if mask is not None:
        weighted = fixed * mask
        count = ops.maximum(total(mask), 1e-6) * fixed.shape[-1]
        sum_moved, square_moved = total(moved * mask), total(moved * moved * mask)
    sum_fixed, square_fixed, product = (
        total(v) for v in (weighted, weighted * fixed, weighted * moved)
    )
    floor = 1e-7 * count  # a standard deviation of 3e-4 of the range
    # Never below the floor: of many voxels with little contrast rounding is as large.
    variance_fixed = ops.maximum(square_fixed - sum_fixed * sum_fixed / count, 0.0) + floor
    variance_moved = ops.maximum(square_moved - sum_moved * sum_moved / count, 0.0) + floor
    covariance = product - sum_fixed * sum_moved / count
    return covariance / ops.sqrt(variance_fixed * variance_moved)


def similarity_of(
    similarity: Similarity, quick: bool = False, spacing: tuple[float, ...] | None = None
) -> Callable[..., Any]:
    """The function ``(fixed, moved, mask) -> (batch,)`` behind a name.

    Args:
        similarity: its name, a sum, or that very function, which comes back as it is. A sum with
            ``mind`` sees the intensities first, then the descriptors.
        quick: inside a loop, for images scaled by :func:`scaled_for`.
        spacing: size of a voxel per axis, for ``ngf``, which alone looks at slopes.

    """
    if isinstance(similarity, WeightedSum):
        return _sum_of(similarity, quick, spacing)
    if not isinstance(similarity, str):
        return similarity
    if quick and similarity == "ncc":
        return quick_ncc
    options = {"spacing": spacing} if similarity == "ngf" else {}
    found = SIMILARITIES[similarity]
    return lambda fixed, moved, mask: found(fixed, moved, mask=mask, **options)


def _sum_of(similarity: WeightedSum, quick: bool, spacing: tuple[float, ...] | None) -> Callable:
    names = names_of(similarity)
    functions = {name: similarity_of(name, quick, spacing) for name in names}
    whole = sum(weight for _, weight in similarity.terms)

    def compare(fixed: Any, moved: Any, mask: Any) -> Any:
        ndim = len(fixed.shape) - 2
        split = fixed.shape[-1] - (PAIRS[ndim] if "mind" in names else 0)
        total: Any = 0.0
        for name, weight in similarity.terms:
            part = slice(split, None) if name == "mind" else slice(0, split)
            images = [image[..., part] for image in (fixed, moved)]
            if quick and name == "ncc":  # which wants the range about zero
                images = [image - 0.5 for image in images]
            share = weight / unit_of(name, ndim)
            total = total + share * functions[name](*images, mask)
        return total / whole

    return compare


def name_of(similarity: Similarity) -> str:
    """What to call a similarity."""
    if isinstance(similarity, (str, WeightedSum)):
        return str(similarity)
    return getattr(similarity, "__name__", type(similarity).__name__)


def scaled_for(
    similarity: Similarity, images: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], tuple]:
    """Both images ``(batch, *spatial, channels)`` scaled to [0, 1], for ``ncc`` to [-1/2, 1/2].

    The range is that of each image less its outliers, within its mask if it has one, and what
    exceeds it is clipped: hot voxels, and padding or metal beside the organ, do not squeeze the
    contrast of the organ. For ``mse``, alone or in a sum, there is one range for both, since to it
    intensities mean the same in both images: that of the images with masks, if any has one. A
    function of one's own sees the images as they are.

    Args:
        similarity: the similarity.
        images: ``"fixed"`` and ``"moving"``; their masks, where there are any.

    Returns:
        The scaled images, and the ``low`` and ``scale`` of the moving ones, see
        :func:`tfreg.registration.images.unit_scale`.
    """
    if callable(similarity):
        one = np.ones((len(images["fixed"]), *(1,) * (images["fixed"].ndim - 1)), "float32")
        return {key: images[key] for key in ("fixed", "moving")}, (0 * one, one)
    usual = {key: np.stack([*map(without_outliers, images[key])]) for key in ("fixed", "moving")}
    found = {key: unit_scale(usual[key], images.get(f"{key}_mask")) for key in usual}
    if "mse" in names_of(similarity):
        masked = [key for key in found if f"{key}_mask" in images] or list(found)
        low = functools.reduce(np.minimum, (found[key][0] for key in masked))
        high = functools.reduce(
            np.maximum, (found[key][0].astype("float64") + 1 / found[key][1] for key in masked)
        )
        found = dict.fromkeys(found, (low, 1 / (high - low)))
    units = {}
    for key, (low, scale) in found.items():
        scaled = ((images[key] - low.astype("float64")) * scale).astype("float32")
        units[key] = np.clip(scaled, 0, 1) - np.float32(0.5 if similarity == "ncc" else 0.0)
    return units, found["moving"]
