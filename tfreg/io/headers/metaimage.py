"""The header of MetaImage files (.mha, .mhd)."""

import math
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

_BYTES = {
    "CHAR": 1,
    "UCHAR": 1,
    "SHORT": 2,
    "USHORT": 2,
    "INT": 4,
    "UINT": 4,
    "LONG": 4,
    "ULONG": 4,
    "LONG_LONG": 8,
    "ULONG_LONG": 8,
    "FLOAT": 4,
    "DOUBLE": 8,
}
_MATRIX = ("TransformMatrix", "Rotation", "Orientation")  # names of the same thing
_ORIGIN = ("Offset", "Position", "Origin")
_CLEAR = 0.8  # of a row's length, from which its nearest axis is beyond doubt
_ORDER = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
_UNSTATED = ("?", "")
_FROM = ("RL", "AP", "IS")  # where the axes of LPS come from and go to
_LONGEST_LINE = 4000  # what MetaIO keeps of a field is of fixed length
_LONGEST_TEXT = 250


def check_metaimage(path: Path) -> int:
    """The number of values, or an ``InputError`` where header and file do not fit together."""
    fields, end = _fields(path)
    if fields.get("ObjectType", "Image") != "Image":
        raise broken(path, f"it must be of an Image. Received: {fields['ObjectType']!r}")
    ndim = _whole(path, fields, "NDims")
    if not 2 <= ndim <= 4:
        raise broken(path, f"2 to 4 axes can be read. Received: NDims = {ndim}")
    size = _several(path, fields, "DimSize", ndim, int)
    check_size(path, size)
    for key in ("ElementSpacing", "ElementSize"):
        if key in fields:
            check_spacing(path, _several(path, fields, key, ndim))
    for key in _MATRIX:
        if key in fields:
            flat = _several(path, fields, key, ndim * ndim)
            check_matrix(path, [flat[k * ndim : (k + 1) * ndim] for k in range(ndim)])
    for key in _ORIGIN:
        if key in fields and not all(map(math.isfinite, _several(path, fields, key, ndim))):
            raise broken(path, f"{key} must be finite. Received: {fields[key]!r}")
    _check_synonyms(path, fields)
    _unit(path, fields)
    _intensity(path, fields)
    values = math.prod(size) * _whole(path, fields, "ElementNumberOfChannels", 1)
    if values < 1:
        raise broken(path, f"it has no channels. Received: {fields['ElementNumberOfChannels']}")
    wanted = values * _bytes_per_value(path, fields)
    data = _data(path, fields)
    offset = end if data is path else 0
    if "HeaderSize" in fields:
        skip = _whole(path, fields, "HeaderSize")
        if skip < -1:
            raise broken(path, f"HeaderSize must not be negative. Received: {skip}")
        offset = offset if skip <= 0 else skip
    if _flag(path, fields, "CompressedData", False):
        held = data.stat().st_size - offset
        stored = _whole(path, fields, "CompressedDataSize", held)
        if stored < 1:
            raise broken(path, f"CompressedDataSize must be positive. Received: {stored}")
        check_raw(path, data, offset, stored)
        check_deflated(path, data, offset, wanted, stored=stored)
    elif _flag(path, fields, "BinaryData", True):
        check_raw(path, data, offset, wanted)
    else:
        raise InputError(f"{path} must hold binary voxels. Received: BinaryData = False")
    return values


def stated_metaimage(path: Path) -> Stated:
    """What ITK passes over: units of lengths and values, and an orientation that contradicts it."""
    fields = _fields(path)[0]
    unit = _unit(path, fields)
    return Stated(
        (unit, unit, unit), warnings=_orientation(path, fields), values=_intensity(path, fields)
    )


def metaimage_data(path: Path) -> Path:
    """The file of the voxels: the header's own, or the one that it names."""
    return _data(path, _fields(path)[0])


def _unit(path: Path, fields: dict[str, str]) -> float:
    unit = fields.get("DistanceUnits", "mm")
    return 1.0 if unit in _UNSTATED else millimetres(path, unit)


def _intensity(path: Path, fields: dict[str, str]) -> tuple[float, float]:
    """Slope and intercept from what is stored to what is meant."""
    keys = ("ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset")
    slope, intercept = (
        _several(path, fields, key, 1)[0] if key in fields else default
        for key, default in zip(keys, (1.0, 0.0), strict=True)
    )
    if slope == 0 or not (math.isfinite(slope) and math.isfinite(intercept)):
        raise broken(path, f"its values cannot be scaled. Received: {slope} * stored + {intercept}")
    return slope, intercept


