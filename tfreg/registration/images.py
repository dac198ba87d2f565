"""Images at the boundary: checked, batched, brought to a common range."""

from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.masked import refuse_masked


def as_image(values: Any, ndim: int, name: str) -> np.ndarray:
    """A batch of one-channel float32 images from one image or a batch of them.

    Args:
        values: ``(*spatial,)``, ``(batch, *spatial)`` or ``(batch, *spatial, 1)``.
        ndim: number of spatial axes.
        name: what to call it in an error.

    Returns:
        float32 array ``(batch, *spatial, 1)``.

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
    if array.ndim == ndim:
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


_TAIL = 0.1  # % of the voxels at either end that may be outliers
_SAMPLE = 2**12  # that many values tell the percentiles


def unit_range(images: np.ndarray) -> np.ndarray:
    """Scales each image of a batch linearly to [0, 1], see :func:`without_outliers`; a constant
    image becomes zero."""
    images = np.stack([without_outliers(image) for image in images])
    low, scale = unit_scale(images)
    return ((images - low.astype("float64")) * scale).astype("float32")


def without_outliers(image: np.ndarray) -> np.ndarray:
    """Cuts off what is further beyond the percentiles 0.1 and 99.9 than these are apart.

    A hot voxel or a piece of metal would otherwise leave no contrast to the rest. It becomes as
    bright as the brightest voxel that is none; an image without outliers stays as it is.

    Args:
        image: of any shape.

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
        low, high = _usual(values)
        kept = flat[(flat >= low) & (flat <= high)]
        if low == high or len(kept) == len(flat):
            return image
    return np.clip(image, kept.min(), kept.max())


def _usual(values: np.ndarray) -> tuple[float, float]:
    """The range beyond which values are outliers; none of any extent where there is none."""
    beyond = int(np.ceil(_TAIL / 100 * values.size))
    if values.size <= 2 * beyond:
        return 0.0, 0.0
    ordered = np.sort(values)
    low, high = float(ordered[beyond]), float(ordered[-1 - beyond])
    return low - (high - low), high + (high - low)


def unit_scale(images: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The ``low`` and ``scale`` of each image with which ``(image - low) scale`` is in [0, 1].

    Args:
        images: ``(batch, *spatial, 1)``.
        mask: of the same shape: where the range is taken; ``None``: everywhere.

    Returns:
        Two arrays ``(batch, 1, ..., 1)``: float32, and float64 since an extent may exceed float32.
    """
    options = {"axis": tuple(range(1, images.ndim)), "keepdims": True}
    where = True if mask is None else mask > 0
    low = images.min(**options, where=where, initial=np.inf)
    high = images.max(**options, where=where, initial=-np.inf)
    extent = high.astype("float64") - low
    return low, 1 / np.where(extent > 0, extent, 1)
