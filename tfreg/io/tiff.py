"""TIFF files, as they are meant: which way up, what their pages are, and in which unit.

ITK's reader turns what it does not know (tiles, an orientation) into eight bits of colour, takes
half precision for integers and every page for a slice. tifffile reads them here.
"""

import logging
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError, InputWarning
from tfreg.io.orientation import upright
from tfreg.io.tiff_spacing import spacing_of

_MOST_BYTES_OF_ANY = 64 << 20  # what any file may ask for, and how often its own length beyond it
_MOST_RATIO_OF_ANY = 4096
_GREY, _RGB, _PALETTE, _YCBCR = (0, 1), 2, 3, 6
_MIN_IS_WHITE, _JPEG = 0, 7


def load_tiff(path: Path, frames: bool) -> Any:
    """A TIFF as a ``SimpleITK.Image``, in colour or grey: 2-D, 3-D, or 4-D where it has times.

    Args:
        path: a file that :func:`tfreg.io.headers.check_tiff` has passed.
        frames: whether the caller takes pages for times, so that nobody need be told of z.
    """
    import SimpleITK as sitk
    import tifffile

    logger = tifffile.logger()
    if not logger.handlers:  # what it says of a broken file, the error says
        logger.addHandler(logging.NullHandler())
    try:
        with tifffile.TiffFile(path, _multifile=False) as file:
            series = _only_series(file, path)
            array, axes = _in_order(*_grey_or_colour(series, path), path)
            spacing = spacing_of(file, series, path)
    except (InputError, OSError):
        raise
    except Exception as error:  # its parser raises whatever Python's does
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is not an image that can be read: {why:.200}") from error
    if "I" in axes and not frames:
        pages = array.shape[axes.index("I")]
        warnings.warn(
            f"{path} does not say what its {pages} pages are: they are taken for slices along z, "
            f"{spacing['Z']:g} mm apart (read_frames takes them for times)",
            InputWarning,
            stacklevel=2,
        )
    image = sitk.GetImageFromArray(np.ascontiguousarray(array), isVector="S" in axes)
    steps = [spacing["X"], spacing["Y"], spacing["Z"], 1.0]
    image.SetSpacing(steps[: image.GetDimension()])
    return image


def _only_series(file: Any, path: Path) -> Any:
    """The one image of a file, no larger than the file can hold."""
    if len(file.series) != 1:
        raise InputError(f"{path} must hold one image. Received: {len(file.series)} images")
    series, length = file.series[0], path.stat().st_size
    if series.kind not in ("imagej", "ome") and (file.is_imagej or file.is_ome):
        raise InputError(f"{path} is truncated, or what it says of its pages does not hold.")
    wanted = math.prod(series.shape) * series.dtype.itemsize
    if any(page is None for page in series.pages):
        raise InputError(f"{path} is a part of an image: others hold the rest of its pages.")
    whole = series.dataoffset is None or series.dataoffset + wanted <= length
    if not whole or wanted > max(_MOST_BYTES_OF_ANY, _MOST_RATIO_OF_ANY * length):
        raise InputError(
            f"{path} is truncated or its header is wrong: it asks for {wanted} bytes of voxels. "
            f"Received: a file of {length} bytes"
        )
    return series


def _grey_or_colour(series: Any, path: Path) -> tuple[np.ndarray, str]:
    """The values upright, and their axes; "S" is red, green, blue and perhaps alpha."""
    page = series.keyframe
    photometric, samples = int(page.photometric), page.samplesperpixel
    known = photometric in (*_GREY, _RGB, _PALETTE) or (
        photometric == _YCBCR and page.compression == _JPEG
    )
    colour = photometric in (_RGB, _YCBCR) and samples >= 3
    alpha = samples == 2 and tuple(map(int, page.extrasamples)) in ((1,), (2,))
    grey = samples == 1 and "S" not in series.axes
    if not known or not (colour or alpha or grey):
        raise InputError(
            f"{path} must hold one grey value per pixel, or red, green and blue; save it so. "
            f"Received: {samples} channels of {getattr(page.photometric, 'name', photometric)}, "
            f"axes {series.axes}"
        )
    array, axes = _decoded(series, path), series.axes
    if photometric == _PALETTE:
        array, axes = np.moveaxis(np.asarray(page.colormap)[:, array], 0, -1), f"{axes}S"
    if photometric == _MIN_IS_WHITE:
        warnings.warn(
            f"{path} shows 0 as white (MinIsWhite): its values are taken as they are stored, so "
            "that what is bright in it is low",
            InputWarning,
            stacklevel=2,
        )
    array = np.moveaxis(array, [axes.index("Y"), axes.index("X")], [0, 1])
    axes = "YX" + axes.replace("Y", "").replace("X", "")
    orientation = page.tags.valueof(274, 1) or 1
    if not 1 <= orientation <= 8:
        raise InputError(f"{path} has a broken header: orientation {orientation}")
    return upright(array, orientation), axes


