"""The list of pairs, or of images, of ``tfreg batch``: a CSV file."""

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tfreg.cli.registrar import Files
from tfreg.cohort.work import Pair
from tfreg.errors import InputError

_NEEDED = ("fixed", "moving")
_COLUMNS = (*_NEEDED, "name", "fixed_mask", "moving_mask")
_IMAGES = ("image", "name", "mask")
_NAME = re.compile(r"[^/\\:*?\"<>|\x00-\x1f]{1,200}")
_ENDS = re.compile(r"(\.nii\.gz|\.[A-Za-z]{2,5})$")


def read_pairs(path: Path) -> list[Pair]:
    """Reads the pairs of a CSV file.

    Args:
        path: with a header; columns ``fixed`` and ``moving``, and where there are any, ``name``,
            ``fixed_mask`` and ``moving_mask``. Paths are relative to the folder of the file. A
            pair without a name is called ``<moving>-to-<fixed>``.

    Raises:
        InputError: if the file cannot be read, or a row cannot be understood; names its line.
    """
    header, rows = _rows(path)
    if not set(_NEEDED) <= set(header) or not set(header) <= set(_COLUMNS):
        raise InputError(
            f"{path} must have the columns fixed and moving, and may have "
            f"{', '.join(_COLUMNS[2:])}. Received: {', '.join(header) or 'no header'}"
        )
    return pairs_from(rows, path.parent, f"{path}, line")


def read_images(path: Path, atlas: Path | None, atlas_mask: Path | None = None) -> list[Pair]:
    """Pairs of the images that a CSV file lists.

    Args:
        path: with a header; the column ``image``, and where there are any, ``name`` and ``mask``.
            Paths are relative to the folder of the file; an image without a name has that of its
            file.
        atlas: the image onto which every one is registered; ``None``: each onto each other.
        atlas_mask: where to look in it.

    Returns:
        A pair for each image, of its name; or for each ordered couple ``<moving>-to-<fixed>``.

    Raises:
        InputError: as :func:`read_pairs`, or where there is but one image without an atlas.
    """
    header, rows = _rows(path)
    if "image" not in header or not set(header) <= set(_IMAGES):
        raise InputError(
            f"{path} must have the column image, and may have {', '.join(_IMAGES[1:])}. "
            f"Received: {', '.join(header) or 'no header'}"
        )
    anchor = path.parent
    if atlas is not None:
        fixed = {"fixed": str(atlas.absolute())}
        fixed |= {} if atlas_mask is None else {"fixed_mask": str(atlas_mask.absolute())}
        onto = [(line, {**fixed, **_side("moving", row)}) for line, row in rows]
        for line, row in onto:
            row["name"] = row["name"] or _stem(Path(row["moving"]))
            if not row["moving"]:
                raise InputError(f"{path}, line {line}: image is empty.")
        return pairs_from(onto, anchor, f"{path}, line")
    images = pairs_from(
        [(line, {**_side("moving", row), "fixed": row["image"]}) for line, row in rows],
        anchor,
        f"{path}, line",
        lambda files: _stem(files.moving),
    )
    if len(images) < 2:
        raise InputError(f"{path} must list two images or more. Received: {len(images)}")
    return [
        Pair(
            f"{moving.name}-to-{fixed.name}",
            Files(
                fixed.files.moving,
                moving.files.moving,
                fixed.files.moving_mask,
                moving.files.moving_mask,
            ),
        )
        for fixed in images
        for moving in images
        if moving is not fixed
    ]


def _side(side: str, row: dict) -> dict[str, Any]:
    """The columns of an image as those of one side of a pair."""
    return {side: row["image"], f"{side}_mask": row.get("mask", ""), "name": row.get("name", "")}


def _rows(path: Path) -> tuple[list[str], list[tuple[int, dict]]]:
    """The header of a CSV file and its rows, each with its line; every field is there."""
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
    if len(set(header)) < len(header):
        raise InputError(
            f"{path} must have the columns fixed and moving, or image, once. "
            f"Received: {', '.join(header)}"
        )
    for line, row in rows:
        if None in row or None in row.values():
            raise InputError(f"{path}, line {line}: there must be as many fields as columns.")
    return header, [(line, {k: v.strip() for k, v in row.items()}) for line, row in rows]


def pairs_from(
    rows: Iterable[tuple[int, dict]], anchor: Path, where: str, named: Any = None
) -> list[Pair]:
    """Pairs of rows.

    Args:
        rows: each with the number of its line; columns as in :func:`read_pairs`.
        anchor: the folder that paths are relative to.
        where: what the number of a line follows in an error.
        named: makes a name of files where there is none; ``None``: ``<moving>-to-<fixed>``.

    Raises:
        InputError: if a row cannot be understood, or two have one name.
    """
    pairs: dict[str, Pair] = {}
    for line, row in rows:
        pair = _pair(f"{where} {line}", anchor, row, named or _both)
        key = pair.name.casefold()  # some file systems know no capitals
        if key in pairs:
            raise InputError(
                f"{where} {line}: another pair is called {pair.name}; a column name tells "
                "them apart."
            )
        pairs[key] = pair
    if not pairs:
        raise InputError(f"{where.removesuffix(', line')} lists no pair.")
    return list(pairs.values())


def _pair(where: str, anchor: Path, values: dict, named: Any) -> Pair:
    unknown = set(values) - set(_COLUMNS)
    if unknown:
        raise InputError(f"{where}: a pair has {', '.join(_COLUMNS)}. Received: {sorted(unknown)}")
    for key in _NEEDED:
        if not values.get(key):
            raise InputError(f"{where}: {key} is empty.")
    files = Files(**{k: anchor / v for k, v in values.items() if v and k != "name"})
    name = str(values.get("name") or named(files))
    if not _NAME.fullmatch(name) or name.startswith(".") or name != name.strip():
        raise InputError(f"{where}: this cannot be a folder's name: {name!r}")
    return Pair(name, files)


def _both(files: Files) -> str:
    return f"{_stem(files.moving)}-to-{_stem(files.fixed)}"


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
