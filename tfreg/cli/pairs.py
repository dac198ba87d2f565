"""The list of pairs of ``tfreg batch``: a CSV file."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from tfreg.cli.registrar import Files
from tfreg.errors import InputError

_NEEDED = ("fixed", "moving")
_COLUMNS = (*_NEEDED, "name", "fixed_mask", "moving_mask")
_NAME = re.compile(r"[^/\\:*?\"<>|\x00-\x1f]{1,200}")
_ENDS = re.compile(r"(\.nii\.gz|\.[A-Za-z]{2,5})$")


@dataclass(frozen=True)
class Pair:
    """One row: its name, which is that of its folder, and its files."""

    name: str
    files: Files


def read_pairs(path: Path) -> list[Pair]:
    """Reads the pairs of a CSV file.

    Args:
        path: with a header; columns ``fixed`` and ``moving``, and where there are any, ``name``,
            ``fixed_mask`` and ``moving_mask``. Paths are relative to the folder of the file. A
            pair without a name is called ``<moving>-to-<fixed>``.

    Raises:
        InputError: if the file cannot be read, or a row cannot be understood; names its line.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True, strict=True)
            header = [word.strip() for word in reader.fieldnames or ()]
            reader.fieldnames = header
            rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file: {error}") from error
    repeated = len(set(header)) < len(header)
    if repeated or not set(_NEEDED) <= set(header) or not set(header) <= set(_COLUMNS):
        raise InputError(
            f"{path} must have the columns fixed and moving, and may have "
            f"{', '.join(_COLUMNS[2:])}. Received: {', '.join(header) or 'no header'}"
        )
    pairs: dict[str, Pair] = {}
    for line, row in rows:
        pair = _pair(path, line, row)
        key = pair.name.casefold()  # some file systems know no capitals
        if key in pairs:
            raise InputError(
                f"{path}, line {line}: another pair is called {pair.name}; a column name tells "
                "them apart."
            )
        pairs[key] = pair
    if not pairs:
        raise InputError(f"{path} lists no pair.")
    return list(pairs.values())


def _pair(path: Path, line: int, row: dict) -> Pair:
    if None in row or None in row.values():
        raise InputError(f"{path}, line {line}: there must be as many fields as columns.")
    values = {key: value.strip() for key, value in row.items()}
    for key in _NEEDED:
        if not values[key]:
            raise InputError(f"{path}, line {line}: {key} is empty.")
    files = Files(**{k: path.parent / v for k, v in values.items() if v and k != "name"})
    name = values.get("name") or f"{_stem(files.moving)}-to-{_stem(files.fixed)}"
    if not _NAME.fullmatch(name) or name.startswith(".") or name != name.strip():
        raise InputError(f"{path}, line {line}: this cannot be a folder's name: {name!r}")
    return Pair(name, files)


def _stem(path: Path) -> str:
    return _ENDS.sub("", path.name)


def shard_of(text: str | None) -> tuple[int, int]:
    """``"2/4"`` as (2, 4): the second of four parts.

    Raises:
        InputError: on anything else.

    Example:

    >>> shard_of("2/4")
    (2, 4)
    """
    if text is None:
        return 1, 1
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    part, parts = map(int, found.groups()) if found else (0, 0)
    if not 1 <= part <= parts:
        raise InputError(f"--shard must be I/N with I from 1 to N. Received: {text}")
    return part, parts
