"""Files of ITK transforms as lists of records: text, Matlab and HDF5.

Read and written here rather than by SimpleITK, whose readers crash on some damaged files and
believe any size a file states. No record is larger than the file that holds it can be.
"""

import os
import re
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfreg.errors import InputError

_HEADER = "#Insight Transform File V1.0"
_NAME = re.compile(r"\w{1,80}_(double|float)_\d+_\d+(_\d+)?")
_DEFLATE = 1100  # times, at most, that deflate makes data smaller
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
    import h5py

    try:
        with h5py.File(path, "r") as file:
            group = file["TransformGroup"]
            count = len(group)
            if count > _RECORDS:
                raise InputError(f"{path} has more than {_RECORDS} transforms. Received: {count}")
            return _checked(path, [_hdf5_record(path, group[str(k)]) for k in range(count)])
    except InputError:
        raise
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is no ITK transform file, or damaged: {reason}") from error


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


def _hdf5_record(path: Path, group: Any) -> Record:
    name = group["TransformType"]
    if name.shape not in ((), (1,)):
        raise InputError(f"{path} is damaged: TransformType has the shape {name.shape}.")
    name = np.ravel(name[()])[0]
    name = name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)
    values = []
    for key in ("Parameters", "FixedParameters"):
        # Before version 5, ITK wrote the key with a letter missing.
        keys = [k for k in (f"Transform{key}", f"Tranform{key}") if k in group]
        if not keys and not name.startswith("CompositeTransform"):
            raise InputError(f"{path} is damaged: {name} has no {key}.")
        values.append(_hdf5_numbers(path, group[keys[0]]) if keys else np.empty(0))
    return Record(name, *values)


def _hdf5_numbers(path: Path, data: Any) -> np.ndarray:
    possible = os.path.getsize(path) * (1 if data.chunks is None else _DEFLATE)
    if data.dtype.kind not in "fiu" or len(data.shape) != 1:
        raise InputError(f"{path} is damaged: parameters are {data.dtype}{list(data.shape)}.")
    if data.size * data.dtype.itemsize > possible or np.prod(data.chunks or (1,)) * 8 > possible:
        raise InputError(f"{path} is damaged: it cannot hold {data.size} parameters.")
    if data.external:
        raise InputError(f"{path} keeps its parameters in other files, which is not read.")
    return np.asarray(data[()], dtype="float64")


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
