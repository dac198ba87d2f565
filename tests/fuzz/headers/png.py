"""PNG, chunk by chunk."""

import struct
import zlib
from pathlib import Path

import numpy as np

from ..draws import Alteration, Draft, alter, damage, damaged, pick

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


class Picture:
    """What stands in the chunks."""

    def __init__(self, rng: np.random.Generator):
        self.rows, self.columns = (int(n) for n in rng.integers(1, 20, 2))
        self.colour, self.depth = 0, pick(rng, [8, 8, 16])
        self.chunks: list[tuple[bytes, bytes]] = []
        self.last: list[tuple[bytes, bytes]] = []
        self.interlaced, self.damaged, self.lies = 0, False, {}

    def content(self, rng: np.random.Generator) -> bytes:
        bits = self.columns * self.depth * _CHANNELS[self.colour]
        line = -(-bits // 8)
        lines = b"".join(b"\0" + rng.bytes(line) for _ in range(self.rows))
        head = struct.pack(
            ">IIBBBBB",
            self.lies.get("columns", self.columns),
            self.lies.get("rows", self.rows),
            self.lies.get("depth", self.depth),
            self.lies.get("colour", self.colour),
            0,
            0,
            self.interlaced,
        )
        chunks = [(b"IHDR", head), *self.chunks, (b"IDAT", zlib.compress(lines)), *self.last]
        return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, [*chunks, (b"IEND", b"")]))


def _chunk(chunk: tuple[bytes, bytes]) -> bytes:
    name, body = chunk
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def make(rng: np.random.Generator, folder: Path) -> Draft:
    """Writes a file."""
    picture = Picture(rng)
    kind, notes = alter(picture, _ALTERATIONS, rng)
    path = folder / "image.png"
    content = picture.content(rng)
    path.write_bytes(damage(content, rng) if picture.damaged else content)
    return Draft(path, kind, notes)


# Alterations


def _more_chunks(picture: Picture, rng: np.random.Generator) -> None:
    picture.chunks.append(
        pick(rng, [(b"tEXt", b"Title\0x"), (b"gAMA", struct.pack(">I", 45455)), (b"sRGB", b"\0")])
    )


def _resolution(picture: Picture, rng: np.random.Generator) -> None:
    picture.chunks.append((b"pHYs", struct.pack(">IIB", 2835, 5000, pick(rng, [0, 1]))))


def _colour(picture: Picture, rng: np.random.Generator) -> str:
    picture.colour, picture.depth = pick(rng, [(2, 8), (6, 8), (4, 8), (2, 16), (4, 16), (6, 16)])
    return f"{picture.colour} of {picture.depth} bits"


def _few_bits(picture: Picture, rng: np.random.Generator) -> str:
    picture.colour, picture.depth = 0, pick(rng, [1, 2, 4])
    return str(picture.depth)


def _palette(picture: Picture, rng: np.random.Generator) -> None:
    picture.colour, picture.depth = 3, 8
    picture.chunks.append((b"PLTE", rng.bytes(768)))


def _transparent(picture: Picture, rng: np.random.Generator) -> None:
    if picture.colour == 0:
        picture.chunks.append((b"tRNS", struct.pack(">H", 7)))


def _lies(picture: Picture, rng: np.random.Generator) -> str:
    key = pick(rng, ["rows", "columns", "depth", "colour"])
    picture.lies[key] = pick(rng, [0, 1, 3, 5, 8, 16, 200])
    return f"{key} {picture.lies[key]}"


_ALTERATIONS = [
    Alteration("ordinary", "a chunk more", _more_chunks),
    Alteration("odd", "colour", _colour),
    Alteration("odd", "few bits", _few_bits),
    Alteration("odd", "palette", _palette),
    Alteration("odd", "a colour for nothing", _transparent),
    Alteration("odd", "resolution", _resolution),
    Alteration("damaged", "lies", _lies),
    Alteration("damaged", "bytes", damaged),
]