def _decoded(series: Any, path: Path) -> np.ndarray:
    """The values as stored; ITK decodes what tifffile needs another package for, if plain."""
    page = series.keyframe
    try:
        return series.asarray(maxworkers=1)
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        plain = page.bitspersample in (8, 16, 32) and page.dtype != np.float16
        plain = plain and not page.is_tiled and page.planarconfig == 1
        if not plain or page.photometric == _PALETTE or page.tags.valueof(274, 1) > 1:
            raise InputError(
                f"{path} is compressed in a way that needs another package: pip install "
                f"imagecodecs, or save it without compression. "
                f"Received: {getattr(page.compression, 'name', page.compression)}"
            ) from error
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("TIFFImageIO")
    array = sitk.GetArrayFromImage(reader.Execute())
    if page.photometric == _YCBCR:  # ITK adds an alpha
        array = array[..., :3]
    return array.reshape(series.shape)


def _in_order(array: np.ndarray, axes: str, path: Path) -> tuple[np.ndarray, str]:
    """The values in the order time, z, y, x, colour; without axes of one."""
    for axis in set(axes) - set("YX"):
        if array.shape[axes.index(axis)] == 1:
            array, axes = array.squeeze(axes.index(axis)), axes.replace(axis, "")
    axes = axes.replace("Q", "I")  # both are pages that the file does not name
    if "C" in axes:
        raise InputError(
            f"{path} must hold one grey value per voxel; save one of its channels. "
            f"Received: {array.shape[axes.index('C')]} channels"
        )
    wanted = "".join(axis for axis in "TZIYXS" if axis in axes)
    if sorted(wanted) != sorted(axes) or {"Z", "I"} <= set(axes) or {"T", "I"} <= set(axes):
        raise InputError(f"{path} must have pages along z or in time. Received: axes {axes}")
    array = array.transpose([axes.index(axis) for axis in wanted])
    if array.dtype == np.float16:
        array = array.astype("float32")
    if array.dtype == bool:
        array = array.astype("uint8")
    if array.dtype.kind not in "uif":
        raise InputError(f"{path} must hold real numbers. Received: dtype={array.dtype}")
    if wanted.endswith("S") and array.shape[-1] == 2:  # grey and alpha, as three equal colours
        array = array[..., [0, 0, 0, 1]]
    if "T" in wanted and "Z" not in wanted:
        array, wanted = np.expand_dims(array, 1), wanted.replace("T", "TZ")
    return array.astype(array.dtype.newbyteorder("="), copy=False), wanted


def save_tiff(path: Path, array: np.ndarray, spacing: Sequence[float]) -> None:
    """Writes an image, with what its pages are and how large its voxels.

    Args:
        path: of the file.
        array: ``(*spatial,)``, 2-D or 3-D.
        spacing: mm along x, y[, z].
    """
    import tifffile

    stated = {"axes": "ZYX"[-array.ndim :], "unit": "mm"}
    if array.ndim == 3:
        stated["spacing"] = spacing[2]
    tifffile.imwrite(
        path,
        array.astype("uint8") if array.dtype == bool else array,
        photometric="minisblack",
        metadata=stated,
        resolution=(10 / spacing[0], 10 / spacing[1]),
        resolutionunit="CENTIMETER",
    )
