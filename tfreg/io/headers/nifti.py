"""The header and the voxels of NIfTI-1 files (.nii, .nii.gz, and .hdr with .img)."""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfreg.errors import InputError
from tfreg.io.headers.common import broken, check_deflated, check_raw, check_size, scaled
from tfreg.io.headers.nifti_space import Place, place_of

_LENGTH = 348
NIFTI_TYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_COLOUR = {128: 3, 2304: 4}
_COMPLEX = (32, 1792, 2048)
_OTHERS = {1: "single bits", 1536: "floats of 128 bits"}
_DISPLACEMENT = 1006  # the intent of vectors in RAS; those of any other intent are as they are


@dataclass(frozen=True)
class _Header:
    fields: bytes
    order: str
    size: tuple[int, ...]
    dtype: np.dtype
    voxels: Path
    offset: int
    slope: float
    intercept: float

    @property
    def values(self) -> int:
        """How many the header promises."""
        return math.prod(self.size)


def check_nifti(path: Path) -> int:
    """The number of values, or an ``InputError`` where header and file do not fit together."""
    header = _parse(path)
    place_of(path, header.fields, header.order)
    wanted = header.values * header.dtype.itemsize
    if _compressed(header.voxels):
        check_deflated(path, header.voxels, 0, header.offset + wanted)
    else:
        check_raw(path, header.voxels, header.offset, wanted)
    return header.values


def nifti_data(path: Path) -> Path:
    """The file of the voxels: the header's own, or the ``.img`` beside it."""
    return _parse(path).voxels


def nifti_place(path: Path, chosen: str | None = None) -> Place:
    """Where the header puts the voxels.

    Args:
        path: of the header.
        chosen: which statement counts where several differ, see :func:`place_of`.

    Raises:
        InputError: where the header is broken.
    """
    header = _parse(path)
    return place_of(path, header.fields, header.order, chosen)


def nifti_voxels(path: Path) -> np.ndarray:
    """The voxels ``([t, [z,]] y, x)`` with the file's own scaling, which gives floats.

    They are read here because ITK's reader puts zeros in place of NaN and infinite voxels, and of
    those that a truncated file lacks.

    Raises:
        InputError: where header and file do not fit together, or there are several channels.
    """
    header = _parse(path)
    if math.prod(header.size[4:]) > 1:
        raise InputError(
            f"{path} must hold one grey value per voxel. Received: {header.size[4]} channels"
        )
    return _values(path, header).reshape(header.size[3::-1])


def nifti_vectors(path: Path) -> np.ndarray:
    """The vectors ``([z,] y, x, channels)`` with the file's own scaling, components in LPS.

    Two components are those of a 2-D image. Vectors with the intent of a displacement are RAS in
    the file, and all others are taken as they are: ITK, ANTs and elastix write them so. They are
    read here because ITK's reader of scaled vectors writes beyond its memory.

    Raises:
        InputError: where header and file do not fit together, or there is no fifth axis of two or
            three values.
    """
    header = _parse(path)
    size = (*header.size, 1, 1, 1)[:5]
    ndim = size[4]
    if ndim not in (2, 3) or size[3] > 1 or (ndim == 2 and size[2] > 1):
        raise InputError(
            f"{path} is no displacement: five axes are needed, the fourth of one and the fifth of "
            f"as many channels as the image has axes. Received: {' x '.join(map(str, header.size))}"
        )
    array = np.moveaxis(_values(path, header).reshape(size[::-1])[:, 0], 0, -1)
    if struct.unpack_from(f"{header.order}h", header.fields, 68)[0] == _DISPLACEMENT:
        array = array * np.array([-1, -1, 1][:ndim], array.dtype)
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        raise InputError(f"{path} must hold finite values. Received: {bad} NaN or infinite values")
    return array[0] if ndim == 2 else array


