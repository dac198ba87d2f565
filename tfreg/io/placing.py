"""Puts voxels where their header says, and says what it leaves open."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputWarning
from tfreg.io.headers import STATED, Stated, scaled


def say(lines: Sequence[str]) -> None:
    """Warns of what was found in a header."""
    for line in lines:
        warnings.warn(line, InputWarning, stacklevel=5)


def stated(path: Path, kind: str) -> Stated:
    """What a header says that ITK passes over; warns of what it leaves open."""
    found = STATED[kind](path)
    say(found.warnings)
    return found


def placed(voxels: np.ndarray, affine: np.ndarray) -> Any:
    """A ``SimpleITK.Image`` of voxels and their place.

    Args:
        voxels: ``([t, [z,]] y, x)``.
        affine: ``(3, 4)``, index ``(x, y, z, 1)`` to the point in LPS mm. A 2-D image has its first
            two rows and columns, and time runs in steps of 1 from 0.
    """
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(voxels, isVector=False)
    ndim, inner = voxels.ndim, min(voxels.ndim, 3)
    linear, origin = np.eye(ndim), np.zeros(ndim)
    linear[:inner, :inner], origin[:inner] = affine[:inner, :inner], affine[:inner, 3]
    spacing = np.linalg.norm(linear, axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(origin.tolist())
    image.SetDirection((linear / spacing).ravel().tolist())
    return image


def as_stated(image: Any, found: Stated) -> Any:
    """An image of ITK in LPS mm, with time as its fourth axis.

    Args:
        image: of one channel, as ITK has read it.
        found: what its header says besides.
    """
    import SimpleITK as sitk

    if found == Stated():
        return image
    ndim = image.GetDimension()
    inner = min(ndim, 3)
    affine = np.eye(3, 4)
    linear = np.reshape(image.GetDirection(), (ndim, ndim)) * np.array(image.GetSpacing())
    scale = np.array(found.scale)[:inner]
    affine[:inner, :inner] = scale[:, None] * linear[:inner, :inner]
    affine[:inner, 3] = scale * np.array(image.GetOrigin())[:inner]
    array = scaled(sitk.GetArrayFromImage(image), *found.values)
    if found.time and ndim == 3:  # what ITK takes for z; its frames are slices somewhere in space
        array = array[:, None]
        normal = np.cross(affine[:, 0], affine[:, 1])
        affine[:, 2] = normal / np.linalg.norm(normal)
    return placed(array, affine)
