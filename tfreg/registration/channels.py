"""Features in the place of intensities: channels per voxel, computed once for each image."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops

from tfreg.errors import InputError
from tfreg.losses.means import weighted_mean
from tfreg.registration.images import Pair

_FLAT = 1e-6  # share of the largest standard deviation below which a channel says nothing


class Features:
    """What describes every voxel of an image: the features of a network, or any other function.

    As ``similarity=`` of :func:`tfreg.registration.register` the channels of both images are
    computed once, at full resolution, and averaged to each level; those of the moving image are
    moved. Every channel counts alike.

    Args:
        describe: a function of one image ``(*spatial,)`` that answers ``(*spatial, channels)``,
            such as ``zoo.load(NAME).features``.
        name: what to call them.

    Raises:
        InputError: if that is no function.

    Example:

    >>> import numpy as np
    >>> from tfreg.registration import Features, register
    >>> y, x = np.mgrid[:32, :32]
    >>> disc = ((y - 15) ** 2 + (x - 15) ** 2 < 60).astype("float32")
    >>> slopes = Features(lambda image: np.stack([image, *np.gradient(image)], axis=-1), "slopes")
    >>> answer = register(disc, np.roll(disc, 2, axis=1), "translation", similarity=slopes)
    >>> answer.similarity, round(float(answer.displacement[16, 16, 1]), 1)
    ('slopes', 2.0)
    """

    def __init__(
        self, describe: Callable[[np.ndarray], np.ndarray], name: str = "features"
    ) -> None:
        if not callable(describe):
            raise InputError(
                "describe must be a function of one image, such as zoo.load(NAME).features. "
                f"Received: {describe!r}"
            )
        self.describe = describe
        self.name = name

    @property
    def __name__(self) -> str:
        return self.name

    def __call__(self, fixed: Any, moved: Any, mask: Any) -> Any:
        return nearness(fixed, moved, mask)

    def of(self, pair: Pair) -> Pair:
        """The pair with its channels in the place of intensities.

        Raises:
            InputError: on images of several channels, or features that do not fit their image.
        """
        sides = [self._channels(images) for images in (pair.fixed, pair.moving)]
        if sides[0].shape[-1] != sides[1].shape[-1]:
            raise InputError(
                f"{self.name} must have as many channels of both images. "
                f"Received: {sides[0].shape[-1]} and {sides[1].shape[-1]}"
            )
        fixed, moving = standardised(*sides)
        return replace(pair, fixed=fixed, moving=moving, channels=True)

    def _channels(self, images: np.ndarray) -> np.ndarray:
        if images.shape[-1] != 1:
            raise InputError(
                f"{self.name} are those of images of one channel. Received: {images.shape[-1]}"
            )
        found = [np.asarray(self.describe(image[..., 0])) for image in images]
        for one in found:
            if one.shape[:-1] != images.shape[1:-1] or not np.isfinite(one).all():
                raise InputError(
                    f"{self.name} must be finite, (*spatial, channels) of an image. "
                    f"Received: {one.shape} of {images.shape[1:-1]}"
                )
        return np.stack(found).astype("float32")


def standardised(fixed: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Channels without the mean, and over the standard deviation, that both images have together.

    A channel that is constant becomes zero.

    Args:
        fixed, moving: ``(batch, *spatial, channels)``, of two spatial shapes or one.
    """
    sums = [[], []]
    for side in (fixed, moving):
        flat = side.reshape(len(side), -1, side.shape[-1])
        sums[0].append(flat.mean(axis=1, dtype="float64"))
        sums[1].append(np.square(flat, dtype="float64").mean(axis=1))
    mean, square = (np.mean(each, axis=0) for each in sums)
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    useful = deviation > _FLAT * np.maximum(np.abs(mean), deviation.max(axis=1, keepdims=True))
    scale = np.where(useful, 1 / np.where(useful, deviation, 1), 0)
    shape = (len(fixed), *(1,) * (fixed.ndim - 2), fixed.shape[-1])
    mean, scale = (each.reshape(shape).astype("float32") for each in (mean, scale))
    return (fixed - mean) * scale, (moving - mean) * scale


def nearness(fixed: Any, moved: Any, mask: Any) -> Any:
    """``1 - mean(|f - m|^2) / 2`` of standardised channels: of two that go together as much as
    their correlation.

    Args:
        fixed, moved: tensors ``(batch, *spatial, channels)``.
        mask: weights ``(batch, *spatial, 1)``, or ``None``.

    Returns:
        Tensor ``(batch,)``.
    """
    difference = fixed - moved
    square = ops.mean(difference * difference, axis=-1, keepdims=True)
    return 1 - 0.5 * weighted_mean(square, mask)
