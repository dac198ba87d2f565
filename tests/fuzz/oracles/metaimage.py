"""MetaImage, read once more from the text of its definition (itk.org/Wiki/ITK/MetaIO)."""

import zlib
from pathlib import Path

import numpy as np

from ..meaning import Meaning, Truth, frames_of

_TYPES = {
    "UCHAR": "u1",
    "CHAR": "i1",
    "SHORT": "i2",
    "USHORT": "u2",
    "INT": "i4",
    "UINT": "u4",
    "LONG": "i4",
    "ULONG": "u4",
    "LONG_LONG": "i8",
    "ULONG_LONG": "u8",
    "FLOAT": "f4",
    "DOUBLE": "f8",
}
_TRUE = ("true", "t", "1")
_MM = {"mm": 1.0, "?": 1.0, "": 1.0, "um": 1e-3, "cm": 10.0, "m": 1000.0}


def truth(path: Path) -> Truth:
    """What the fields say; no meaning where they cannot be followed, or say two things."""
    try:
        return _truth(path)
    except (ValueError, KeyError, IndexError, OSError, zlib.error, OverflowError):
        return Truth()


def _truth(path: Path) -> Truth:
    fields, rest = _fields(path.read_bytes())
    if fields.get("ObjectType", "Image") != "Image":
        return Truth()
    ndim = int(fields["NDims"])
    size = [int(word) for word in fields["DimSize"].split()]
    channels = int(fields.get("ElementNumberOfChannels", 1))
    if len(size) != ndim or not 2 <= ndim <= 4 or min(size) < 1 or channels != 1:
        return Truth()
    array = _array(path, fields, size, rest)
    slope = float(fields.get("ElementToIntensityFunctionSlope", 1))
    offset = float(fields.get("ElementToIntensityFunctionOffset", 0))
    if (slope, offset) != (1, 0):
        array = array * slope + offset
    if not np.isfinite(array).all():
        return Truth()
    affine = _affine(fields, ndim)
    return Truth() if affine is None else Truth((Meaning(frames_of(array), affine),))


def _fields(content: bytes) -> tuple[dict[str, str], bytes]:
    fields: dict[str, str] = {}
    while content:
        line, _, content = content.partition(b"\n")
        key, equals, value = line.decode("latin-1").partition("=")
        if not equals and line.strip():
            raise ValueError(line)
        if fields.setdefault(key.strip(), value.strip()) != value.strip():
            raise ValueError("two of a field")
        if key.strip() == "ElementDataFile":
            break
    return fields, content


def _array(path: Path, fields: dict[str, str], size: list[int], rest: bytes) -> np.ndarray:
    if fields.get("BinaryData", "True").lower() not in _TRUE:
        raise ValueError("text")
    orders = {
        fields[key].lower() in _TRUE
        for key in ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
        if key in fields
    }
    dtype = np.dtype(_TYPES[fields["ElementType"].removeprefix("MET_")])
    if len(orders) > 1 and dtype.itemsize > 1:
        raise ValueError("two byte orders")
    dtype = dtype.newbyteorder("<>"[orders == {True}])
    name, count = fields["ElementDataFile"], int(np.prod(size))
    if name.upper() != "LOCAL" and not (path.parent / name).is_file():
        raise ValueError(name)
    body = rest if name.upper() == "LOCAL" else (path.parent / name).read_bytes()
    skip = int(fields.get("HeaderSize", 0))
    if skip > 0:  # from the beginning of the file
        body = (path if name.upper() == "LOCAL" else path.parent / name).read_bytes()[skip:]
    if fields.get("CompressedData", "False").lower() in _TRUE:
        body = zlib.decompress(body)  # which ends where it ends, whatever size is stated
    if skip == -1:
        body = body[-count * dtype.itemsize :]
    return np.frombuffer(body, dtype, count).reshape(size[::-1])


def _affine(fields: dict[str, str], ndim: int) -> np.ndarray | None:
    """From index to LPS mm; None where there is no map, or there are two."""
    used = min(ndim, 3)
    matrix = _one(fields, ("TransformMatrix", "Orientation", "Rotation"), np.eye(ndim).ravel())
    offset = _one(fields, ("Offset", "Position", "Origin"), np.zeros(ndim))
    spacing = _one(fields, ("ElementSpacing",), None)
    if spacing is None:
        spacing = _one(fields, ("ElementSize",), np.ones(ndim))
    millimetres = _MM[fields.get("DistanceUnits", "?").lower()]
    found = np.eye(4)
    found[:used, :used] = matrix.reshape(ndim, ndim)[:used, :used].T * spacing[:used] * millimetres
    found[:used, 3] = offset.reshape(ndim)[:used] * millimetres
    usable = np.isfinite(found).all() and (spacing > 0).all()
    return found if usable and abs(np.linalg.det(found)) > 0 else None


def _one(fields: dict[str, str], names: tuple[str, ...], default) -> np.ndarray | None:
    found = [
        np.array([float(word) for word in fields[key].split()]) for key in names if key in fields
    ]
    for other in found[1:]:
        if not np.allclose(other, found[0]):
            raise ValueError(names)
    return found[0] if found else default
