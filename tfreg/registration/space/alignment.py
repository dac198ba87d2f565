"""Where a registration of physical images starts: their checks, masks and initial alignment."""

import sys
from typing import Any

import numpy as np

from tfreg import transforms
from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image

INITIAL = ("geometry", "centre", "mass")
SEARCH = "search"  # what comes before: it needs what optimises
_PLACES = 2**16  # that many points tell how much of two images overlaps
_LITTLE = 0.25  # share of the fixed image inside the moving one that is worth a warning


def is_physical(values: Any) -> bool:
    """Whether something is a ``tfreg.Image`` or a ``SimpleITK.Image``, which is not imported."""
    if isinstance(values, Image):
        return True
    library = sys.modules.get("SimpleITK")
    return library is not None and isinstance(values, library.Image)


def are_physical(fixed: Any, moving: Any) -> bool:
    """Whether both are images in physical space.

    Raises:
        InputError: if one is and the other is not.
    """
    found = is_physical(fixed), is_physical(moving)
    if found[0] != found[1]:
        raise InputError(
            "fixed and moving must both be images in physical space, or both arrays. "
            f"Received: {type(fixed).__name__} and {type(moving).__name__}"
        )
    return found[0]


def image_of(values: Any, name: str) -> Image:
    """An image in physical space whose voxels can be registered.

    Raises:
        InputError: if voxels are not finite, or all the same.
    """
    image = values if isinstance(values, Image) else Image.from_sitk(values)
    if not np.isfinite(image.array).all():
        bad = int((~np.isfinite(image.array)).sum())
        raise InputError(f"{name} must hold finite values. Received: {bad} NaN or infinite voxels")
    if image.array.min() == image.array.max():
        raise InputError(
            f"{name} must not be constant: nothing can be aligned. "
            f"Received: {float(image.array.min()):g} everywhere"
        )
    return image


def mask_image(mask: Any, name: str, image: Image) -> tuple[Image | None, tuple[str, ...]]:
    """A mask as uint8 on the grid of its image, 1 inside; and what is to be said about it.

    Args:
        mask: an image in physical space, or ``None``; inside is what is above 0.
        name: what to call it.
        image: whose mask it is.

    Raises:
        InputError: if it is no image, has other axes or negative voxels, or leaves none inside.
    """
    if mask is None:
        return None, ()
    if not is_physical(mask):
        raise InputError(
            f"{name} must be an image in physical space, as its image is. "
            f"Received: {type(mask).__name__}"
        )
    mask = mask if isinstance(mask, Image) else Image.from_sitk(mask)
    if mask.geometry.ndim != image.geometry.ndim:
        raise InputError(
            f"{name} must have the {image.geometry.ndim} axes of its image. "
            f"Received: {mask.geometry.ndim} axes"
        )
    if not np.isfinite(mask.array).all() or mask.array.min() < 0:
        raise InputError(f"{name} must be 0 or more. Received: {float(mask.array.min())}")
    if not mask.array.any():
        raise InputError(f"{name} holds no voxel. Received: all zeros")
    said = []
    if mask.array.max() != 1 or ((mask.array != 0) & (mask.array != 1)).any():
        said.append(f"{name} holds more than 0 and 1: all above 0 is taken as inside")
    inside = Image((mask.array > 0).astype("uint8"), mask.geometry)
    if not mask.geometry.matches(image.geometry):
        said.append(f"{name} has another grid than its image: it is resampled, nearest voxel")
        inside = inside.resample(image.geometry, "nearest", fill=0)
        if not inside.array.any():
            raise InputError(f"{name} holds no voxel within its image. Received: {mask!r}")
    return Image(inside.array, image.geometry), tuple(said)


def initial_transform(
    initial: Any,
    fixed: Image,
    moving: Image,
    fixed_mask: Image | None = None,
    moving_mask: Image | None = None,
) -> transforms.Transform:
    """The map from fixed to moving points with which a registration starts.

    Args:
        initial: ``"geometry"``: points are where the headers say; ``"centre"``: the centres of both
            fields of view are aligned; ``"mass"``: the centres of both masks where both are given,
            else those of mass, by intensity above the lowest; or a transform.
        fixed, moving: the images.
        fixed_mask, moving_mask: their masks.

    Raises:
        InputError: on anything else, or a transform of another number of axes.
    """
    ndim = fixed.geometry.ndim
    if isinstance(initial, transforms.Transform):
        if initial.ndim != ndim:
            raise InputError(
                f"initial must be a {ndim}-D transform. Received: {initial.ndim}-D transform"
            )
        return initial
    if not isinstance(initial, str) or initial not in INITIAL:
        raise InputError(
            f"initial must be one of {(*INITIAL, SEARCH)} or a Transform. Received: {initial!r}"
        )
    shift = np.zeros(ndim)
    if initial == "centre":
        shift = moving.geometry.centre - fixed.geometry.centre
    elif initial == "mass":
        masked = fixed_mask is not None and moving_mask is not None
        ends = (moving_mask, fixed_mask) if masked else (moving, fixed)
        shift = ends[0].centre_of_mass() - ends[1].centre_of_mass()
    return transforms.Affine(np.eye(ndim), shift)


def check_overlap(
    initial: transforms.Transform,
    fixed: Image,
    moving: Image,
    fixed_mask: Image | None = None,
    moving_mask: Image | None = None,
) -> tuple[str, ...]:
    """How much of the fixed image, within the masks, starts inside the moving one.

    Returns:
        A warning where it is little.

    Raises:
        InputError: where it is nothing.
    """
    if fixed_mask is None:
        step = max(1, round((fixed.array.size / _PLACES) ** (1 / fixed.array.ndim)))
        axes = [np.arange((n - 1) % step // 2, n, step) for n in fixed.array.shape]
        places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    else:
        flat = np.flatnonzero(fixed_mask.array)
        flat = flat[:: max(1, len(flat) // _PLACES)]
        places = np.stack(np.unravel_index(flat, fixed.array.shape), axis=-1)
    index = moving.geometry.to_index(
        initial.apply_points(fixed.geometry.to_physical(places.astype("float64")))
    )
    there = inside(moving.geometry, index)
    share = float(there.mean())
    if moving_mask is not None:
        nearest = np.rint(index[there]).astype(int)
        nearest = np.clip(nearest, 0, np.array(moving.array.shape) - 1)
        there[there] = moving_mask.array[tuple(nearest.T)] > 0
        # A mask of an organ is little of a whole image, which is nothing to be warned of.
        if fixed_mask is not None or not there.any():
            share = float(there.mean())
    what = "mask of the fixed image" if fixed_mask is not None else "fixed image"
    target = "mask of the moving image" if moving_mask is not None else "moving image"
    if share == 0:
        raise InputError(
            f"The images do not overlap where the registration starts: initial='mass' (--init mass)"
            f" aligns their centres of mass. Received: no voxel of the {what} inside the {target}"
        )
    if share < _LITTLE:
        if fixed_mask is None:
            target = "moving image"
        return (f"only {100 * share:.2g} % of the {what} start inside the {target}",)
    return ()


def inside(geometry: Geometry, index: np.ndarray) -> np.ndarray:
    """Which voxel indices, ``(..., ndim)`` in array order, lie within an image up to its edges."""
    found = np.ones(index.shape[:-1], bool)
    for axis, size in enumerate(geometry.shape):  # sooner than `all` over a short axis
        found &= (index[..., axis] >= -0.5) & (index[..., axis] <= size - 0.5)
    return found
