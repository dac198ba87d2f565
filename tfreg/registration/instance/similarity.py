"""Similarities, by name or of one's own: one value per pair, higher is better."""

import functools
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from keras import ops

from tfreg import losses
from tfreg.errors import InputError
from tfreg.losses.means import weighted_sum
from tfreg.registration.images import unit_scale, without_outliers

Similarity = str | Callable[[Any, Any, Any], Any]

SIMILARITIES: dict[str, Callable] = {
    "ncc": losses.ncc,
    "lncc": losses.lncc,
    "mi": functools.partial(
        losses.mutual_information, fixed_range=(0.0, 1.0), moved_range=(0.0, 1.0)
    ),
    "ngf": lambda *images, **options: -losses.ngf(*images, **options),
    "mse": lambda *images, **options: -losses.mse(*images, **options),
}
# These see single voxels, so they can be computed from some of them.
VOXELWISE = ("ncc", "mi", "mse")


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
        similarity: its name; or that very function, which comes back as it is.
        quick: inside a loop, for images scaled by :func:`scaled_for`.
        spacing: size of a voxel per axis, for ``ngf``, which alone looks at slopes.

    Raises:
        InputError: on an unknown name, or what is neither a name nor a function.
    """
    if callable(similarity) and isinstance(similarity, Hashable):
        return similarity
    if not isinstance(similarity, str) or similarity not in SIMILARITIES:
        raise InputError(
            f"similarity must be one of {tuple(SIMILARITIES)}, or a function (fixed, moved, mask). "
            f"Received: similarity={similarity}"
        )
    if quick and similarity == "ncc":
        return quick_ncc
    options = {"spacing": spacing} if similarity == "ngf" else {}
    found = SIMILARITIES[similarity]
    return lambda fixed, moved, mask: found(fixed, moved, mask=mask, **options)


def name_of(similarity: Similarity) -> str:
    """What to call a similarity."""
    if isinstance(similarity, str):
        return similarity
    return getattr(similarity, "__name__", type(similarity).__name__)


def scaled_for(
    similarity: Similarity, images: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], tuple]:
    """Both images ``(batch, *spatial, channels)`` scaled to [0, 1], for ``ncc`` to [-1/2, 1/2].

    The range is that of each image less its outliers, within its mask if it has one, and what
    exceeds it is clipped: hot voxels, and padding or metal beside the organ, do not squeeze the
    contrast of the organ. For ``mse``, to which intensities mean the same in both images, there is
    one range for both: that of the images with masks, if any has one. A function of one's own sees
    the images as they are.

    Args:
        similarity: the similarity.
        images: ``"fixed"`` and ``"moving"``; their masks, where there are any.

    Returns:
        The scaled images, and the ``low`` and ``scale`` of the moving ones, see
        :func:`tfreg.registration.images.unit_scale`.
    """
    if not isinstance(similarity, str):
        one = np.ones((len(images["fixed"]), *(1,) * (images["fixed"].ndim - 1)), "float32")
        return {key: images[key] for key in ("fixed", "moving")}, (0 * one, one)
    usual = {key: np.stack([*map(without_outliers, images[key])]) for key in ("fixed", "moving")}
    found = {key: unit_scale(usual[key], images.get(f"{key}_mask")) for key in usual}
    if similarity == "mse":
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
