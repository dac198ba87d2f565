"""The header of NRRD files (.nrrd, .nhdr)."""

import math
import re
from pathlib import Path

import numpy as np

from tfreg.errors import InputError
from tfreg.io.headers.common import (
    MOST_BYTES_OF_A_HEADER,
    Stated,
    broken,
    check_deflated,
    check_matrix,
    check_raw,
    check_size,
    check_spacing,
    data_file,
    millimetres,
    numbers,
)

_WHOLE = {"char": 1, "short": 2, "int": 4, "long long": 8, "longlong": 8}
_BYTES = {
    **_WHOLE,
    **{f"signed {name}": size for name, size in _WHOLE.items()},
    **{f"unsigned {name}": size for name, size in _WHOLE.items()},
    **{f"{name} int": size for name, size in _WHOLE.items() if name != "char"},
    **{f"{s} {name} int": n for s in ("signed", "unsigned") for name, n in _WHOLE.items()},
    **{f"{sign}int{8 * size}": size for sign in ("", "u") for size in (1, 2, 4, 8)},
    **{f"{sign}int{8 * size}_t": size for sign in ("", "u") for size in (1, 2, 4, 8)},
    **{"uchar": 1, "ushort": 2, "uint": 4, "ulonglong": 8, "float": 4, "double": 8},
}
_KINDS_OF_SPACE = ("domain", "space", "time")
_SPACES = {  # what makes its x, y, z LPS; ITK turns the first two by itself
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (1, 1, 1),
    "las": (1, 1, 1),
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior-time": (-1, -1, 1),
    "rast": (-1, -1, 1),
    "left-anterior-superior-time": (1, -1, 1),
    "last": (1, -1, 1),
    "left-posterior-superior-time": (1, 1, 1),
    "lpst": (1, 1, 1),
}
_UNKNOWN = ("???", "none")
_VECTOR = r"none|\([^()]*\)"
_FRAME = "measurement frame"
_OF_NO_PATIENT = ("scanner-xyz", "scanner-xyz-time", "3d-right-handed", "3d-right-handed-time")


def check_nrrd(path: Path) -> int:
    """The number of values, or an ``InputError`` where header and file do not fit together."""
    fields, end = _fields(path)
    ndim = _whole(path, fields, "dimension")
    if not 2 <= ndim <= 5:
        raise broken(path, f"2 to 5 axes can be read. Received: dimension: {ndim}")
    size = numbers(path, "sizes", _needed(path, fields, "sizes"), int)
    if len(size) != ndim:
        raise broken(path, f"sizes must be {ndim} numbers. Received: {fields['sizes'][:80]!r}")
    check_size(path, size)
    _check_axes(path, fields, ndim)
    _roles(path, fields, ndim)
    _scale(path, fields)
    kind = _needed(path, fields, "type").lower()
    if kind not in _BYTES:
        raise broken(path, f"the type must be of whole or real numbers. Received: {kind[:40]!r}")
    wanted = math.prod(size) * _BYTES[kind]
    data = _data(path, fields)
    offset = end if data is path else 0
    if _whole(path, fields, "line skip", 0) or _whole(path, fields, "lineskip", 0):
        raise InputError(f"{path} must not skip lines. Received: line skip")
    skip = _whole(path, fields, "byte skip", 0) or _whole(path, fields, "byteskip", 0)
    encoding = _needed(path, fields, "encoding").lower()
    if skip < -1 or (skip == -1 and encoding != "raw"):
        raise broken(path, f"byte skip must not be negative. Received: {skip}")
    if encoding == "raw":
        check_raw(path, data, offset + max(skip, 0), wanted)
    elif encoding in ("gzip", "gz"):
        check_deflated(path, data, offset, wanted + skip)
    else:
        raise InputError(f"{path} must be encoded as raw or gzip. Received: {encoding[:40]!r}")
    return math.prod(size)


def stated_nrrd(path: Path) -> Stated:
    """Its units, the spaces that ITK does not turn, and whether its last axis is time."""
    fields, _ = _fields(path)
    roles = _roles(path, fields, _whole(path, fields, "dimension"))
    space, said = fields.get("space", "").lower(), ()
    if space in _OF_NO_PATIENT:
        said = (f"{path} is in the space {space}, of no patient: its x, y, z are taken for LPS",)
    return Stated(_scale(path, fields), "time" in roles, said)


def check_vectors_nrrd(path: Path) -> None:
    """Refuses vectors whose components are not along x, y, z of LPS.

    Raises:
        InputError: if the header says so, in words that ITK passes over.
    """
    fields, _ = _fields(path)
    space = fields.get("space", "lps").lower()
    if space not in ("lps", "left-posterior-superior"):
        raise InputError(f"{path} must hold vectors in the space LPS. Received: space {space}")
    rows = [_vector(path, word) for word in re.findall(_VECTOR, fields.get(_FRAME, ""))]
    if rows and rows != np.eye(len(rows)).tolist():
        raise InputError(f"{path} must hold vectors along x, y, z. Received: {_FRAME} {rows}")


def nrrd_data(path: Path) -> Path:
    """The file of the voxels: the header's own, or the one that it names."""
    return _data(path, _fields(path)[0])


def _data(path: Path, fields: dict[str, str]) -> Path:
    name = fields.get("data file", fields.get("datafile"))
    return path if name is None else data_file(path, name)


