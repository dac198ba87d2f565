"""Checks that the formats share."""

import math
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfreg.errors import InputError

MOST_BYTES_OF_A_HEADER = 1 << 20
_MILLIMETRES = {
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers"), 1e-3),
    **dict.fromkeys(("nm", "nanometer", "nanometers"), 1e-6),
    **dict.fromkeys(("cm", "centimeter", "centimeters"), 10.0),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1e3),
}
_DEFLATE_RATIO = 1032  # the most that a byte of deflate can stand for
_CHUNK = 1 << 20
_DIGITS = 1 << 20  # steps of a scaling between its values and 0 that float32 tells apart


@dataclass(frozen=True)
class Stated:
    """What a header says that ITK passes over.

    Attributes:
        scale: for x, y and z of ITK's points, what makes them LPS mm.
        time: whether the last axis is time.
        warnings: what it says twice, or leaves open.
        values: slope and intercept from what is stored to what is meant.
    """

    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    time: bool = False
    warnings: tuple[str, ...] = ()
    values: tuple[float, float] = (1.0, 0.0)


def scaled(array: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """``slope * array + intercept``, in the dtype of the array if that changes nothing.

    Else it is float32 for values of single precision and whole numbers of one or two bytes, where
    its digits tell their steps apart, and float64 for all others.
    """
    if (slope, intercept) == (1, 0):
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    small = array.dtype.itemsize < (4 if array.dtype.kind in "iu" else 8)
    kind = "float32" if small and abs(intercept) < _DIGITS * abs(slope) else "float64"
    with np.errstate(over="ignore"):  # infinite voxels are counted and refused like any others
        return array.astype(kind) * np.array(slope, kind) + np.array(intercept, kind)


def broken(path: Path, why: str) -> InputError:
    """The error of a file whose header says something impossible."""
    return InputError(f"{path} has a broken header: {why}")


def check_size(path: Path, size: Sequence[int], most_axes: int = 5) -> None:
    """Refuses sizes that are not 2 to ``most_axes`` positive numbers."""
    if not 2 <= len(size) <= most_axes:
        raise broken(path, f"2 to {most_axes} axes can be read. Received: {len(size)}")
    if min(size) < 1:
        raise broken(path, f"every axis must have at least one voxel. Received: size={size}")


def check_spacing(path: Path, spacing: Sequence[float]) -> None:
    """Refuses a spacing that is not positive and finite."""
    if not all(math.isfinite(step) and step > 0 for step in spacing):
        raise broken(path, f"the spacing must be positive. Received: {tuple(spacing)}")


def check_matrix(path: Path, rows: Sequence[Sequence[float]]) -> None:
    """Refuses a direction that is not finite, or singular; the length of its rows is free."""
    matrix = np.array(rows, dtype="float64")
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(matrix, axis=1)
    usable = np.isfinite(matrix).all() and np.isfinite(lengths).all() and (lengths > 0).all()
    if not usable or abs(np.linalg.det(matrix / lengths[:, None])) < 1e-6:
        raise broken(path, f"the direction is singular. Received: {matrix.tolist()}")


def check_raw(path: Path, data: Path, offset: int, wanted: int) -> None:
    """Refuses a file that is shorter than its header says.

    Args:
        path: of the header, for the message.
        data: the file of the voxels.
        offset: where they start.
        wanted: how many bytes they take.
    """
    held = data.stat().st_size - offset
    if held < wanted:
        raise _too_short(path, wanted, f"{max(held, 0)} bytes")


def check_deflated(
    path: Path,
    data: Path,
    offset: int,
    wanted: int,
    into: bytearray | None = None,
    stored: int | None = None,
) -> None:
    """Refuses gzip or zlib data that is damaged, or shorter than the header says.

    It is inflated once, a piece at a time, up to its end: the readers of ITK do not check that.

    Args:
        path: of the header, for the message.
        data: the file of the compressed bytes.
        offset: where they start.
        wanted: how many bytes they must inflate to.
        into: what is inflated is added here; None forgets it.
        stored: how many the compressed bytes are; None is all up to the end of the file.
    """
    left = data.stat().st_size - offset if stored is None else stored
    check_ratio(path, left, wanted)
    held = 0
    try:
        with open(data, "rb") as file:
            file.seek(offset)
            inflater, rest = zlib.decompressobj(wbits=47), b""  # gzip or zlib, whichever it is
            while held <= wanted + MOST_BYTES_OF_A_HEADER:
                if not rest:
                    rest = file.read(min(_CHUNK, left))
                    left -= len(rest)
                if not rest:
                    break
                piece = inflater.decompress(rest, _CHUNK)
                held += len(piece)
                if into is not None:
                    into += piece
                rest = inflater.unconsumed_tail
                if inflater.eof:
                    if held >= wanted:
                        break
                    rest = inflater.unused_data  # the next member of the same gzip file
                    inflater = zlib.decompressobj(wbits=47)
    except zlib.error as error:
        raise InputError(f"{path} is damaged: {error}") from error
    if held < wanted:
        raise _too_short(path, wanted, f"{held} bytes")
    if held == wanted and not inflater.eof:
        raise InputError(f"{path} is truncated: it ends before its checksum.")


def check_ratio(path: Path, stored: int, wanted: int) -> None:
    """Refuses a header that asks for more than its compressed bytes can stand for."""
    if wanted > _DEFLATE_RATIO * max(stored, 0):
        raise _too_short(path, wanted, f"{max(stored, 0)} compressed bytes")


def data_file(path: Path, name: str) -> Path:
    """The file of voxels that a header names, beside the header.

    Raises:
        InputError: if it is not a single regular file.
    """
    if not name or "\0" in name or "%" in name or name.split()[0].upper() == "LIST":
        raise broken(path, f"the voxels must be in one file. Received: {name!r}")
    data = path.parent / name
    try:
        regular = data.is_file()
    except OSError:  # the name is too long, say
        regular = False
    if not regular:
        raise InputError(f"{path} names a file of voxels that is missing. Received: {name!r}")
    if os.path.samefile(data, path):
        raise broken(path, "it names itself as the file of voxels.")
    return data


def millimetres(path: Path, unit: str) -> float:
    """How many a unit of length has.

    Raises:
        InputError: if it is unknown.
    """
    if unit.strip().lower() not in _MILLIMETRES:
        raise InputError(
            f"{path} must state its lengths in m, cm, mm, um or nm. Received: {unit[:40]!r}"
        )
    return _MILLIMETRES[unit.strip().lower()]


def numbers(path: Path, key: str, text: str, kind: type = float) -> list:
    """The numbers of a field of a text header."""
    try:
        return [kind(word) for word in text.split()]
    except ValueError as error:
        raise broken(path, f"{key} must be numbers. Received: {text[:80]!r}") from error


def _too_short(path: Path, wanted: int, received: str) -> InputError:
    return InputError(
        f"{path} is truncated or its header is wrong: the header asks for {wanted} bytes of "
        f"voxels. Received: {received}"
    )
