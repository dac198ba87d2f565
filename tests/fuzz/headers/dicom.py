"""What single slices and files of many frames have in common, written with pydicom."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ..draws import pick

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
BIG = ExplicitVRBigEndian
ROOT = "1.2.826.0.1.3680043.2.1125"


def dataset(rng: np.random.Generator, kind: str, modality: str) -> Dataset:
    """What every file needs; ``kind`` is its SOP class."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = kind, uid(rng)
    data.Modality, data.PatientID, data.PatientName = modality, "17", "A^B"
    data.StudyInstanceUID, data.SeriesInstanceUID = ROOT, f"{ROOT}.1"
    data.InstanceNumber = 1
    return data


def pixels(data: Dataset, array: np.ndarray, stored: int | None = None) -> None:
    """Puts stored values into a data set, ``([frames,] rows, columns[, channels])``."""
    bits = 8 * array.itemsize
    data.Rows, data.Columns = array.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored = bits, stored or bits
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(array.dtype.kind == "i")
    data.PixelData = array.astype(array.dtype.newbyteorder("<")).tobytes()
    if len(data.PixelData) % 2:
        data.PixelData += b"\0"


def save(data: Dataset, path: Path, syntax: str, preamble: bool = True) -> None:
    """Writes a data set, if asked without the preamble and the meta information."""
    if "PixelData" in data:
        data["PixelData"].VR = "OB" if data.BitsAllocated == 8 else "OW"
    if not preamble:
        data.save_as(path, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
        return
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        data.SOPClassUID,
        data.SOPInstanceUID,
    )
    meta.TransferSyntaxUID = syntax
    data.file_meta = meta
    if syntax == BIG and data.BitsAllocated == 16:
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
    data.save_as(path, enforce_file_format=True)


def uid(rng: np.random.Generator) -> str:
    """A name for an instance that the generator of the case decides."""
    return f"{ROOT}.{rng.integers(1 << 60)}"


def words(values) -> list[str]:
    """Decimal strings, of no more than 16 characters."""
    return [f"{value:.9g}"[:16] for value in values]


def stored_values(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """Stored values and how many bits of each they use."""
    dtype, bits = pick(rng, [("u2", 12), ("u2", 16), ("i2", 16), ("u1", 8), ("i2", 12), ("i1", 8)])
    low, high = (0, (1 << bits) - 1) if dtype[0] == "u" else (-(1 << bits - 1), (1 << bits - 1) - 1)
    return rng.integers(low, high, shape, dtype, endpoint=True), bits
