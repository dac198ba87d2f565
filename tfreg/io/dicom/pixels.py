"""The stored values of DICOM files, before any scaling."""

import math
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError, InputWarning
from tfreg.io.dicom.parsing import Tags, parsed
from tfreg.io.headers.common import broken
from tfreg.io.loading import LIBRARY_ERRORS, reason
from tfreg.io.silence import quiet

_DECODED = (  # what GDCM decompresses
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.4.50",  # JPEG
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",  # JPEG-LS
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.90",  # JPEG 2000
    "1.2.840.10008.1.2.4.91",
)
_NATIVE = {  # whether values are implicit and their bytes little-endian: the transfer syntax
    (True, True): "1.2.840.10008.1.2",
    (False, True): "1.2.840.10008.1.2.1",
    (False, False): "1.2.840.10008.1.2.2",
}
_COPIED = (
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
)
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.3"  # pictures of several frames that mean nothing more
_WORDS = ("FloatPixelData", "DoubleFloatPixelData", "PixelData")
_MOST_OF_ANY = 16 << 20  # values that a compressed file may ask for, whatever its length
_MOST_RATIO = 4096


def compression_of(dataset: Any) -> Any | None:
    """The transfer syntax of compressed values; None where they stand as they are."""
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    return None if syntax in (None, *_NATIVE.values()) else syntax


def frames_of(path: Path, dataset: Any) -> int:
    """How many frames a file has.

    Raises:
        InputError: if it could not hold so many, whatever they are.
    """
    tags = Tags(path, dataset)
    count = int(tags.number("NumberOfFrames") or 1)
    size = [tags.number(keyword) or 0 for keyword in ("Rows", "Columns", "BitsAllocated")]
    if min(size) < 1:
        raise broken(path, f"it states no size. Received: rows, columns and bits {size}")
    least = 1 if compression_of(dataset) else math.prod(size) // 8
    held = path.stat().st_size
    if count < 1 or count * least > held:
        raise InputError(
            f"{path} is truncated or its header is wrong: it asks for {count} frames of "
            f"{size[0]:.0f} x {size[1]:.0f}. Received: a file of {held} bytes"
        )
    return count


def stored_values(path: Path) -> np.ndarray:
    """``(frames, rows, columns)`` of a DICOM file, as it stores them.

    Raises:
        InputError: if there are fewer values than the header says, or whole frames more, or they
            are compressed in a way that cannot be read; the message names it.

    Warns:
        InputWarning: if something stands behind the values.
    """
    with parsed(path, pixels=True) as dataset:
        shape = (frames_of(path, dataset), int(dataset.Rows), int(dataset.Columns))
        syntax = compression_of(dataset)
        if syntax is None:
            return _native(path, dataset, shape)
        if syntax not in _DECODED:
            raise InputError(
                f"{path} is compressed in a way that cannot be read; decompress it first, as "
                f"gdcmconv --raw or dcmdjpeg do. Received: {syntax.name[:80]!r} ({syntax[:80]!r})"
            )
        return _decompressed(path, dataset, shape)


def _native(path: Path, dataset: Any, shape: tuple[int, ...]) -> np.ndarray:
    keyword = next(word for word in _WORDS if word in dataset)
    wanted = -(-math.prod(shape) * int(dataset.BitsAllocated) // 8)
    held = len(dataset[keyword].value)
    if not wanted <= held < wanted + max(wanted // shape[0], 2):
        raise InputError(
            f"{path} is truncated or its header is wrong: {shape[0]} frames of "
            f"{shape[1]} x {shape[2]} take {wanted} bytes. Received: {held} bytes"
        )
    if held > wanted + wanted % 2:
        warnings.warn(
            f"{path} holds {held - wanted} bytes beyond its {shape[0]} frames of "
            f"{shape[1]} x {shape[2]}; they are left out.",
            InputWarning,
            stacklevel=2,
        )
    dataset.file_meta.TransferSyntaxUID = _NATIVE[dataset.original_encoding]
    return dataset.pixel_array.reshape(shape)


def _decompressed(path: Path, dataset: Any, shape: tuple[int, ...]) -> np.ndarray:
    """What GDCM decodes of a copy that says nothing of scaling, which it would apply."""
    import pydicom
    import SimpleITK as sitk

    held = len(dataset.PixelData)
    if math.prod(shape) > max(_MOST_OF_ANY, _MOST_RATIO * held):
        raise InputError(
            f"{path} has a broken header: it asks for {shape} values. Received: {held} bytes"
        )
    copy = pydicom.Dataset()
    for keyword in _COPIED:
        if keyword in dataset:
            copy[keyword] = dataset[keyword]
    copy.PhotometricInterpretation = "MONOCHROME2"
    copy.SOPClassUID = _CAPTURE
    copy.SOPInstanceUID = "1.2.3"
    copy.file_meta = pydicom.dataset.FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    with tempfile.TemporaryDirectory() as folder:
        name = str(Path(folder) / "stored.dcm")
        copy.save_as(name, enforce_file_format=True)
        try:
            with quiet():
                array = sitk.GetArrayFromImage(sitk.ReadImage(name, imageIO="GDCMImageIO"))
        except LIBRARY_ERRORS as error:
            raise InputError(f"{path} cannot be decompressed: {reason(error)}") from error
    if array.size != math.prod(shape):
        raise InputError(f"{path} cannot be decompressed. Received: {array.shape}, not {shape}")
    return array.reshape(shape)
