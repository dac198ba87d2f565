"""What is handed in: images of one shape, in 8 bits or brought to them."""

import numpy as np
from numpy.typing import ArrayLike

from tfreg.masked import refuse_masked

_NAMES = ("first", "second", "fused")
WHITE = 255


def as_images(*images: ArrayLike, least: int = 2) -> list[np.ndarray]:
    """The images as finite float64 arrays ``(rows, columns)`` of one shape.

    Args:
        images: the first, the second and the fused one; or the fused one alone.
        least: pixels that there must be per axis.

    Raises:
        ValueError: on another shape, or values that are not finite.
    """
    found: list[np.ndarray] = []
    for name, image in zip(_NAMES[-len(images) :], images, strict=True):
        refuse_masked(image, name)
        array = np.asarray(image)
        if array.ndim != 2 or array.dtype.kind not in "biuf" or min(array.shape) < least:
            raise ValueError(
                f"{name} must be grey (rows, columns), of {least} x {least} pixels or more. "
                f"Received: {name}.shape={array.shape}, dtype={array.dtype}"
            )
        if found and array.shape != found[0].shape:
            raise ValueError(
                f"{name} must have the shape of the first image, {found[0].shape}. "
                f"Received: {name}.shape={array.shape}"
            )
        array = array.astype("float64")
        if not np.isfinite(array).all():
            raise ValueError(
                f"{name} must be finite. Received: {int((~np.isfinite(array)).sum())} pixels "
                "that are not"
            )
        found.append(array)
    return found


def stretched(image: np.ndarray) -> np.ndarray:
    """An image scaled linearly to the integers 0 to 255, halves upwards; a constant one is 0."""
    low, high = image.min(), image.max()
    if low == high:
        return np.zeros_like(image)
    return np.floor(WHITE * ((image - low) / (high - low)) + 0.5)


def as_bytes(image: np.ndarray, name: str = "fused") -> np.ndarray:
    """An image of 8 bits as integers.

    Raises:
        ValueError: on values beyond 0 and 255, or fractions of 1, which are no 8 bits.
    """
    low, high = image.min(), image.max()
    if low < 0 or high > WHITE or (high <= 1 and not (image == np.rint(image)).all()):
        raise ValueError(f"{name} must be in 8 bits, 0 to 255. Received: {low:g} to {high:g}")
    return np.rint(image).astype("int64")
