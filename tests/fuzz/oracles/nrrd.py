"""NRRD, read once more from the text of its definition (teem.sourceforge.net/nrrd/format.html)."""

import gzip
import re
import zlib
from pathlib import Path

import numpy as np

from ..meaning import Meaning, Truth

_TYPES = {"float": "f4", "double": "f8"}
for _size, _names in {
    1: ("char",),
    2: ("short", "short int"),
    4: ("int",),
    8: ("long long", "long long int"),
}.items():
    for _name in _names:
        _TYPES |= {
            _name: f"i{_size}",
            f"signed {_name}": f"i{_size}",
            f"unsigned {_name}": f"u{_size}",
        }
_TYPES |= {"uchar": "u1", "ushort": "u2", "uint": "u4", "longlong": "i8", "ulonglong": "u8"}
_TYPES |= {
    f"{s}int{8 * n}{t}": f"{s or 'i'}{n}"
    for s in ("", "u")
    for n in (1, 2, 4, 8)
    for t in ("", "_t")
}
_SPACES = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}
_IN_SPACE = ("domain", "space", "???", "none")
_MM = ("mm", "", "???", "millimeter", "millimetre", "millimeters")
_CONVERTED = {"um": 1e-3, "microns": 1e-3, "cm": 10.0, "m": 1000.0}


def truth(path: Path) -> Truth:
    """What the fields say; no meaning where they cannot be followed."""
    try:
        return _truth(path)
    except (ValueError, KeyError, IndexError, OSError, EOFError, zlib.error, OverflowError):
        return Truth()


def _truth(path: Path) -> Truth:
    content = path.read_bytes()
    head, gap, rest = content.partition(b"\r\n\r\n" if b"\r\n" in content[:12] else b"\n\n")
    magic, *lines = head.decode("latin-1").split("\n")
    if not re.fullmatch(r"NRRD000[1-5]\r?", magic):
        return Truth()
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith("#") or ":=" in line or not line.strip():
            continue
        key, colon, value = line.partition(": ")
        if not colon:
            return Truth()
        fields.setdefault(key.lower(), value.strip())
    size = [int(word) for word in fields["sizes"].split()]
    if len(size) != int(fields["dimension"]) or min(size) < 1 or len(size) < 2:
        return Truth()
    array = _array(path, fields, size, rest if gap else b"")
    if not np.isfinite(array).all():
        return Truth()
    return _meaning(fields, array)


def _array(path: Path, fields: dict[str, str], size: list[int], rest: bytes) -> np.ndarray:
    dtype = np.dtype(_TYPES[fields["type"].lower()])
    if dtype.itemsize > 1:
        dtype = dtype.newbyteorder({"little": "<", "big": ">"}[fields["endian"].lower()])
    name = fields.get("data file", fields.get("datafile"))
    body = (path.parent / name).read_bytes() if name else rest
    for _ in range(int(fields.get("line skip", 0))):
        body = body[body.index(b"\n") + 1 :]
    count = int(np.prod(size))
    encoding, skip = fields["encoding"].lower(), int(fields.get("byte skip", 0))
    if encoding in ("gzip", "gz"):
        body = gzip.decompress(body)
    elif encoding != "raw":
        raise ValueError(encoding)
    body = body[-count * dtype.itemsize :] if skip == -1 else body[skip:]
    return np.frombuffer(body, dtype, count).reshape(size[::-1])


def _meaning(fields: dict[str, str], array: np.ndarray) -> Truth:
    ndim = array.ndim
    kinds = fields.get("kinds", "").lower().split() or ["???"] * ndim
    directions = re.findall(r"none|\([^()]*\)", fields.get("space directions", "none " * ndim))
    if len(kinds) != ndim or len(directions) != ndim:
        return Truth()
    placed = "space directions" in fields
    if placed and "spacings" in fields:
        return Truth()
    # An axis is of space where it has a direction, or where nothing says that it is not.
    spatial = [
        kind in _IN_SPACE and (not placed or vector != "none")
        for kind, vector in zip(kinds, directions, strict=True)
    ]
    others = [axis for axis in range(ndim) if not spatial[axis]]
    axes = [axis for axis in range(ndim) if spatial[axis]]
    if not placed and len(axes) == 4 and ndim == 4:  # as in every other format
        axes, others = axes[:3], [3]
    if any(
        array.shape[ndim - 1 - axis] > 1
        and kinds[axis] not in ("time", "???", "domain", "space", "list")
        for axis in others
    ):
        return Truth()  # channels
    if len(axes) not in (2, 3) or len(others) > 1:
        return Truth()
    frames = (array,)
    if others:
        frames = tuple(np.moveaxis(array, ndim - 1 - others[0], 0))
    affine = np.eye(4)
    unit = _unit(fields)
    if placed:
        names = {**_SPACES, **{f"{key}-time": value for key, value in _SPACES.items()}}
        flips = names.get(fields.get("space", "").lower())
        linear = np.array(
            [[float(word) for word in directions[axis][1:-1].split(",")] for axis in axes]
        )
        if "space origin" in fields:
            affine[:3, 3] = [float(word) for word in fields["space origin"].strip("()").split(",")]
        affine[:3, : len(axes)] = linear.T * unit
        affine[:3, 3] *= unit
        if flips is not None:
            affine[:3] *= np.array(flips)[:, None]
        framed = flips is not None and "space origin" in fields
    else:
        spacings = [float(word) for word in fields.get("spacings", "1 " * ndim).split()]
        if "axis mins" in fields or len(spacings) != ndim:
            return Truth()
        framed = False
        affine[range(len(axes)), range(len(axes))] = [spacings[axis] * unit for axis in axes]
    if (
        not np.isfinite(affine).all()
        or np.abs(np.linalg.norm(affine[:3, : len(axes)], axis=0)).min() == 0
    ):
        return Truth()
    return Truth((Meaning(frames, affine, framed),))


def _unit(fields: dict[str, str]) -> float:
    found = set(re.findall(r'"([^"]*)"', fields.get("space units", fields.get("units", ""))))
    if len(found) > 1:
        raise ValueError(found)
    unit = next(iter(found), "mm").strip().lower()
    return 1.0 if unit in _MM else _CONVERTED[unit]
