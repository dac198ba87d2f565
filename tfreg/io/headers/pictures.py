"""PNG, JPEG and BMP files: that they are whole."""

import struct
from collections.abc import Iterator
from pathlib import Path

from tfreg.errors import InputError
from tfreg.io.headers.common import broken, check_ratio, check_raw

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_GREY, _GREY_AND_ALPHA = 0, 4
_ORIENTATION = 274  # the field of EXIF


def check_png(path: Path) -> None:
    """Raises an ``InputError`` where a PNG is cut off or asks for more than it can hold."""
    length = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(33)
        if len(head) < 33 or head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR":
            raise InputError(f"{path} is not an image that can be read: it has no PNG header.")
        width, height, depth, colour = struct.unpack(">IIBB", head[16:26])
        if min(width, height) < 1:
            raise InputError(f"{path} has a broken header. Received: {width} x {height} pixels")
        if colour == _GREY_AND_ALPHA:
            raise _transparent(path)
        wanted = height * (1 + width * depth * _CHANNELS.get(colour, 1) // 8)
        check_ratio(path, length, wanted)
        position = 8
        while True:  # from chunk to chunk, up to the last
            file.seek(position)
            chunk = file.read(8)
            if len(chunk) < 8:
                raise InputError(f"{path} is truncated: it has no end. Received: {length} bytes")
            if chunk[4:] == b"IEND":
                return
            if chunk[4:] == b"tRNS" and colour == _GREY:
                raise _transparent(path)
            position += 12 + struct.unpack(">I", chunk[:4])[0]


def check_jpeg(path: Path) -> None:
    """Raises an ``InputError`` where a JPEG is cut off, whose readers fill up the rest with grey,
    or has the four colours of printing, which they take for red, green, blue and alpha."""
    content = path.read_bytes()
    if content[:2] != b"\xff\xd8":
        raise InputError(f"{path} is not an image that can be read: it has no JPEG header.")
    if b"\xff\xd9" not in content:
        raise InputError(f"{path} is truncated: it has no end. Received: {len(content)} bytes")
    for marker, body in _segments(content):
        frame = 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)
        if frame and len(body) > 5 and body[5] not in (1, 3):
            raise InputError(
                f"{path} must be grey, or red, green and blue; save it so. "
                f"Received: {body[5]} channels"
            )


def jpeg_orientation(path: Path) -> int:
    """Where the first row and column of a JPEG are, 1 to 8, as its EXIF states; 1 if it does not.

    Raises:
        InputError: if it states a number that has no meaning.
    """
    for marker, body in _segments(path.read_bytes()):
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            found = _exif_orientation(body[6:]) or 1
            if found > 8:
                raise broken(path, f"its EXIF orientation must be 1 to 8. Received: {found}")
            return found
    return 1


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The markers of a JPEG before its pixels, and what each holds."""
    place = 2
    while content[place : place + 1] == b"\xff" and len(content) >= place + 4:
        marker, length = struct.unpack_from(">BH", content, place + 1)
        if marker == 0xDA:  # the pixels follow
            return
        yield marker, content[place + 4 : place + 2 + length]
        place += 2 + length


def _exif_orientation(exif: bytes) -> int | None:
    """The orientation in the first directory of EXIF; None where that is broken or has none."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    try:
        first = struct.unpack_from(f"{order}I", exif, 4)[0]
        for field in range(struct.unpack_from(f"{order}H", exif, first)[0]):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, first + 2 + 12 * field)
            if tag == _ORIENTATION:
                return value
    except struct.error:
        pass
    return None


def check_bmp(path: Path) -> None:
    """Raises an ``InputError`` where a BMP is cut off, or compressed."""
    with open(path, "rb") as file:
        head = file.read(54)
    if len(head) < 54 or head[:2] != b"BM":
        raise InputError(f"{path} is not an image that can be read: it has no BMP header.")
    offset, form, width, height, _, bits, compression = struct.unpack_from("<IIiiHHI", head, 10)
    if form < 40 or width < 1 or height == 0 or bits not in (8, 24, 32) or offset < 54:
        raise broken(path, f"it is unusable. Received: {width} x {height} pixels of {bits} bits")
    if compression != 0:
        raise InputError(f"{path} must not be compressed. Received: compression {compression}")
    check_raw(path, path, offset, abs(height) * ((width * bits + 31) // 32 * 4))


def _transparent(path: Path) -> InputError:
    return InputError(
        f"{path} must be without transparency; save it as grey alone, or as red, green, blue and "
        "alpha. Received: grey and alpha"
    )
