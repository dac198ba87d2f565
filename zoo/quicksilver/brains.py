"""Whole brains of different people, all of them aligned affinely with one."""

import numpy as np

from tfreg.data import brain_volumes
from tfreg.registration import register

_FAINT = 0.01  # less is what rounding leaves outside the brain


def frame(data: str, fine: bool = False) -> np.ndarray:
    """The brain that the others are aligned with: the first one of training.

    Args:
        data: a source of :mod:`tfreg.data.brain_volumes`.
        fine: as in :func:`tfreg.data.brain_volumes.volumes`.
    """
    return brain_volumes.volumes("train", data, fine).images[0]


def aligned(split: str, data: str, fine: bool = False) -> np.ndarray:
    """The brains of a split in the place of :func:`frame`, ``(n, *spatial)``.

    Args:
        split, data, fine: as in :func:`tfreg.data.brain_volumes.volumes`. Fine brains too are
            registered at 2 mm.
    """
    place = frame(data)
    found = brain_volumes.volumes(split, data)
    images = brain_volumes.volumes(split, data, fine=True).images if fine else found.images
    moved = []
    for coarse, image in zip(found.images, images, strict=True):
        if np.array_equal(coarse, place):
            moved.append(image)
            continue
        answer = register(place, coarse, "affine", spacing=found.spacing, pyramid="fast")
        moved.append(_warped(image, answer.displacement) if fine else answer.moved)
    return np.stack([np.where(one > _FAINT, one, 0) for one in moved]).astype("float32")


def _warped(image: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """An image of twice as many voxels along each axis, moved; the displacement is linear."""
    from scipy import ndimage

    grid = np.indices(image.shape, dtype="float32")
    middle = [(part - 0.5) / 2 for part in grid]
    for axis in range(image.ndim):
        grid[axis] += 2 * ndimage.map_coordinates(
            displacement[..., axis], middle, order=1, mode="nearest"
        )
    return ndimage.map_coordinates(image, grid, order=1)
