"""The header of NIfTI-1 files (.nii, .nii.gz)."""

import math
import struct
import zlib
from pathlib import Path

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
_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8}
_COLOUR = {128: 3, 2304: 4}
_COMPLEX = (32, 1792, 2048)


def check_nifti(path: Path) -> int:
    """The number of values, or an ``InputError`` where header and file do not fit together."""
    compressed = path.name.lower().endswith(".gz")
    head = _head(path, compressed)
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
    spacing = struct.unpack_from(f"{order}8f", head, 76)[1 : min(ndim, 3) + 1]
    check_spacing(path, spacing)
    _check_rows(path, head, order, ndim)
    wanted = math.prod(size) * _bytes_per_voxel(path, struct.unpack_from(f"{order}h", head, 70)[0])
    (offset,) = struct.unpack_from(f"{order}f", head, 108)
    if not (math.isfinite(offset) and 0 <= offset < 2**31 and offset == int(offset)):
        raise broken(path, f"vox_offset must be a number of bytes. Received: {offset}")
    offset = max(int(offset), _LENGTH + 4)
    if compressed:
        check_deflated(path, path, 0, offset + wanted)
    else:
        check_raw(path, path, offset, wanted)
    return math.prod(size)


def _head(path: Path, compressed: bool) -> bytes:
    with open(path, "rb") as file:
        head = file.read(1 << 16)
    if not compressed:
        return head[:_LENGTH]
    try:
        return zlib.decompressobj(wbits=31).decompress(head, _LENGTH)
    except zlib.error as error:
        raise InputError(f"{path} is not an image that can be read: {error}") from error


def _check_rows(path: Path, head: bytes, order: str, ndim: int) -> None:
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
            check_matrix(path, [values[k : k + 9 : 4] for k in range(3)])  # one column each


def _bytes_per_voxel(path: Path, kind: int) -> int:
    if kind in _COMPLEX:
        raise InputError(f"{path} must hold real numbers. Received: complex voxels")
    if kind in _COLOUR:
        raise InputError(
            f"{path} must hold one grey value per voxel. Received: {_COLOUR[kind]} channels"
        )
    if kind not in _BYTES:
        raise broken(path, f"the datatype is unknown. Received: {kind}")
    return _BYTES[kind]