def _values(path: Path, header: _Header) -> np.ndarray:
    """All values in the order of the file, with its scaling."""
    wanted = header.values * header.dtype.itemsize
    if _compressed(header.voxels):
        content = bytearray()
        check_deflated(path, header.voxels, 0, header.offset + wanted, content)
        array = np.frombuffer(content, header.dtype, header.values, header.offset)
    else:
        check_raw(path, header.voxels, header.offset, wanted)
        array = np.fromfile(header.voxels, header.dtype, header.values, offset=header.offset)
    if header.slope == 0 or not math.isfinite(header.slope):  # then the intercept says nothing
        return scaled(array, 1.0, 0.0)
    if not math.isfinite(header.intercept):
        raise broken(path, f"scl_inter must be finite beside a slope. Received: {header.intercept}")
    return scaled(array, header.slope, header.intercept)


def _parse(path: Path) -> _Header:
    """The header, once all in it that concerns the voxels has been found possible."""
    head = _head(path)
    if len(head) < _LENGTH:
        raise InputError(f"{path} is truncated. Received: {len(head)} bytes of a NIfTI header")
    order = {_LENGTH: "<", int.from_bytes(_LENGTH.to_bytes(4, "big"), "little"): ">"}.get(
        struct.unpack_from("<i", head)[0]
    )
    if order is None or head[344:348] not in (b"n+1\0", b"ni1\0"):
        second = head[4:8] in (b"n+2\0", b"ni2\0")
        why = "it is NIfTI-2, and NIfTI-1 is needed." if second else "it has no NIfTI-1 header."
        raise InputError(f"{path} is not an image that can be read: {why}")
    alone = head[344:348] == b"n+1\0"
    if not alone and path.suffix.lower() != ".hdr":
        raise InputError(f"{path} must hold header and voxels in one file. Received: magic 'ni1'")
    voxels = path if alone else _image_beside(path)
    dimensions = struct.unpack_from(f"{order}8h", head, 40)
    ndim = dimensions[0]
    if not 2 <= ndim <= 7:
        raise broken(path, f"2 to 5 axes can be read. Received: {ndim}")
    size = dimensions[1 : ndim + 1]
    while len(size) > 3 and size[-1] == 1:
        size = size[:-1]
    check_size(path, size)
    offset, slope, intercept = struct.unpack_from(f"{order}3f", head, 108)
    least = _LENGTH + 4 if alone else 0
    usable = math.isfinite(offset) and offset < 2**31 and offset == int(offset)
    if not usable or offset < least:
        raise broken(path, f"vox_offset must be a number of bytes from {least}. Received: {offset}")
    dtype = _dtype(path, struct.unpack_from(f"{order}h", head, 70)[0]).newbyteorder(order)
    return _Header(head, order, size, dtype, voxels, int(offset), slope, intercept)


def _image_beside(path: Path) -> Path:
    """The file of the voxels of a ``.hdr``."""
    for suffix in (".img", ".img.gz"):
        if path.with_suffix(suffix).is_file():
            return path.with_suffix(suffix)
    raise InputError(
        f"{path} needs its voxels in a file beside it. Received: no {path.with_suffix('.img').name}"
    )


def _compressed(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _head(path: Path) -> bytes:
    try:
        with gzip.open(path) if _compressed(path) else open(path, "rb") as file:
            return file.read(_LENGTH)
    except EOFError as error:
        raise InputError(f"{path} is truncated: it ends inside the header.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is not an image that can be read: {error}") from error


def _dtype(path: Path, kind: int) -> np.dtype:
    if kind in _COMPLEX:
        raise InputError(f"{path} must hold real numbers. Received: complex voxels")
    if kind in _COLOUR:
        raise InputError(
            f"{path} must hold one grey value per voxel. Received: {_COLOUR[kind]} channels"
        )
    if kind in _OTHERS:
        raise InputError(
            f"{path} must hold whole numbers or floats of 32 or 64 bits. Received: {_OTHERS[kind]}"
        )
    if kind not in NIFTI_TYPES:
        raise broken(path, f"the datatype is unknown. Received: {kind}")
    return np.dtype(NIFTI_TYPES[kind])