def _check_synonyms(path: Path, fields: dict[str, str]) -> None:
    """Refuses two different values of what has several names: ITK takes one of them."""
    for names in (_MATRIX, _ORIGIN):
        given = {name: tuple(map(float, fields[name].split())) for name in names if name in fields}
        if len(set(given.values())) > 1:
            raise broken(path, f"{' and '.join(given)} differ. Received: {[*given.values()]}")
    if len({_flag(path, fields, name, False) for name in _ORDER if name in fields}) > 1:
        raise broken(path, f"{' and '.join(_ORDER)} differ.")


def _orientation(path: Path, fields: dict[str, str]) -> tuple[str, ...]:
    """What to say where the letters do not fit the matrix, which alone counts."""
    letters = fields.get("AnatomicalOrientation", "").upper()
    if int(fields["NDims"]) != 3 or len(letters) != 3 or not set(letters) <= set("RLAPIS"):
        return ()
    name = next((name for name in _MATRIX if name in fields), None)
    rows = [1, 0, 0, 0, 1, 0, 0, 0, 1] if name is None else map(float, fields[name].split())
    rows = np.reshape(list(rows), (3, 3))
    axes = [int(np.abs(row).argmax()) for row in rows]
    found = "".join(_FROM[axis][int(row[axis] < 0)] for row, axis in zip(rows, axes, strict=True))
    clear = all(abs(row).max() > _CLEAR * np.linalg.norm(row) for row in rows)
    if found == letters or not clear:
        return ()
    what = "no TransformMatrix, which is the identity then" if name is None else f"its {name}"
    return (
        f"{path} says AnatomicalOrientation = {letters}, and {what} makes it {found}: the matrix "
        "is taken, as in ITK",
    )


def _data(path: Path, fields: dict[str, str]) -> Path:
    local = fields["ElementDataFile"].upper() == "LOCAL"
    return path if local else data_file(path, fields["ElementDataFile"])


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """The fields of the header and where it ends."""
    with open(path, "rb") as file:
        head = file.read(MOST_BYTES_OF_A_HEADER)
    fields, position = {}, 0
    while position < len(head):
        end = head.find(b"\n", position)
        end = len(head) if end < 0 else end + 1
        line = head[position:end].decode("latin-1").strip()
        key, equals, value = (part.strip() for part in line.partition("="))
        if end - position > _LONGEST_LINE:
            break
        if line and not equals:
            break
        limit = _LONGEST_TEXT if key in ("Comment", "Name", "ObjectType") else _LONGEST_LINE
        if len(value) > limit or len(key) > _LONGEST_TEXT:
            raise broken(path, f"the field {key[:20]!r} is too long. Received: {len(line)} bytes")
        if fields.setdefault(key, value) != value:
            raise broken(path, f"{key} is there twice. Received: {fields[key]!r} and {value!r}")
        position = end
        if key == "ElementDataFile":
            return fields, position
    if "NDims" in fields:
        raise broken(path, "it has no ElementDataFile, or ends before it.")
    raise InputError(f"{path} is not an image that can be read: it has no MetaImage header.")


def _bytes_per_value(path: Path, fields: dict[str, str]) -> int:
    kind = fields.get("ElementType", "").removeprefix("MET_")
    if kind not in _BYTES:
        known = ", ".join(_BYTES)
        raise broken(path, f"ElementType must be MET_ and one of {known}. Received: {kind[:40]!r}")
    return _BYTES[kind]


def _several(path: Path, fields: dict[str, str], key: str, count: int, kind: type = float) -> list:
    if key not in fields:
        raise broken(path, f"it has no {key}.")
    found = numbers(path, key, fields[key], kind)
    if len(found) != count:
        raise broken(path, f"{key} must be {count} numbers. Received: {fields[key][:80]!r}")
    return found


def _whole(path: Path, fields: dict[str, str], key: str, default: int | None = None) -> int:
    if key not in fields and default is not None:
        return default
    return _several(path, fields, key, 1, int)[0]


def _flag(path: Path, fields: dict[str, str], key: str, default: bool) -> bool:
    value = fields.get(key, str(default))
    if value not in ("True", "true", "1", "False", "false", "0"):
        raise broken(path, f"{key} must be True or False. Received: {value[:40]!r}")
    return value in ("True", "true", "1")
