"""Images at the boundary: checked, batched, brought to a common range."""

from typing import Any

import numpy as np

from tfreg.errors import InputError


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


def unit_range(images: np.ndarray) -> np.ndarray:
    """Scales each image of a batch linearly to [0, 1]; a constant image becomes zero."""
    low, scale = unit_scale(images)
    return ((images - low.astype("float64")) * scale).astype("float32")


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
