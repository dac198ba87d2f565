"""The header and the voxels of NIfTI-1 files (.nii, .nii.gz)."""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfreg.errors import InputError
from tfreg.io.headers.common import (
    broken,
    check_deflated,
    check_matrix,
    check_raw,
    check_size,
    check_spacing,
)

_LENGTH = 348
_TYPES = {
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


@dataclass(frozen=True)
class _Header:
    size: tuple[int, ...]
    dtype: np.dtype
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
    wanted = header.values * header.dtype.itemsize
    if _compressed(path):
        check_deflated(path, path, 0, header.offset + wanted)
    else:
        check_raw(path, path, header.offset, wanted)
    return header.values


def nifti_voxels(path: Path) -> np.ndarray:
    """The voxels ``([t, z,] y, x)`` with the file's own scaling, which gives float32 or float64.

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
    array = _values(path, header).reshape(header.size[3::-1])
    scales = math.isfinite(header.slope) and math.isfinite(header.intercept) and header.slope != 0
    if scales and (header.slope, header.intercept) != (1, 0):
        kind = "float64" if header.dtype.itemsize == 8 else "float32"
        return array.astype(kind) * np.array(header.slope, kind) + np.array(header.intercept, kind)
    return array.astype(header.dtype.newbyteorder("="), copy=False)


def check_finite_nifti(path: Path) -> None:
    """Refuses values, of any number of channels, that ITK's reader would take for zeros.

    Raises:
        InputError: where there are NaN or infinite values, or header and file do not fit together.
    """
    values = _values(path, _parse(path))
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise InputError(f"{path} must hold finite values. Received: {bad} NaN or infinite values")


def _values(path: Path, header: _Header) -> np.ndarray:
    """All values in the order and the dtype of the file."""
    wanted = header.values * header.dtype.itemsize
    if _compressed(path):
        content = bytearray()
        check_deflated(path, path, 0, header.offset + wanted, content)
        return np.frombuffer(content, header.dtype, header.values, header.offset)
    check_raw(path, path, header.offset, wanted)
    return np.fromfile(path, header.dtype, header.values, offset=header.offset)


def _parse(path: Path) -> _Header:
    """The header, once all in it has been found possible."""
    head = _head(path)
    if len(head) < _LENGTH:
        raise InputError(f"{path} is truncated. Received: {len(head)} bytes of a NIfTI header")
    order = {_LENGTH: "<", int.from_bytes(_LENGTH.to_bytes(4, "big"), "little"): ">"}.get(
        struct.unpack_from("<i", head)[0]
    )
    if order is None or head[344:348] not in (b"n+1\0", b"ni1\0"):
        raise InputError(f"{path} is not an image that can be read: it has no NIfTI-1 header.")
    if head[344:348] == b"ni1\0":
        raise InputError(f"{path} must hold header and voxels in one file. Received: magic 'ni1'")
    dimensions = struct.unpack_from(f"{order}8h", head, 40)
    ndim = dimensions[0]
    if not 2 <= ndim <= 5:
        raise broken(path, f"2 to 5 axes can be read. Received: {ndim}")
    size = dimensions[1 : ndim + 1]
    check_size(path, size)
    check_spacing(path, struct.unpack_from(f"{order}8f", head, 76)[1 : min(ndim, 3) + 1])
    _check_maps(path, head, order, ndim)
    offset, slope, intercept = struct.unpack_from(f"{order}3f", head, 108)
    if not (math.isfinite(offset) and 0 <= offset < 2**31 and offset == int(offset)):
        raise broken(path, f"vox_offset must be a number of bytes. Received: {offset}")
    dtype = _dtype(path, struct.unpack_from(f"{order}h", head, 70)[0]).newbyteorder(order)
    return _Header(size, dtype, max(int(offset), _LENGTH + 4), slope, intercept)


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


def _check_maps(path: Path, head: bytes, order: str, ndim: int) -> None:
    """The affine maps of the header, where it says that they count."""
    qform, sform = struct.unpack_from(f"{order}2h", head, 252)
    if qform > 0:
        values = struct.unpack_from(f"{order}6f", head, 256)
        if not all(map(math.isfinite, values)):
            raise broken(path, f"the quaternion must be finite. Received: {values}")
    if sform > 0:
        values = struct.unpack_from(f"{order}12f", head, 280)
        if not all(map(math.isfinite, values)):
            raise broken(path, f"the rows of the sform must be finite. Received: {values}")
        if ndim > 2:
            check_matrix(path, [values[k::4] for k in range(3)])  # column by column


def _dtype(path: Path, kind: int) -> np.dtype:
    if kind in _COMPLEX:
        raise InputError(f"{path} must hold real numbers. Received: complex voxels")
    if kind in _COLOUR:
        raise InputError(
            f"{path} must hold one grey value per voxel. Received: {_COLOUR[kind]} channels"
        )
    if kind not in _TYPES:
        raise broken(path, f"the datatype is unknown. Received: {kind}")
    return np.dtype(_TYPES[kind])
