"""Files of ITK transforms as lists of records: text, Matlab and HDF5.

Read here rather than by SimpleITK or h5py, which crash or hang on some damaged files and believe
any size a file states. No record is larger than the file that holds it can be.
"""

import re
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfreg.errors import InputError
from tfreg.transforms.hdf5 import Hdf5

_HEADER = "#Insight Transform File V1.0"
_NAME = re.compile(r"\w{1,80}_(double|float)_\d+_\d+(_\d+)?")
_RECORDS = 1000  # transforms in a file, at most


class Record(NamedTuple):
    """One transform of a file: ITK's class name with its suffix, and its two lists of numbers."""

    name: str
    parameters: np.ndarray
    fixed: np.ndarray


def is_text(content: bytes) -> bool:
    """Whether a file that starts so is ITK's transform text."""
    return content.lstrip()[:23] == b"#Insight Transform File"


def read_text(path: Path) -> list[Record]:
    """Reads ``.tfm`` or ``.txt``.

    Raises:
        InputError: if the file is damaged.
    """
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    if not lines or not is_text(lines[0].encode()):
        raise InputError(f"{path} is no ITK transform file: its first line is not {_HEADER!r}.")
    records: list[dict[str, Any]] = []
    for line in lines[1:]:
        key, colon, value = line.partition(":")
        key = key.strip()
        if line.lstrip().startswith("#") or not line.strip():
            continue
        if key == "Transform" and colon:
            records.append({"name": value.strip()})
        elif key in ("Parameters", "FixedParameters") and colon and records:
            if key in records[-1]:
                raise InputError(f"{path} is damaged: a transform has {key} twice.")
            records[-1][key] = _floats(path, value)
        else:
            raise InputError(f"{path} is damaged: it has a line {line[:40]!r}.")
    empty = np.empty(0)
    found = []
    for record in records:
        composite = record["name"].startswith("CompositeTransform")
        if not composite and not {"Parameters", "FixedParameters"} <= set(record):
            raise InputError(f"{path} is truncated: {record['name']} has no parameters.")
        values = (record.get("Parameters", empty), record.get("FixedParameters", empty))
        found.append(Record(record["name"], *values))
    return _checked(path, found)


def write_text(path: Path, records: list[Record]) -> None:
    """Writes ``.tfm`` or ``.txt``."""
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{_HEADER}\n")
        for position, (name, parameters, fixed) in enumerate(records):
            file.write(f"#Transform {position}\nTransform: {name}\n")
            if name.startswith("CompositeTransform"):
                continue
            file.write(f"Parameters: {' '.join(map(repr, parameters.tolist()))}\n")
            file.write(f"FixedParameters: {' '.join(map(repr, fixed.tolist()))}\n")


def read_mat(path: Path) -> list[Record]:
    """Reads a Matlab file of version 4 as ITK and ANTs write them.

    Raises:
        InputError: if the file is damaged.
    """
    content = path.read_bytes()
    matrices, position = [], 0
    while position < len(content):
        name, values, position = _matrix(path, content, position)
        matrices.append((name, values))
    records = []
    for (name, values), (second, fixed) in zip(matrices[::2], matrices[1::2], strict=False):
        if second != "fixed":
            raise InputError(f"{path} is damaged: its second matrix is not called 'fixed'.")
        records.append(Record(name, values, fixed))
    if len(matrices) % 2:
        raise InputError(f"{path} is truncated: the fixed parameters are missing.")
    return _checked(path, records)


def write_mat(path: Path, records: list[Record]) -> None:
    """Writes a Matlab file of version 4."""
    with open(path, "wb") as file:
        for name, parameters, fixed in records:
            for title, values in ((name, parameters), ("fixed", fixed)):
                file.write(struct.pack("<5i", 0, len(values), 1, 0, len(title) + 1))
                file.write(title.encode("ascii") + b"\0" + values.astype("<f8").tobytes())


