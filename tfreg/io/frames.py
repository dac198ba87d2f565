"""Series in time, and slices as 2-D images."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image, geometry_of
from tfreg.io.dicom import read_folder_frames
from tfreg.io.formats import existing, format_of
from tfreg.io.loading import checked, load, load_array


def read_frames(path: str | os.PathLike, series: str | None = None) -> list[Image]:
    """Reads a series in time.

    Args:
        path: as for ``read``. Of a file with four axes the last (of an ``.npy``, the first) is
            time; so it is of a file with three, whose frames are then 2-D. In a folder of DICOM
            the slices at one place follow each other in time.
        series: as for ``read``.

    Returns:
        One image per frame. Frames of a single slice are 2-D, as ``flattened`` has them.

    Raises:
        InputError: as ``read`` does.
    """
    path = existing(Path(path))
    if path.is_dir():
        frames = [Image.from_sitk(image) for image in read_folder_frames(path, series)]
        return [checked(_flat_if_single(frame), path) for frame in frames]
    if series is not None:
        raise InputError(f"Only a folder of DICOM has series. Received: {path}, series={series!r}")
    if format_of(path) == "npy":
        array = load_array(path)
        if array.ndim not in (3, 4):
            raise InputError(f"{path} must have 3 or 4 axes. Received: shape={array.shape}")
        geometry = Geometry.of_shape(array.shape[1:])
        return [checked(_flat_if_single(Image(frame, geometry)), path) for frame in array]
    return [
        checked(_flat_if_single(frame), path) for frame in _split(load(path, frames=True), path)
    ]


def flattened(image: Image) -> Image:
    """A 3-D image of a single slice as a 2-D image.

    A slice across the z axis keeps its x and y. Any other slice has no x and y of its own: its
    points are then measured along its rows and its columns, in mm, from the origin of the physical
    space, so that slices of the same plane still fit together.

    Raises:
        InputError: if the image is not 3-D or has several slices.

    Example:
        >>> slice = Image(np.zeros((1, 4, 5)), Geometry.of_shape((1, 4, 5), (8.0, 1.0, 2.0)))
        >>> flattened(slice).geometry.spacing
        (2.0, 1.0)
    """
    grid = image.geometry
    if grid.ndim != 3 or grid.size[2] != 1:
        raise InputError(f"A single slice of a 3-D image is needed. Received: size={grid.size}")
    direction = np.array(grid.direction)
    axes = direction[:, :2]
    if np.abs(direction[2, :2]).max() < 1e-3:
        origin, rows = grid.origin[:2], direction[:2, :2]
    else:
        origin, rows = tuple(np.array(grid.origin) @ axes), np.eye(2)
    plane = Geometry(grid.size[:2], grid.spacing[:2], origin, tuple(map(tuple, rows)))
    return Image(image.array[0], plane)


def _split(image: Any, path: Path) -> list[Image]:
    """The frames of a ``SimpleITK.Image`` along its last axis."""
    import SimpleITK as sitk

    array = sitk.GetArrayFromImage(image)
    last = image.GetDimension() - 1
    if last == 1:
        return [Image(array, geometry_of(image))]
    direction = np.reshape(image.GetDirection(), (last + 1, last + 1))
    try:
        if last == 2:  # a slice of the volume: time has no direction, whatever the header says
            whole = geometry_of(image)
            single = Geometry((*whole.size[:2], 1), whole.spacing, whole.origin, whole.direction)
            return [flattened(Image(frame[None], single)) for frame in array]
        geometry = Geometry(
            image.GetSize()[:3],
            image.GetSpacing()[:3],
            image.GetOrigin()[:3],
            tuple(map(tuple, direction[:3, :3])),
        )
        return [Image(frame, geometry) for frame in array]
    except InputError as error:
        raise InputError(f"{path} cannot be used: {error}") from error


def _flat_if_single(image: Image) -> Image:
    single = image.geometry.ndim == 3 and image.geometry.size[2] == 1
    return flattened(image) if single else image
