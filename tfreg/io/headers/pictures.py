"""PNG, JPEG and BMP files: that they are whole."""

import struct
from pathlib import Path

from tfreg.errors import InputError
from tfreg.io.headers.common import broken, check_ratio, check_raw

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


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
            position += 12 + struct.unpack(">I", chunk[:4])[0]


def check_jpeg(path: Path) -> None:
    """Raises an ``InputError`` where a JPEG is cut off: its readers fill up the rest with grey."""
    content = path.read_bytes()
    if content[:2] != b"\xff\xd8":
        raise InputError(f"{path} is not an image that can be read: it has no JPEG header.")
    if b"\xff\xd9" not in content:
        raise InputError(f"{path} is truncated: it has no end. Received: {len(content)} bytes")


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
