"""Loads a file once its header has been checked."""

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError, InputWarning
from tfreg.image import Image
from tfreg.io.formats import PICTURES, format_of
from tfreg.io.headers import CHECKS, STATED, jpeg_orientation, nifti_place, nifti_voxels
from tfreg.io.orientation import UPRIGHT, upright
from tfreg.io.placing import as_stated, placed, say, stated
from tfreg.io.silence import quiet
from tfreg.io.tiff import load_tiff

_LUMINANCE = (0.299, 0.587, 0.114)
_MOST_VOXELS_OF_ANY = 16 << 20  # what any file may ask for whose header promises no number
_MOST_RATIO_OF_ANY = 4096

LIBRARY_ERRORS = (RuntimeError, UnicodeError)  # the latter where a message quotes the file


def load(
    path: Path, nifti_space: str | None = None, frames: bool = False, colours: bool = False
) -> Any:
    """A file as a ``SimpleITK.Image`` of one real channel, with 2 to 4 axes, in mm.

    A fourth axis is time, and time is always the fourth. What a header says twice, or leaves open,
    is an ``InputWarning``.

    Args:
        path: of the file.
        nifti_space: as for ``read``.
        frames: whether the caller takes a third axis for time.
        colours: whether a picture in colour keeps its channels; else it becomes luminance.
    """
    kind = format_of(path)
    try:
        if kind == "NiftiImageIO":
            return _nifti(path, nifti_space)
        promised = CHECKS[kind](path) if kind in CHECKS else None
        tiff = kind == "TIFFImageIO"
        image = load_tiff(path, frames) if tiff else _by_itk(path, kind, promised)
    except LIBRARY_ERRORS as error:
        raise InputError(f"{path} is not an image that can be read: {reason(error)}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    channels = image.GetNumberOfComponentsPerPixel()
    if "complex" in image.GetPixelIDTypeAsString():
        raise InputError(f"{path} must hold real numbers. Received: complex voxels")
    if kind == "JPEGImageIO":
        image = _upright(image, jpeg_orientation(path))
    if channels in (3, 4) and kind in PICTURES:
        return image if colours else _luminance(image, path)
    if channels != 1:
        raise InputError(
            f"{path} must hold one grey value per voxel. Received: {channels} channels"
        )
    return as_stated(image, stated(path, kind)) if kind in STATED else image


def _by_itk(path: Path, kind: str, promised: int | None) -> Any:
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(kind)
    with quiet():
        reader.ReadImageInformation()
        check_information(path, reader, promised)
        return reader.Execute()


def _nifti(path: Path, space: str | None) -> Any:
    """ITK is not asked: it chooses between two places without a word, and knows no sheared axes."""
    voxels = nifti_voxels(path)
    place = nifti_place(path, space)
    say(place.warnings)
    return placed(voxels, place.affine)


def checked(image: Image, path: Path) -> Image:
    """Refuses voxels that are not finite, and says how many there are."""
    if image.array.dtype.kind == "f":
        finite = np.isfinite(image.array)
        if not finite.all():
            nan = int(np.isnan(image.array).sum())
            infinite = int(finite.size - finite.sum()) - nan
            raise InputError(
                f"{path} has voxels that are not finite. "
                f"Received: {nan} NaN and {infinite} infinite of {finite.size} voxels"
            )
    return image


def reason(error: BaseException) -> str:
    """The one line of an error of ITK that says something."""
    if isinstance(error, UnicodeError):
        return "its header is not of this format."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    for mark in ("ITK ERROR:", "sitk::ERROR:"):
        for line in lines:
            if mark in line:
                return line.split(mark)[1].split("): ", 1)[-1].strip()
    return lines[-1] if lines else type(error).__name__


def check_information(path: Path, reader: Any, promised: int | None) -> None:
    """Holds what ITK is about to allocate against what the check of the header has allowed."""
    size = reader.GetSize()
    wanted = math.prod(size) * reader.GetNumberOfComponents()
    length = path.stat().st_size
    if promised is None:
        promised = max(_MOST_VOXELS_OF_ANY, _MOST_RATIO_OF_ANY * length)
    if wanted > promised or min(size) < 1:
        raise InputError(
            f"{path} has a broken header: it asks for {size} voxels. "
            f"Received: a file of {length} bytes"
        )


def load_array(path: Path) -> np.ndarray:
    """An ``.npy`` file of real numbers."""
    with open(path, "rb") as file:
        begin = file.read(6)
    if begin != b"\x93NUMPY":
        raise InputError(f"{path} is not a NumPy array file. Received: it begins with {begin!r}")
    try:  # mapped first: a header that asks for more than the file holds is refused by that
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # its parser of headers raises whatever Python's does
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is not a NumPy array file: {why}") from error
    if array.dtype.kind not in "buif":
        raise InputError(f"{path} must hold real numbers. Received: dtype={array.dtype}")
    return np.array(array)


def _upright(image: Any, orientation: int) -> Any:
    import SimpleITK as sitk

    if orientation == UPRIGHT:
        return image
    array = np.ascontiguousarray(upright(sitk.GetArrayFromImage(image), orientation))
    turned = sitk.GetImageFromArray(array, isVector=array.ndim > 2)
    turned.SetSpacing(image.GetSpacing()[:: -1 if orientation >= 5 else 1])
    return turned


def _luminance(image: Any, path: Path) -> Any:
    import SimpleITK as sitk

    def channel(number: int) -> Any:
        return sitk.VectorIndexSelectionCast(image, number)

    if image.GetNumberOfComponentsPerPixel() == 4:
        alpha = sitk.GetArrayFromImage(channel(3))
        clear = int((alpha != alpha.max()).sum())
        if clear:
            warnings.warn(
                f"{path} has transparent pixels, whose colours are taken as they are stored. "
                f"Received: {clear} of {alpha.size} pixels",
                InputWarning,
                stacklevel=3,
            )
    channels = [sitk.Cast(channel(number), sitk.sitkFloat64) for number in range(3)]
    return sum(weight * channel for weight, channel in zip(_LUMINANCE, channels, strict=True))
