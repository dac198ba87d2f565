"""A reader of the small part of HDF5 in which ITK writes transforms.

The HDF5 library hangs on some damaged files. This reader follows no address twice and reads nothing
beyond the file: groups of symbol tables, and datasets of numbers or strings in one dimension,
contiguous, compact or in deflated chunks. Groups with an index, which ITK writes where a composite
has more than eight parts, are refused.
"""

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from tfreg.errors import InputError

_UNDEFINED = 2**64 - 1
_MESSAGES = 1000
_NODES = 100_000
_ROOTS = {0: 64, 1: 68, 2: 36, 3: 36}  # where a superblock keeps the address of the root
_SPACE, _LINKS, _TYPE, _LINK = 0x1, 0x2, 0x3, 0x6  # kinds of messages
_LAYOUT, _FILTERS, _CONTINUED, _TABLE = 0x8, 0xB, 0x10, 0x11


class Hdf5:
    """The content of a file.

    Args:
        content: all its bytes.

    Raises:
        InputError: if it is damaged, or uses another part of HDF5; so do the methods.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        if content[:8] != b"\x89HDF\r\n\x1a\n":
            raise InputError("it has no HDF5 signature.")
        version = self._bytes(8, 1)[0]
        if version not in _ROOTS or self._bytes(13 if version < 2 else 9, 2) != b"\x08\x08":
            raise InputError(f"the superblock is of an unknown kind. Received: {version}")
        self.root = self._number(_ROOTS[version])

    def members(self, address: int) -> dict[str, int]:
        """The addresses of the members of a group by their names."""
        found: dict[str, int] = {}
        for kind, start, _ in self._messages(address):
            if kind == _TABLE:
                found.update(self._table(self._number(start), self._number(start + 8)))
            elif kind == _LINK:
                found.update(self._link(start))
            elif kind == _LINKS:
                heap = self._number(start + (10 if self._bytes(start + 1, 1)[0] & 1 else 2))
                if heap != _UNDEFINED:
                    raise InputError("more than eight transforms are read from .tfm alone.")
        return found

    def _link(self, start: int) -> dict[str, int]:
        """A member that is named in the header of its group, as newer files have it."""
        version, flags = self._bytes(start, 2)
        position = start + 2
        if version != 1 or (flags & 8 and self._bytes(position, 1) != b"\0"):
            raise InputError("a link is of an unknown kind.")
        position += (1 if flags & 8 else 0) + (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
        width = 1 << (flags & 3)
        length = int.from_bytes(self._bytes(position, width), "little")
        name = self._bytes(position + width, length).decode("ascii", "replace")
        return {name: self._number(position + width + length)}

    def _table(self, tree: int, heap: int) -> dict[str, int]:
        """The members of a group in a table, as older files have it."""
        self._expect(heap, b"HEAP")
        names = self._bytes(self._number(heap + 24), self._number(heap + 8))
        found = {}
        for node in self._leaves(tree, 0, 8):
            self._expect(node, b"SNOD")
            for position in range(node + 8, node + 8 + 40 * self._number(node + 6, "H"), 40):
                offset = self._number(position)
                end = names.find(b"\0", offset)
                if end < 0:
                    raise InputError("a name has no end.")
                found[names[offset:end].decode("ascii", "replace")] = self._number(position + 8)
        return found

    def text(self, address: int) -> str:
        """A dataset of one string."""
        count, (kind, size, string), data = self._dataset(address)
        if count != 1:
            raise InputError(f"one string is needed. Received: {count}")
        if kind == 3:
            value = data[:size]
        elif kind == 9 and string:
            length, heap, number = struct.unpack_from("<IQI", self._enough(data, 16))
            value = self._heap_object(heap, number)[:length]
        else:
            raise InputError(f"a string is needed. Received: type {kind}")
        return value.split(b"\0")[0].decode("ascii", "replace")

    def numbers(self, address: int) -> np.ndarray:
        """A dataset of floating numbers, float64."""
        count, (kind, size, big), data = self._dataset(address)
        if kind != 1 or size not in (4, 8):
            raise InputError(f"floating numbers are needed. Received: type {kind} of {size} bytes")
        values = np.frombuffer(self._enough(data, count * size), f"{'>' if big else '<'}f{size}")
        return values[:count].astype("float64")

    def _dataset(self, address: int) -> tuple[int, tuple[int, int, int], bytes]:
        """Number of elements, type (class, size, first flag), and the bytes."""
        found = {kind: start for kind, start, _ in self._messages(address)}
        if not {_SPACE, _TYPE, _LAYOUT} <= set(found):
            raise InputError("a dataset lacks its description.")
        space = found[_SPACE]
        version, rank = self._bytes(space, 2)
        if version not in (1, 2) or rank > 1:
            raise InputError(f"one dimension is needed. Received: {rank}")
        count = self._number(space + (8 if version == 1 else 4)) if rank else 1
        kind, flags = self._bytes(found[_TYPE], 2)
        description = (kind & 15, self._number(found[_TYPE] + 4, "I"), flags & 1)
        wanted = count * description[1]
        if wanted == 0:
            return count, description, b""
        layout = found[_LAYOUT]
        version, arrangement = self._bytes(layout, 2)
        if version != 3 and (version, arrangement) not in ((4, 0), (4, 1)):
            raise InputError(f"a layout is unknown. Received: {version}, {arrangement}")
        if arrangement == 0:
            data = self._bytes(layout + 4, self._number(layout + 2, "H"))
        elif arrangement == 1:
            data = self._bytes(self._number(layout + 2), wanted)
        elif arrangement == 2:
            data = self._chunks(layout, found.get(_FILTERS), wanted, description[1])
        else:
            raise InputError(f"a layout is unknown. Received: {arrangement}")
        return count, description, self._enough(data, wanted)

    def _chunks(self, layout: int, filters: int | None, wanted: int, width: int) -> bytes:
        if self._bytes(layout + 2, 1)[0] != 2:
            raise InputError("chunks must have one dimension.")
        tree, step = self._number(layout + 3), self._number(layout + 11, "I") * width
        deflated = filters is not None
        if deflated and not self._only_deflate(filters):
            raise InputError("only deflate is read.")
        # What all chunks can hold at most bounds what is allocated.
        if not step > 0 or wanted > 1100 * len(self._content):
            raise InputError("chunks cannot hold so much.")
        result = bytearray(wanted)
        for node, key in self._leaves_and_keys(tree, 1, 24):
            size, mask, offset = struct.unpack_from("<IIQ", self._bytes(key, 16))
            data = self._bytes(node, size)
            if deflated and not mask:
                try:
                    data = zlib.decompressobj().decompress(data, step)
                except zlib.error as error:
                    raise InputError(f"a chunk is damaged: {error}") from error
            start = offset * width
            if start >= wanted or len(data) < step:
                raise InputError("a chunk does not fit.")
            result[start : min(start + step, wanted)] = data[: min(step, wanted - start)]
        return bytes(result)

    def _only_deflate(self, filters: int) -> bool:
        version, count = self._bytes(filters, 2)
        first = filters + (8 if version == 1 else 2)
        return count == 1 and self._number(first, "H") == 1

    def _messages(self, address: int) -> Iterator[tuple[int, int, int]]:
        """The messages of an object: kind, where its data start, and their length."""
        if self._bytes(address, 4) == b"OHDR":
            yield from self._newer_messages(address)
            return
        version, _, count, _, size = struct.unpack_from("<BBHII", self._bytes(address, 12))
        if version != 1 or count > _MESSAGES:
            raise InputError("an object's header makes no sense.")
        blocks = [(address + 16, size)]
        while blocks and count > 0:
            position, length = blocks.pop(0)
            end = position + length
            while position + 8 <= end and count > 0:
                kind, width = struct.unpack_from("<HH", self._bytes(position, 8))
                self._bytes(position + 8, width)
                count -= 1
                if kind == _CONTINUED:
                    blocks.append((self._number(position + 8), self._number(position + 16)))
                else:
                    yield kind, position + 8, width
                position += 8 + width

    def _newer_messages(self, address: int) -> Iterator[tuple[int, int, int]]:
        version, flags = self._bytes(address + 4, 2)
        if version != 2:
            raise InputError("an object's header makes no sense.")
        start = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(self._bytes(start, width), "little")
        blocks, head, count = [(start + width, size)], 6 if flags & 4 else 4, 0
        while blocks:
            position, length = blocks.pop(0)
            end = position + length
            while position + head <= end:
                kind, width = struct.unpack_from("<BH", self._bytes(position, head))
                self._bytes(position + head, width)
                count += 1
                if count > _MESSAGES:
                    raise InputError("an object has too many messages.")
                if kind == _CONTINUED:
                    block = self._number(position + head)
                    self._expect(block, b"OCHK")
                    # Between its signature and its checksum.
                    blocks.append((block + 4, self._number(position + head + 8) - 8))
                else:
                    yield kind, position + head, width
                position += head + width

    def _leaves(self, tree: int, kind: int, width: int) -> Iterator[int]:
        return (node for node, _ in self._leaves_and_keys(tree, kind, width))

    def _leaves_and_keys(self, tree: int, kind: int, width: int) -> Iterator[tuple[int, int]]:
        """What a tree points to, and where the key of each begins."""
        waiting, seen = [tree], 0
        while waiting:
            node = waiting.pop()
            seen += 1
            if seen > _NODES:
                raise InputError("a tree has too many nodes.")
            if node == _UNDEFINED:
                continue
            self._expect(node, b"TREE")
            found, level, used = struct.unpack_from("<BBH", self._bytes(node + 4, 4))
            if found != kind or level > 10:
                raise InputError("a tree makes no sense.")
            for position in range(node + 24, node + 24 + used * (width + 8), width + 8):
                child = self._number(position + width)
                if level == 0:
                    yield child, position
                elif self._level(child) < level:  # so that no circle is possible
                    waiting.append(child)
                else:
                    raise InputError("a tree runs in a circle.")

    def _level(self, node: int) -> int:
        return self._bytes(node + 5, 1)[0]

    def _heap_object(self, heap: int, number: int) -> bytes:
        self._expect(heap, b"GCOL")
        position, end = heap + 16, heap + self._number(heap + 8)
        while position + 16 <= end:
            found, size = struct.unpack_from("<H6xQ", self._bytes(position, 16))
            if found == 0:  # the free space, which comes last
                break
            if found == number:
                return self._bytes(position + 16, size)
            position += 16 + (size + 7) // 8 * 8
        raise InputError("a string is missing.")

    def _expect(self, address: int, signature: bytes) -> None:
        if self._bytes(address, 4) != signature:
            raise InputError(f"{signature.decode()} is missing.")

    def _number(self, address: int, form: str = "Q") -> int:
        return struct.unpack(f"<{form}", self._bytes(address, struct.calcsize(f"<{form}")))[0]

    def _bytes(self, address: int, count: int) -> bytes:
        if address + count > len(self._content):
            raise InputError("an address is beyond the file.")
        return self._content[address : address + count]

    def _enough(self, data: bytes, count: int) -> bytes:
        if len(data) < count:
            raise InputError("a dataset is shorter than it says.")
        return data
