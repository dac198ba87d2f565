"""TIFF files: that every page is like the first, and lies inside the file with its pixels.

Readers leave out pages that are missing, and ITK's writes beyond its memory where pages differ or
are thumbnails.
"""

import math
import struct
from pathlib import Path
from typing import BinaryIO

from tfreg.errors import InputError
from tfreg.io.headers.common import broken

_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}
_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOUR = (
    254,
    255,
    256,
    257,
    258,
    259,
    262,
)
_ORIENTATION, _SAMPLES, _ROWS, _PLANAR, _FORMAT = 274, 277, 278, 284, 339
_STRIPS, _STRIP_BYTES, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 273, 279, 322, 323, 324, 325
_DEFAULTS = {
    _SUBFILE: 0,
    _OLD_SUBFILE: 1,
    _BITS: 1,
    _COMPRESSION: 1,
    _SAMPLES: 1,
    _PLANAR: 1,
    _FORMAT: 1,
}
_READ = {*_DEFAULTS, _WIDTH, _HEIGHT, _COLOUR, _ORIENTATION, _ROWS, _STRIPS, _STRIP_BYTES}
_READ |= {_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES}
_ALIKE = (
    _SUBFILE,
    _OLD_SUBFILE,
    _WIDTH,
    _HEIGHT,
    _BITS,
    _COMPRESSION,
    _COLOUR,
    _ORIENTATION,
    _SAMPLES,
    _PLANAR,
    _FORMAT,
)
_MOST_PAGES = 65536
_FREE, _MOST_RATIO = 1 << 20, 4096  # what compressed bytes may stand for

_Fields = dict[int, tuple[int, ...]]


def check_tiff(path: Path) -> None:
    """Raises an ``InputError`` where a page is missing, cut off or unlike the first."""
    with open(path, "rb") as file:
        pages = _Pages(path, file)
        first = None
        for fields in pages:
            _check_layout(path, fields, pages.length)
            first = first or fields
            if any(fields.get(tag) != first.get(tag) for tag in _ALIKE):
                raise InputError(f"{path} must have pages that are alike; they differ.")
        if first is None:
            raise broken(path, "it has no pages.")


class _Pages:
    """The fields of one page after the other."""

    def __init__(self, path: Path, file: BinaryIO):
        self.path, self.file, self.length = path, file, path.stat().st_size
        head = file.read(16)
        self.order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        version = struct.unpack_from(f"{self.order}H", head, 2)[0] if len(head) >= 8 else 0
        if not self.order or version not in (42, 43) or (version == 43 and len(head) < 16):
            raise InputError(f"{path} is not an image that can be read: it has no TIFF header.")
        self.big = version == 43
        self.word = f"{self.order}{'Q' if self.big else 'I'}"
        self.first = struct.unpack_from(self.word, head, 8 if self.big else 4)[0]

    def __iter__(self):
        page, seen = self.first, set()
        while page:
            if page in seen or len(seen) > _MOST_PAGES:
                raise broken(self.path, "its pages run in a circle, or there are too many.")
            seen.add(page)
            fields, page = self._page(page)
            yield fields

    def _page(self, page: int) -> tuple[_Fields, int]:
        """The fields of a page, and where the next one is; 0 after the last."""
        form = f"{self.order}{'Q' if self.big else 'H'}"
        start = page + struct.calcsize(form)
        count = struct.unpack(form, self._bytes(page, struct.calcsize(form)))[0]
        if count > 4096:
            raise broken(self.path, f"a page has too many fields. Received: {count}")
        size, fits = (20, 8) if self.big else (12, 4)
        table = self._bytes(start, count * size + fits)
        fields = {tag: (value,) for tag, value in _DEFAULTS.items()}
        for position in range(0, count * size, size):
            tag, kind = struct.unpack_from(f"{self.order}HH", table, position)
            if tag not in _READ:
                continue
            number = struct.unpack_from(self.word, table, position + 4)[0]
            if kind not in _TYPES or not 1 <= number <= self.length:
                raise broken(self.path, f"field {tag} is unusable. Received: {number} values")
            form = f"{self.order}{number}{_TYPES[kind]}"
            place = position + size - fits
            if struct.calcsize(form) <= fits:
                fields[tag] = struct.unpack_from(form, table, place)
            else:
                where = struct.unpack_from(self.word, table, place)[0]
                fields[tag] = struct.unpack(form, self._bytes(where, struct.calcsize(form)))
        return fields, struct.unpack_from(self.word, table, count * size)[0]

    def _bytes(self, position: int, count: int) -> bytes:
        if position + count > self.length:
            raise _truncated(self.path, position + count, self.length)
        self.file.seek(position)
        return self.file.read(count)


def _check_layout(path: Path, fields: _Fields, length: int) -> None:
    """Holds the strips or tiles of a page against its size and against the file."""
    if fields[_SUBFILE][0] not in (0, 2) or fields[_OLD_SUBFILE][0] not in (1, 3):
        raise InputError(
            f"{path} must have whole pages, not thumbnails or masks. "
            f"Received: subfile types {fields[_SUBFILE][0]} and {fields[_OLD_SUBFILE][0]}"
        )
    width, height = (fields.get(tag, (0,))[0] for tag in (_WIDTH, _HEIGHT))
    samples, bits = fields[_SAMPLES][0], set(fields[_BITS])
    if min(width, height) < 1 or not 1 <= samples <= 4 or len(bits) > 1:
        raise broken(
            path, f"a page is unusable. Received: {width} x {height} pixels of {samples} samples"
        )
    tiled = _TILES in fields
    offsets = fields.get(_TILES if tiled else _STRIPS, ())
    counts = fields.get(_TILE_BYTES if tiled else _STRIP_BYTES, ())
    rows = min(fields.get(_TILE_HEIGHT if tiled else _ROWS, (height,))[0], height + 65536)
    columns = fields.get(_TILE_WIDTH, (0,))[0] if tiled else width
    if min(rows, columns) < 1:
        raise broken(path, f"its tiles are unusable. Received: {columns} x {rows} pixels")
    pieces = math.ceil(height / rows) * math.ceil(width / columns)
    planes = samples if fields[_PLANAR][0] == 2 else 1
    if not len(offsets) == len(counts) == pieces * planes:
        raise broken(path, f"{pieces * planes} strips are needed. Received: {len(offsets)}")
    end = max(offset + number for offset, number in zip(offsets, counts, strict=True))
    if end > length:
        raise _truncated(path, end, length)
    wanted = height * math.ceil(width * samples * max(bits) / 8)
    held = sum(counts) if fields[_COMPRESSION][0] == 1 else _FREE + _MOST_RATIO * sum(counts)
    if held < wanted:
        raise _truncated(path, wanted, sum(counts))


def _truncated(path: Path, wanted: int, held: int) -> InputError:
    return InputError(
        f"{path} is truncated or its header is wrong: it must have {wanted} bytes. Received: {held}"
    )
