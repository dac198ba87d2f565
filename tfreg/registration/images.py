"""What goes into a registration: images, checked, batched, brought to a common range."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.masked import refuse_masked


@dataclass(frozen=True, eq=False)
class Pair:
    """A fixed and a moving image, or a batch of such, on voxels of one size.

    Attributes:
        fixed, moving: ``(batch, *spatial, channels)`` float32; the spatial shapes may differ.
        fixed_mask, moving_mask: ``(batch, *spatial, 1)`` float32, where to look; ``None``:
            everywhere.
        spacing: size of a voxel per axis.
        start: where the registration starts: displacements ``(batch, *spatial, ndim)`` in voxels,
            or matrices ``(batch, ndim, ndim + 1)`` from fixed to moving voxels; ``None``: no
            displacement.
        channels: whether the user gave the axis of channels, and gets it back.
    """

    fixed: np.ndarray
    moving: np.ndarray
    spacing: tuple[float, ...]
    fixed_mask: np.ndarray | None = None
    moving_mask: np.ndarray | None = None
    start: np.ndarray | None = None
    channels: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape of the fixed image."""
        return self.fixed.shape[1:-1]

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return len(self.spacing)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The images and the masks that there are, by name."""
        names = ("fixed", "moving", "fixed_mask", "moving_mask")
        found = {name: getattr(self, name) for name in names}
        return {name: array for name, array in found.items() if array is not None}

    @property
    def kind(self) -> tuple:
        """What pairs have in common that can be registered as one batch."""
        shapes = tuple((name, array.shape[1:]) for name, array in self.arrays.items())
        return (*shapes, self.spacing, self.start is not None, self.channels)

    def visible(self, images: np.ndarray) -> np.ndarray:
        """Images or moved images as a user has them: without the axis that was added."""
        return images if self.channels else images[..., 0]


def stacked(pairs: list[Pair]) -> Pair:
    """Pairs of one kind as one batch."""
    if len(pairs) == 1:
        return pairs[0]
    parts = {name: np.concatenate([p.arrays[name] for p in pairs]) for name in pairs[0].arrays}
    first = pairs[0]
    start = None if first.start is None else np.concatenate([p.start for p in pairs])
    return Pair(**parts, spacing=first.spacing, start=start, channels=first.channels)


def as_image(values: Any, ndim: int, name: str, channels: bool = False) -> np.ndarray:
    """A batch of float32 images from one image or a batch of them.

    Args:
        values: ``(*spatial,)``, ``(batch, *spatial)`` or ``(batch, *spatial, 1)``; with
            ``channels`` ``(*spatial, channels)`` or ``(batch, *spatial, channels)``.
        ndim: number of spatial axes.
        name: what to call it in an error.
        channels: whether the last axis is that of channels.

    Returns:
        float32 array ``(batch, *spatial, channels)``.

    Raises:
        InputError: on another shape, an empty array, or values that are not real and finite.
    """
    refuse_masked(values, name)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"{name} must be an array of numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} must hold real numbers. Received: dtype={array.dtype}")
    shape = array.shape
    if channels:
        if array.ndim not in (ndim + 1, ndim + 2):
            raise InputError(
                f"{name} must be one {ndim}-D image (*{ndim} axes, channels) or a batch (batch, "
                f"*{ndim} axes, channels). Received: shape={shape}"
            )
        array = array[None] if array.ndim == ndim + 1 else array
    elif array.ndim == ndim:
        array = array[None, ..., None]
    elif array.ndim == ndim + 1:
        array = array[..., None]
    elif array.ndim != ndim + 2 or shape[-1] != 1:
        raise InputError(
            f"{name} must be one {ndim}-D image, a batch (batch, *{ndim} axes), or (batch, *{ndim} "
            f"axes, 1). Received: shape={shape}"
        )
    if array.size == 0:
        raise InputError(f"{name} must not be empty. Received: shape={shape}")
    array = array.astype("float32")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise InputError(f"{name} must hold finite values. Received: {bad} NaN or infinite voxels")
    return array


PERCENTILES = (0.1, 99.9)  # beyond which, on either side, a voxel may be an outlier
_SAMPLE = 2**12  # that many values tell the percentiles


def unit_range(images: np.ndarray, percentiles: Sequence[float] = PERCENTILES) -> np.ndarray:
    """Scales each image of a batch linearly to [0, 1], see :func:`without_outliers`; a constant
    image becomes zero."""
    images = np.stack([without_outliers(image, percentiles) for image in images])
    low, scale = unit_scale(images)
    return ((images - low.astype("float64")) * scale).astype("float32")


def percentiles_of(values: Any) -> tuple[float, float]:
    """Two percentiles.

    Raises:
        InputError: on anything else.
    """
    found = np.asarray(values)
    if found.shape != (2,) or found.dtype.kind not in "iuf" or not 0 <= found[0] < found[1] <= 100:
        raise InputError(
            "percentiles must be two numbers within 0 and 100, the lower one first. "
            f"Received: percentiles={values}"
        )
    return float(found[0]), float(found[1])


def range_of(name: str, values: Any) -> tuple[float, float] | None:
    """Two intensities, the lower one first, or ``None``.

    Raises:
        InputError: on anything else.
    """
    if values is None:
        return None
    found = np.asarray(values)
    numbers = found.shape == (2,) and found.dtype.kind in "iuf" and np.isfinite(found).all()
    if not numbers or not found[0] < found[1]:
        raise InputError(
            f"{name} must be two finite numbers, the lower one first. Received: {name}={values}"
        )
    return float(found[0]), float(found[1])


def check_contrast(name: str, image: np.ndarray, intensity_range: Sequence[float] | None) -> None:
    """Refuses an image all of which is beyond the same end of what a network looks at."""
    if intensity_range is None:
        return
    low, high = intensity_range
    if image.max() <= low or image.min() >= high:
        raise InputError(
            f"{name} must have intensities between {low:g} and {high:g}, which the network looks "
            f"at. Received: {float(image.min()):g} to {float(image.max()):g}"
        )


def without_outliers(image: np.ndarray, percentiles: Sequence[float] = PERCENTILES) -> np.ndarray:
    """Cuts off what is further beyond two percentiles than these are apart.

    A hot voxel or a piece of metal would otherwise leave no contrast to the rest. It becomes as
    bright as the brightest voxel that is none; an image without outliers stays as it is.

    Args:
        image: of any shape.
        percentiles: the lower and the higher one; 0 and 100: nothing is cut off.

    Example:

    >>> import numpy as np
    >>> from tfreg.registration.images import without_outliers
    >>> image = np.append(np.arange(50.0), 4000.0)
    >>> float(without_outliers(image).max())
    49.0
    """
    flat = image.ravel()
    some = flat[:: max(1, flat.size // _SAMPLE) | 1]
    for values in (some, flat):  # to sort a few shows soon that there is none
        low, high = _usual(values, percentiles)
        kept = flat[(flat >= low) & (flat <= high)]
        if low == high or len(kept) == len(flat):
            return image
    return np.clip(image, kept.min(), kept.max())


def _usual(values: np.ndarray, percentiles: Sequence[float]) -> tuple[float, float]:
    """The range beyond which values are outliers; none of any extent where there is none."""
    shares = (percentiles[0], 100 - percentiles[1])
    below, above = (math.ceil(round(share / 100 * values.size, 6)) for share in shares)
    if values.size <= below + above:
        return 0.0, 0.0
    ordered = np.sort(values)
    low, high = float(ordered[below]), float(ordered[-1 - above])
    return low - (high - low), high + (high - low)


def unit_scale(images: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The ``low`` and ``scale`` of each image with which ``(image - low) scale`` is in [0, 1].

    Args:
        images: ``(batch, *spatial, channels)``, which have one range.
        mask: ``(batch, *spatial, 1)``: where the range is taken; ``None``: everywhere.

    Returns:
        Two arrays ``(batch, 1, ..., 1)``: float32, and float64 since an extent may exceed float32.
    """
    options = {"axis": tuple(range(1, images.ndim)), "keepdims": True}
    where = True if mask is None else mask > 0
    low = images.min(**options, where=where, initial=np.inf)
    high = images.max(**options, where=where, initial=-np.inf)
    extent = high.astype("float64") - low
    return low, 1 / np.where(extent > 0, extent, 1)
