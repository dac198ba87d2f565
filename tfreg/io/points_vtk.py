"""Points as VTK's legacy files, ASCII or binary."""

import re
from pathlib import Path

import numpy as np

from tfreg.errors import InputError
from tfreg.io.points_frames import in_lps

_TYPES = {
    "float": ">f4", "double": ">f8", "char": ">i1", "unsigned_char": ">u1", "short": ">i2",
    "unsigned_short": ">u2", "int": ">i4", "unsigned_int": ">u4", "long": ">i8",
    "unsigned_long": ">u8", "vtkidtype": ">i8", "vtktypeint64": ">i8", "vtktypeuint64": ">u8",
}  # fmt: skip
_SPACE = re.compile(r"\bSPACE\s*=\s*(\w+)", re.IGNORECASE)


def parse_vtk(content: bytes, path: Path) -> np.ndarray:
    """The points ``(n, 3)`` in LPS mm; cells and data are left out.

    A file states its frame in its title ("SPACE=RAS", as 3D Slicer does) or in a field SPACE; one
    that does not is LPS.
    """
    file = _File(content, path)
    first = file.line()
    if not first.startswith("# vtk DataFile"):
        raise InputError(f"{path} is not a legacy VTK file. Received: {first[:40]!r}")
    title, form = file.line(), file.line().strip().upper()
    if form not in ("ASCII", "BINARY"):
        raise InputError(f"{path} must be an ASCII or BINARY file of VTK. Received: {form[:40]!r}")
    file.binary = form == "BINARY"
    frames = {frame.upper() for frame in _SPACE.findall(title)}
    points = None
    while file.left() and points is None:
        words = file.line().split()
        keyword = words[0].upper() if words else ""
        if keyword == "FIELD":
            frames |= _space_of_field(file, _count(words, 2, path))
        elif keyword == "POINTS":
            points = file.numbers(3 * _count(words, 1, path), words[2])
    if points is None:
        raise InputError(f"{path} holds no POINTS.")
    if len(frames) > 1:
        raise InputError(f"{path} must state one frame. Received: {' and '.join(sorted(frames))}")
    return in_lps(points.reshape(-1, 3), *(frames or {"LPS"}), path)


def print_vtk(points: np.ndarray) -> str:
    """A legacy ASCII file of poly data with one vertex per point; z is 0 in 2-D."""
    count, ndim = points.shape
    points = np.pad(points, ((0, 0), (0, 3 - ndim)))
    lines = ["# vtk DataFile Version 3.0", "points in mm, SPACE=LPS", "ASCII", "DATASET POLYDATA"]
    lines.append(f"POINTS {count} double")
    lines += [" ".join(map(repr, row)) for row in points.tolist()]
    lines.append(f"VERTICES {count} {2 * count}")
    lines += [f"1 {number}" for number in range(count)]
    return "\n".join(lines) + "\n"


class _File:
    """The content of a file, and how far it has been read."""

    def __init__(self, content: bytes, path: Path):
        self.content, self.path, self.place, self.binary = content, path, 0, False

    def left(self) -> bool:
        return self.place < len(self.content)

    def line(self) -> str:
        end = self.content.find(b"\n", self.place)
        start, self.place = self.place, len(self.content) if end < 0 else end + 1
        return self.content[start : self.place].decode("utf-8", "replace").strip()

    def numbers(self, count: int, kind: str) -> np.ndarray:
        """So many values, behind which there is a new line."""
        if not self.binary:
            return self._words(count)
        dtype = np.dtype(_TYPES.get(kind.lower(), "V"))
        if not dtype.itemsize:
            raise InputError(f"{self.path} has values of an unknown type. Received: {kind:.40}")
        found = self.content[self.place : self.place + count * dtype.itemsize]
        if len(found) < count * dtype.itemsize:
            raise self._truncated(count, len(found) // dtype.itemsize)
        self.place += len(found)
        return np.frombuffer(found, dtype).astype("float64")

    def _words(self, count: int) -> np.ndarray:
        values: list[float] = []
        while len(values) < count and self.left():
            before, words = self.place, self.line().split()
            try:
                values += [float(word) for word in words]
            except ValueError:  # the next section of the file
                self.place = before
                break
        if len(values) != count:
            raise self._truncated(count, len(values))
        return np.array(values)

    def texts(self, count: int) -> list[str]:
        """So many strings: one per line, in a binary file each after its length."""
        found = []
        for _ in range(count):
            if not self.left():
                raise self._truncated(count, len(found))
            if not self.binary:
                found.append(self.line())
                continue
            size = 8 >> (
                self.content[self.place] >> 6
            )  # two bits say how many bytes the length has
            length = int.from_bytes(self.content[self.place : self.place + size], "big")
            length &= (1 << 8 * size - 2) - 1
            start, self.place = self.place + size, self.place + size + length
            found.append(self.content[start : self.place].decode("utf-8", "replace"))
        return found

    def _truncated(self, count: int, held: int) -> InputError:
        return InputError(
            f"{self.path} is truncated: {count} values are promised. Received: {held}"
        )


def _space_of_field(file: _File, arrays: int) -> set[str]:
    """The value of an array SPACE of a field, if there is one; the others are passed over."""
    frames = set()
    for _ in range(arrays):
        words: list[str] = []
        while not words and file.left():
            words = file.line().split()
        if words[:1] == ["METADATA"]:  # of the array before, up to an empty line
            while file.line():
                pass
            words = file.line().split()
        count = _count(words, 1, file.path) * _count(words, 2, file.path)
        if words[3].lower() != "string":
            file.numbers(count, words[3])
            continue
        texts = file.texts(count)
        if words[0].upper() == "SPACE":
            frames |= {text.strip().upper() for text in texts}
    return frames


def _count(words: list[str], position: int, path: Path) -> int:
    """A number of values in a line, behind which there is their type (but for FIELD)."""
    needed = 3 if words[:1] and words[0].upper() in ("FIELD", "POINTS") else 4
    if len(words) != needed or not words[position].isdecimal():
        raise InputError(f"{path} has a broken header. Received: {' '.join(words)[:80]!r}")
    return int(words[position])
