"""TIFF files: that every page and its pixels lie inside the file."""

import struct
from pathlib import Path
from typing import BinaryIO

from tfreg.errors import InputError
from tfreg.io.headers.common import broken

_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}
_OFFSETS, _COUNTS = (273, 324), (279, 325)  # of strips, of tiles
_MOST_PAGES = 65536


def check_tiff(path: Path) -> None:
    """Raises an ``InputError`` where a page is missing: the reader would leave it out silently."""
    length = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 8:
            raise InputError(f"{path} is not an image that can be read: it has no TIFF header.")
        version = struct.unpack_from(f"{order}H", head, 2)[0]
        if version not in (42, 43) or (version == 43 and len(head) < 16):
            raise InputError(f"{path} is not an image that can be read: it has no TIFF header.")
        big = version == 43
        page = struct.unpack_from(f"{order}Q" if big else f"{order}I", head, 8 if big else 4)[0]
        seen: set[int] = set()
        while page:
            if page in seen or len(seen) > _MOST_PAGES:
                raise broken(path, "its pages run in a circle, or there are too many.")
            seen.add(page)
            page = _check_page(path, file, page, length, order, big)
        if not seen:
            raise broken(path, "it has no pages.")


def _check_page(path: Path, file: BinaryIO, page: int, length: int, order: str, big: bool) -> int:
    """Checks one page and answers where the next one is; 0 after the last."""
    word, size, fits = ("Q", 20, 8) if big else ("I", 12, 4)
    count = struct.unpack(
        f"{order}Q" if big else f"{order}H", _bytes(path, file, page, 8 if big else 2, length)
    )[0]
    if count > 4096:
        raise broken(path, f"a page has too many fields. Received: {count}")
    start = page + (8 if big else 2)
    table = _bytes(path, file, start, count * size + fits, length)
    offsets, counts = [], []
    for position in range(0, count * size, size):
        tag, kind = struct.unpack_from(f"{order}HH", table, position)
        if tag not in _OFFSETS + _COUNTS:
            continue
        number = struct.unpack_from(f"{order}{word}", table, position + 4)[0]
        if kind not in _TYPES or number > length:
            raise broken(path, f"a field is unusable. Received: tag {tag}, {number} values")
        form = f"{order}{number}{_TYPES[kind]}"
        place = position + size - fits
        if struct.calcsize(form) <= fits:
            values = struct.unpack_from(form, table, place)
        else:
            where = struct.unpack_from(f"{order}{word}", table, place)[0]
            values = struct.unpack(form, _bytes(path, file, where, struct.calcsize(form), length))
        (offsets if tag in _OFFSETS else counts).extend(values)
    if not offsets or len(offsets) != len(counts):
        raise broken(path, "a page does not say where its pixels are.")
    end = max(offset + number for offset, number in zip(offsets, counts, strict=True))
    if end > length:
        raise _truncated(path, end, length)
    return struct.unpack_from(f"{order}{word}", table, count * size)[0]


def _bytes(path: Path, file: BinaryIO, position: int, count: int, length: int) -> bytes:
    if position + count > length:
        raise _truncated(path, position + count, length)
    file.seek(position)
    return file.read(count)


def _truncated(path: Path, wanted: int, held: int) -> InputError:
    return InputError(
        f"{path} is truncated or its header is wrong: it must have {wanted} bytes. Received: {held}"
    )
