"""The syntax of elastix's parameter files: ``(Key value value ...)``, one per line."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError

_LINE = re.compile(r"\(\s*(\w+)((?:\s+(?:\"[^\"]*\"|[^\s\"()]+))*)\s*\)\s*(//.*)?")
_VALUE = re.compile(r"\"([^\"]*)\"|(\S+)")
_MISSING = object()


class Parameters:
    """The values of a parameter file by their keys."""

    def __init__(self) -> None:
        self._values: dict[str, list[str]] = {}
        self._lines: list[str] = []

    @classmethod
    def read(cls, path: Path) -> "Parameters":
        """Reads a file.

        Raises:
            InputError: if a line has another form, or the file is empty.
        """
        found = cls()
        try:
            content = path.read_bytes().decode("utf-8", "replace")
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        for line in content.splitlines():
            line = line.strip()
            if not line or line.startswith("//"):
                continue
            key, values = _parsed(path, line)
            if key in found._values:
                raise InputError(f"{path} is damaged: it has {key} twice.")
            found._values[key] = values
        if not found._values:
            raise InputError(f"{path} holds no parameters.")
        return found

    def set(self, key: str, *values: Any) -> None:
        """Adds a line."""
        words = (f'"{v}"' if isinstance(v, str) else repr(v) for v in values)
        self._lines.append(f"({key} {' '.join(words)})")

    def write(self, path: Path) -> None:
        """Writes the lines that were set."""
        path.write_text("\n".join(self._lines) + "\n", encoding="utf-8")

    def word(self, key: str, default: Any = _MISSING) -> Any:
        """The single value of a key.

        Raises:
            InputError: if it is missing and has no default, or there are several values.
        """
        values = self._get(key, None if default is _MISSING else [default])
        if len(values) != 1:
            raise InputError(f"{key} must have one value. Received: {len(values)}")
        return values[0]

    def integer(self, key: str, default: int | None = None) -> int:
        """The single value of a key, a whole number.

        Raises:
            InputError: if it is missing and has no default, or is no such number.
        """
        value = self.word(key, _MISSING if default is None else default)
        try:
            if not float(value).is_integer():
                raise ValueError
            return int(float(value))
        except (ValueError, OverflowError) as error:
            raise InputError(f"{key} must be a whole number. Received: {value!r:.40}") from error

    def numbers(self, key: str, count: int, default: np.ndarray | None = None) -> np.ndarray:
        """The values of a key, ``count`` finite numbers.

        Raises:
            InputError: if they are missing and have no default, or are something else.
        """
        values = self._get(key, default)
        try:
            found = np.array(values, dtype="float64")
        except ValueError as error:
            raise InputError(f"{key} must hold numbers: {error}.") from error
        if found.shape != (count,) or not np.isfinite(found).all():
            raise InputError(f"{key} must hold {count} finite numbers. Received: {len(values)}")
        return found

    def parameters(self, path: Path, count: int) -> np.ndarray:
        """The transform's parameters, which elastix may have put into a binary file beside."""
        if self.word("UseBinaryFormatForTransformationParameters", "false") != "true":
            return self.numbers("TransformParameters", count)
        file = named_file(path, self.word("TransformParameters"))
        if file.stat().st_size != 8 * count:
            raise InputError(f"{file} must hold {count} numbers of eight bytes.")
        values = np.fromfile(file, "<f8")
        if not np.isfinite(values).all():
            raise InputError(f"{file} must hold finite numbers.")
        return values

    def _get(self, key: str, default: Any) -> Any:
        if key in self._values:
            return self._values[key]
        if default is None:
            raise InputError(f"The key {key} is missing.")
        return default


def named_file(path: Path, name: str) -> Path:
    """The file that a parameter file calls ``name``.

    elastix looks from the folder it was started in, which nobody knows afterwards. A relative name
    is therefore looked for beside ``path``, in the same folder where that is how ``name`` begins
    ("out/a.txt", named in "out/b.txt"), and from the current folder. A full path is that file or
    none: one that happens to have the same name is another transform. What tfreg wrote together
    is told by its name, and a copy of the folder holds what belongs to it.

    Args:
        path: the file that names the other.
        name: as it says.

    Raises:
        InputError: if there is no such file.
    """
    named = Path(name)
    beside = path.absolute().parent / named.name
    tried = [path.parent / named, named]
    if not named.is_absolute() and beside.parts[-len(named.parts) :] == named.parts:
        tried.insert(1, path.parent / named.name)
    if _written_together(path, named):
        tried.insert(0, path.parent / named.name)
    try:
        found = next((candidate for candidate in tried if candidate.is_file()), None)
        alike = beside.is_file()
    except (OSError, ValueError):  # too long a name, or one with a null character
        found, alike = None, False
    if found is None:
        hint = f'; if {beside.name} beside it is meant, name it as "{beside.name}"' * alike
        raise InputError(f"{path} builds on a file that is not there{hint}. Received: {name[:200]}")
    return found


def _written_together(path: Path, named: Path) -> bool:
    """Whether both names are of one chain that tfreg wrote: "a.txt" and "a.initial0.txt", say."""
    own = re.fullmatch(r"(.+?)(\.initial\d+)?(\.initial\d+\.txt|\.displacement\.mha)", named.name)
    return own is not None and own[1] == re.sub(r"\.initial\d+$", "", path.stem)


def _parsed(path: Path, line: str) -> tuple[str, list[str]]:
    # A long line of numbers goes without the pattern, which is slow on millions of values.
    if line.endswith(")") and line.startswith("(") and '"' not in line and "//" not in line:
        key, *values = line[1:-1].split() or [""]
        if re.fullmatch(r"\w+", key) and "(" not in line[1:] and ")" not in line[:-1]:
            return key, values
    match = _LINE.fullmatch(line) if len(line) < 10000 else None
    if match is None:
        raise InputError(f"{path} is damaged: it has a line {line[:40]!r}.")
    return match[1], [quoted or plain for quoted, plain in _VALUE.findall(match[2])]