def _roles(path: Path, fields: dict[str, str], ndim: int) -> list[str]:
    """What each axis is: "space", "time" or "channels".

    Raises:
        InputError: if ITK would take time or channels for x, y or z.
    """
    kinds = fields.get("kinds", "").lower().split()
    if kinds and len(kinds) != ndim:
        raise broken(path, f"kinds must be {ndim} words. Received: {fields['kinds'][:80]!r}")
    kinds = kinds or ["???"] * ndim
    words = re.findall(_VECTOR, fields.get("space directions", "")) or [""] * ndim
    roles = []
    for kind, word in zip(kinds, words, strict=True):
        if kind in (*_UNKNOWN, "domain", "space") and word == "none":
            raise broken(
                path, f"an axis without a direction must be of some other kind. Received: {kind}"
            )
        if kind != "time":
            kind = "space" if kind in (*_UNKNOWN, "domain", "space") else "channels"
        roles.append(kind)
    if roles.count("space") < 2:
        raise InputError(f"{path} must have two or three axes in space. Received: kinds {kinds}")
    inner = [role for role in roles if role != "channels"]
    if "time" in inner[:-1]:
        raise InputError(f"{path} must have time as its last axis. Received: kinds {kinds}")
    if inner[-1:] == ["time"] and words[kinds.index("time")] == "none":
        raise InputError(
            f"{path} must give its axis of time a space direction, or be a file per frame: ITK "
            "reads no other. Received: none"
        )
    return roles


def _scale(path: Path, fields: dict[str, str]) -> tuple[float, float, float]:
    """What makes x, y, z of ITK's points LPS mm."""
    space = fields.get("space", "").lower()
    if space not in ("", *_SPACES, *_OF_NO_PATIENT):
        raise InputError(f"{path} must be in the space LPS, RAS or LAS. Received: {space[:40]!r}")
    key = "space units" if "space directions" in fields else "units"
    units = re.findall(r'"([^"]*)"', fields.get(key, ""))
    lengths = [1.0 if unit in ("", "???") else millimetres(path, unit) for unit in units[:3]]
    lengths += [1.0] * (3 - len(lengths))
    turn = _SPACES.get(space, (1, 1, 1))
    return tuple(sign * length for sign, length in zip(turn, lengths, strict=True))


def _check_axes(path: Path, fields: dict[str, str], ndim: int) -> None:
    """Spacings, directions and origin, as far as they are given."""
    if "space directions" in fields:
        words = re.findall(_VECTOR, fields["space directions"])
        if len(words) != ndim:
            raise broken(path, f"space directions must be {ndim} vectors. Received: {len(words)}")
        vectors = [_vector(path, word) for word in words if word != "none"]
        check_spacing(path, [math.hypot(*vector) for vector in vectors])
        if any(len(vector) != len(vectors[0]) for vector in vectors):
            raise broken(path, "the space directions differ in length.")
        if vectors and len(vectors) == len(vectors[0]):
            check_matrix(path, vectors)
    if "spacings" in fields:
        kinds = fields.get("kinds", "").split()
        spacings = numbers(path, "spacings", fields["spacings"])
        if len(spacings) != ndim:
            raise broken(path, f"spacings must be {ndim} numbers. Received: {len(spacings)}")
        kinds = kinds if len(kinds) == ndim else ["domain"] * ndim
        pairs = zip(kinds, spacings, strict=True)
        check_spacing(path, [step for kind, step in pairs if kind in _KINDS_OF_SPACE])
    elif "axis mins" in fields and "axis maxs" in fields and "space directions" not in fields:
        raise InputError(
            f"{path} must state the size of its voxels as spacings or space directions. "
            "Received: axis mins and axis maxs alone"
        )
    if "space origin" in fields:
        origin = _vector(path, fields["space origin"])
        if not all(map(math.isfinite, origin)):
            raise broken(path, f"the origin must be finite. Received: {origin}")


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """The fields of the header, their names in lower case, and where it ends."""
    with open(path, "rb") as file:
        head = file.read(MOST_BYTES_OF_A_HEADER)
    if not re.match(rb"NRRD000[1-5]\r?\n", head):
        raise InputError(f"{path} is not an image that can be read: it has no NRRD header.")
    fields, position = {}, head.index(b"\n") + 1
    while position < len(head):
        end = head.find(b"\n", position)
        end = len(head) if end < 0 else end + 1
        line = head[position:end].decode("latin-1").strip()
        position = end
        if not line:
            return fields, position
        if line.startswith("#") or ":=" in line:
            continue
        key, colon, value = line.partition(":")
        if not colon:
            raise broken(path, f"this is no field. Received: {line[:40]!r}")
        fields.setdefault(key.strip().lower(), value.strip())
    if "data file" in fields or "datafile" in fields:
        return fields, position
    raise broken(path, "it ends before an empty line.")


def _vector(path: Path, word: str) -> list[float]:
    return numbers(path, "a vector", word.strip("()").replace(",", " "))


def _needed(path: Path, fields: dict[str, str], key: str) -> str:
    if key not in fields:
        raise broken(path, f"it has no field {key!r}.")
    return fields[key]


def _whole(path: Path, fields: dict[str, str], key: str, default: int | None = None) -> int:
    if key not in fields and default is not None:
        return default
    found = numbers(path, key, _needed(path, fields, key), int)
    if len(found) != 1:
        raise broken(path, f"{key} must be one number. Received: {fields[key][:40]!r}")
    return found[0]
