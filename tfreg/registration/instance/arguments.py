"""What :func:`tfreg.registration.register` accepts: every check of its arguments."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.errors import InputError
from tfreg.masked import refuse_masked
from tfreg.registration.answer import Registration
from tfreg.registration.images import as_image
from tfreg.registration.instance.pyramid import Pyramid, Schedule
from tfreg.registration.instance.pyramid import pyramid as named_pyramid
from tfreg.registration.instance.similarity import VOXELWISE, Similarity, name_of, names_of
from tfreg.registration.kinds import TRANSFORMS

_LEAST = {"dense": 3}  # voxels along an axis; its regulariser takes second differences


def kinds_of(transform: str | Sequence[str]) -> tuple[str, ...]:
    """Names of the transforms, in sequence."""
    kinds = tuple(transform) if isinstance(transform, (list, tuple)) else (transform,)
    if not kinds or any(kind not in TRANSFORMS for kind in kinds):
        raise InputError(f"transform must be of {TRANSFORMS}. Received: transform={transform}")
    return kinds


def ndim_of(fixed: Any, spacing: Any, ndim: int | None, channels: bool = False) -> int:
    """2 or 3, where need be from the images."""
    if ndim is None:
        ndim = np.ndim(fixed) - channels
        if ndim == 4 or (ndim == 3 and np.shape(spacing) == (2,)):
            raise InputError(f"A batch needs ndim=2 or ndim=3. Received: shape={np.shape(fixed)}")
    if ndim not in (2, 3):
        raise InputError(f"Images are 2-D or 3-D. Received: {ndim} axes")
    return ndim


def spacing_of(spacing: Any, ndim: int) -> tuple[float, ...]:
    """Size of a voxel per axis; 1 each where nothing is given."""
    if spacing is None:
        return (1.0,) * ndim
    try:
        values = tuple(float(s) for s in np.atleast_1d(spacing))
    except (TypeError, ValueError):
        values = ()
    if len(values) != ndim or not all(np.isfinite(s) and s > 0 for s in values):
        raise InputError(f"spacing must be {ndim} positive numbers. Received: spacing={spacing}")
    return values


def mask_of(mask: Any, name: str, image: np.ndarray, ndim: int) -> np.ndarray:
    """A mask as a batch of the shape of its image."""
    array = as_image(mask, ndim, name)
    if array.shape[1:-1] != image.shape[1:-1] or len(array) not in (1, len(image)):
        raise InputError(
            f"{name} must have the shape of its image. "
            f"Received: {array.shape[:-1]}, image {image.shape[:-1]}, batch first"
        )
    if (array < 0).any():
        raise InputError(f"{name} must be 0 or more. Received: {array.min()}")
    for index, part in enumerate(array):
        if not part.any():
            raise InputError(f"{name} holds no voxel. Received: all zeros in image {index}")
    return np.broadcast_to(array, (len(image), *array.shape[1:]))


def check_content(images: dict[str, np.ndarray]) -> None:
    """Raises ``InputError`` where an image is constant, within its mask if it has one."""
    for name in ("fixed", "moving"):
        for index, image in enumerate(images[name]):
            mask = images.get(f"{name}_mask")
            values = image if mask is None else image[mask[index, ..., 0] > 0]
            if values.min() == values.max():
                where = "" if mask is None else " within its mask"
                raise InputError(
                    f"{name} must not be constant{where}: nothing can be aligned. "
                    f"Received: {float(values.min()):g} everywhere in image {index}"
                )


def pyramids_of(
    given: Any,
    kinds: tuple[str, ...],
    shape: tuple[int, ...],
    spacing: tuple[float, ...],
    similarity: Similarity,
) -> tuple[Pyramid, ...]:
    """A pyramid per transform, each of which fits the images."""
    each = tuple(given) if isinstance(given, (list, tuple)) else (given,) * len(kinds)
    if len(each) != len(kinds):
        raise InputError(f"pyramid must be one, or one per transform. Received: {len(each)}")
    found = []
    for kind, item in zip(kinds, each, strict=True):
        stage = item
        if isinstance(item, Schedule):
            stage = item.pyramid(kind, shape, spacing, similarity)
        elif not isinstance(item, Pyramid):
            stage = named_pyramid(item, kind, shape, spacing, similarity)
        previous = None
        for level in stage.levels:
            factors = level.shrink_of(len(shape))
            small = [-(-n // f) for n, f in zip(shape, factors, strict=True)]
            least = _LEAST.get(kind, 2)
            if any(few < min(4, max(n, least)) for few, n in zip(small, shape, strict=True)):
                raise InputError(
                    f"A level must have 4 voxels or more along each axis, or {least} if these are "
                    "all that the images have; a single slice must be a 2-D image. "
                    f"Received: images {shape}, shrink={level.shrink}"
                )
            if previous and any(a % b for a, b in zip(previous, factors, strict=True)):
                raise InputError(
                    "Each level must divide the shrink factors of the one before. "
                    f"Received: {previous}, then {factors}"
                )
            previous = factors
        found.append(stage)
    return tuple(found)


def check_samples(samples: Any, seed: Any, similarity: Similarity) -> None:
    """Raises ``InputError`` on a number of samples, or a seed, that cannot be used."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed must be an integer, 0 or more. Received: seed={seed}")
    if samples is None:
        return
    whole = isinstance(samples, (int, np.integer)) and not isinstance(samples, bool)
    if not whole or samples < 16:
        raise InputError(f"samples must be an integer, 16 or more. Received: samples={samples}")
    names = names_of(similarity)
    if not names or not {*names} <= {*VOXELWISE}:
        raise InputError(
            f"Only {VOXELWISE} can be computed from samples. "
            f"Received: similarity={name_of(similarity)}"
        )