def read_hdf5(path: Path) -> list[Record]:
    """Reads ITK's ``.h5``.

    Raises:
        InputError: if the file is damaged.
    """
    found = []
    try:
        file = Hdf5(path.read_bytes())
        group = file.members(_member(file.members(file.root), "TransformGroup"))
        if len(group) > _RECORDS:
            raise InputError(f"it has more than {_RECORDS} transforms. Received: {len(group)}")
        for position in range(len(group)):
            found.append(_hdf5_record(file, file.members(_member(group, str(position)))))
    except InputError as error:
        raise InputError(f"{path} is no ITK transform file, or damaged: {error}") from error
    return _checked(path, found)


def write_hdf5(path: Path, records: list[Record]) -> None:
    """Writes ITK's ``.h5``."""
    import h5py

    text = h5py.string_dtype("ascii")
    with h5py.File(path, "w", libver=("earliest", "v110")) as file:
        for key, value in (("ITKVersion", "5.4.0"), ("HDFVersion", h5py.version.hdf5_version)):
            file.create_dataset(key, data=[value], dtype=text)
        group = file.create_group("TransformGroup")
        for position, (name, parameters, fixed) in enumerate(records):
            member = group.create_group(str(position))
            member.create_dataset("TransformType", data=[name], dtype=text)
            if name.startswith("CompositeTransform"):
                continue
            member.create_dataset("TransformFixedParameters", data=fixed.astype("float64"))
            member.create_dataset("TransformParameters", data=parameters.astype("float64"))


def _hdf5_record(file: Hdf5, members: dict[str, int]) -> Record:
    name = file.text(_member(members, "TransformType"))
    if name.startswith("CompositeTransform"):
        return Record(name, np.empty(0), np.empty(0))
    # Before version 5, ITK wrote the key with a letter missing.
    prefix = "Transform" if "TransformParameters" in members else "Tranform"
    keys = (f"{prefix}Parameters", f"{prefix}FixedParameters")
    return Record(name, *(file.numbers(_member(members, key)) for key in keys))


def _member(members: dict[str, int], name: str) -> int:
    if name not in members:
        raise InputError(f"it has no {name}.")
    return members[name]


def _matrix(path: Path, content: bytes, position: int) -> tuple[str, np.ndarray, int]:
    for order in "<>":
        if len(content) - position < 20:
            raise InputError(f"{path} is truncated.")
        kind, rows, columns, imaginary, length = struct.unpack_from(f"{order}5i", content, position)
        # Thousands: 0 little-endian, 1 big-endian; tens: 0 double, 1 float.
        if kind in {"<": (0, 10, 100, 110), ">": (1000, 1010, 1100, 1110)}[order]:
            break
    else:
        raise InputError(f"{path} is no Matlab file of version 4 as ITK writes it.")
    width = 8 if kind % 100 == 0 else 4
    if min(rows, columns) < 0 or imaginary or not 1 <= length <= 256:
        raise InputError(f"{path} is damaged: the header of a matrix makes no sense.")
    start = position + 20 + length
    end = start + rows * columns * width
    if end > len(content):
        raise InputError(f"{path} is truncated, or damaged: a matrix ends beyond the file.")
    name = content[position + 20 : start].split(b"\0")[0].decode("ascii", "replace")
    values = np.frombuffer(content[start:end], f"{order}f{width}")
    return name, values.astype("float64"), end


def _floats(path: Path, text: str) -> np.ndarray:
    try:
        return np.array(text.split(), dtype="float64")
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}.") from error


def _checked(path: Path, records: list[Record]) -> list[Record]:
    if not records:
        raise InputError(f"{path} holds no transform.")
    if len(records) > _RECORDS:
        raise InputError(f"{path} has more than {_RECORDS} transforms. Received: {len(records)}")
    for record in records:
        if not _NAME.fullmatch(record.name):
            raise InputError(f"{path} is damaged: a transform is called {record.name[:80]!r}.")
        if not (np.isfinite(record.parameters).all() and np.isfinite(record.fixed).all()):
            raise InputError(f"{path}: {record.name} has parameters that are not finite.")
    return records
