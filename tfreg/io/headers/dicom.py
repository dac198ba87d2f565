"""The elements of DICOM files: that each lies inside the file."""

import mmap
import struct
from pathlib import Path

from tfreg.errors import InputError
from tfreg.io.headers.common import broken

_SHORT = b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
_LONG = b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()
_ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_SYNTAX, _ROWS = (0x0002, 0x0010), (0x0028, 0x0010)
_PIXELS = ((0x7FE0, 0x0008), (0x7FE0, 0x0009), (0x7FE0, 0x0010))  # as floating point, or whole
_META, _FIRST = 0x0002, 0x0008  # the groups with which a file without a preamble begins
_HEAD = 1 << 12
_UNDEFINED = 0xFFFFFFFF
_DEEPEST = 16
_BIG, _DEFLATED = b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.1.99"


def is_dicom(path: Path) -> bool:
    """Whether the file says that it is DICOM, or begins as one that lacks its preamble."""
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    return head[128:132] == b"DICM" or _begins_bare(path, head)


def _begins_bare(path: Path, head: bytes) -> bool:
    walk = _Walk(path, head)
    try:
        walk.start()
        first, start, length = walk.head()
        if length > len(head) - start:
            return False
        walk.position = start + length
        second = walk.head()[0]
    except (struct.error, InputError):
        return False
    return first[0] in (_META, _FIRST) and first < second and second[0] <= 0x0020


def check_dicom(path: Path) -> None:
    """Raises an ``InputError`` where an element is longer than the file, or there is no image."""
    if not has_pixels(path):
        raise InputError(f"{path} is DICOM without an image, or is truncated before it.")


def has_pixels(path: Path) -> bool:
    """Whether a DICOM file holds an image.

    Raises:
        InputError: if the file is truncated or an element has an impossible length: the reader
            would allocate it.
    """
    if not is_dicom(path):
        raise InputError(
            f"{path} is not an image that can be read: it begins as no DICOM does, "
            "with a preamble or without."
        )
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        walk = _Walk(path, data)
        try:
            walk.all()
        except struct.error as error:
            raise InputError(f"{path} is truncated. Received: {len(data)} bytes") from error
        return walk.pixels


class _Walk:
    """Goes from element to element without reading their values."""

    def __init__(self, path: Path, data: mmap.mmap | bytes):
        self.path, self.data = path, data
        self.order, self.explicit = "<", True
        self.rows = self.pixels = False

    def start(self) -> None:
        """Goes to the first element behind the preamble, or of a file without one."""
        self.position = 132 if self.data[128:132] == b"DICM" else 0
        if self.data[self.position : self.position + 2] != b"\x02\x00":
            self._take_form(None)

    def all(self) -> None:
        self.start()
        syntax = self._file_meta()
        if syntax == _DEFLATED:
            raise InputError(
                f"{self.path} must not be deflated; inflate it first, as dcmconv does. "
                f"Received: {syntax.decode()}"
            )
        self._take_form(syntax)
        while len(self.data) - self.position >= 8:
            self._element(0)
        rest = self.data[self.position :]
        if rest.strip(b"\0") or (self.rows and not self.pixels):
            raise InputError(f"{self.path} is truncated. Received: {len(self.data)} bytes")

    def _take_form(self, syntax: bytes | None) -> None:
        """How elements are written from here on: as they show, whatever the syntax claims."""
        kind = self.data[self.position + 4 : self.position + 6]
        self.explicit = kind in _LONG or kind in _SHORT
        if syntax is None:
            group = self.data[self.position : self.position + 2]
            self.order = ">" if int.from_bytes(group, "little") >= 1024 else "<"
        else:
            self.order = ">" if syntax == _BIG else "<"

    def _file_meta(self) -> bytes | None:
        """Passes over group 2, which is always of one form, and answers the transfer syntax."""
        syntax = None
        while self.data[self.position : self.position + 2] == b"\x02\x00":
            tag, start, length = self.head()
            if tag == _SYNTAX:
                syntax = self.data[start : start + length].strip(b"\0 ")
            self._pass(start, length)
        return syntax

    def head(self) -> tuple[tuple[int, int], int, int]:
        """The tag of the element here, where its value starts, and how long it is."""
        tag = struct.unpack_from(f"{self.order}HH", self.data, self.position)
        if not self.explicit or tag[0] == 0xFFFE:
            length = struct.unpack_from(f"{self.order}I", self.data, self.position + 4)[0]
            return tag, self.position + 8, length
        kind = self.data[self.position + 4 : self.position + 6]
        if kind in _LONG:
            length = struct.unpack_from(f"{self.order}I", self.data, self.position + 8)[0]
            return tag, self.position + 12, length
        if kind not in _SHORT and kind != b"\0\0":
            raise broken(self.path, f"an element has an unknown type. Received: {kind!r}")
        length = struct.unpack_from(f"{self.order}H", self.data, self.position + 6)[0]
        return tag, self.position + 8, length

    def _element(self, depth: int) -> None:
        tag, start, length = self.head()
        self.pixels |= depth == 0 and tag in _PIXELS and length > 0
        self.rows |= depth == 0 and tag == _ROWS
        is_sequence = self.data[start : start + 4] == struct.pack(f"{self.order}HH", *_ITEM)
        if length == _UNDEFINED:
            self.position = start
            self._items(None, depth + 1)
        elif is_sequence and tag not in _PIXELS and 8 <= length <= len(self.data) - start:
            self.position = start
            self._items(start + length, depth + 1)
        else:
            self._pass(start, length)

    def _items(self, end: int | None, depth: int) -> None:
        if depth > _DEEPEST:
            raise broken(self.path, f"its sequences are more than {_DEEPEST} deep.")
        while end is None or self.position < end:
            tag, start, length = self.head()
            self.position = start
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM:
                raise broken(self.path, f"an item of a sequence is missing. Received: {tag}")
            if length == _UNDEFINED:
                while self.head()[0] != _ITEM_END:
                    self._element(depth)
                self._pass(*self.head()[1:])
            else:
                self._pass(start, length)

    def _pass(self, start: int, length: int) -> None:
        if length > len(self.data) - start:
            raise InputError(
                f"{self.path} is truncated or its header is wrong: an element asks for {length} "
                f"bytes. Received: {max(len(self.data) - start, 0)} bytes"
            )
        self.position = start + length