def check_symmetric(symmetric: Any, transform: str | Sequence[str], samples: int | None) -> None:
    """Raises ``InputError`` where both directions cannot be looked at."""
    if not isinstance(symmetric, bool):
        raise InputError(f"symmetric must be True or False. Received: symmetric={symmetric!r}")
    if symmetric and "velocity" not in kinds_of(transform):
        raise InputError(
            "symmetric is of a velocity, the inverse of whose map is known. "
            f"Received: transform={transform}"
        )
    if symmetric and samples is not None:
        raise InputError(f"symmetric looks at all voxels. Received: samples={samples}")


def start_of(start: Any, batch: int, shape: tuple[int, ...], ndim: int) -> np.ndarray | None:
    """The start as a displacement ``(batch, *shape, ndim)`` in voxels, or ``None``."""
    if start is None:
        return None
    if isinstance(start, Registration):
        start = start.displacement
    refuse_masked(start, "start")
    try:
        array = np.asarray(start, dtype="float32")
    except (TypeError, ValueError):
        array = np.zeros(0, "float32")
    if array.shape in ((ndim, ndim + 1), (batch, ndim, ndim + 1)):
        matrix = np.broadcast_to(array, (batch, ndim, ndim + 1))
        array = keras_ops.convert_to_numpy(ops.linear_displacement(matrix, shape))
    elif array.shape == (*shape, ndim):
        array = np.broadcast_to(array, (batch, *shape, ndim))
    if array.shape != (batch, *shape, ndim):
        raise InputError(
            f"start must be a displacement {(*shape, ndim)}, a matrix {(ndim, ndim + 1)} or a "
            f"Registration. Received: shape={array.shape}"
        )
    if not np.isfinite(array).all():
        raise InputError("start must hold finite values. Received: NaN or infinity")
    return np.ascontiguousarray(array)


def check_start(displacement: np.ndarray | None, images: dict[str, np.ndarray]) -> None:
    """Raises ``InputError`` where no voxel of a fixed image, within the masks, starts in the moving
    one."""
    if displacement is None and not {"fixed_mask", "moving_mask"} & set(images):
        return  # voxel 0 of both is in the same place
    size = np.array(images["moving"].shape[1:-1])
    for index in range(len(images["fixed"])):
        inside = np.ones(images["fixed"].shape[1:-1], bool)
        if "fixed_mask" in images:
            inside = images["fixed_mask"][index, ..., 0] > 0
        places = np.argwhere(inside)
        target = places if displacement is None else places + displacement[index][inside]
        target = target[((target >= 0) & (target <= size - 1)).all(axis=-1)]
        if "moving_mask" in images:
            nearest = tuple((target + 0.5).astype(int).T)
            target = target[images["moving_mask"][index][(*nearest, 0)] > 0]
        if not len(target):
            raise InputError(
                "The images must overlap where the registration starts. Received: fixed image "
                f"{index} with no voxel{' of its mask' * ('fixed_mask' in images)} inside the "
                f"{'mask of the ' * ('moving_mask' in images)}moving image"
            )
