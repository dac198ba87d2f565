"""PNG images as data URIs, written with the standard library."""

import base64
import struct
import zlib

import numpy as np


def png(image: np.ndarray, palette: np.ndarray | None = None) -> bytes:
    """An 8-bit PNG: grey, in colour, or of the colours of a palette.

    Args:
        image: uint8 ``(rows, columns)``: greys, or indices into the palette; or ``(rows, columns,
            3)``: red, green and blue.
        palette: uint8 ``(colours, 3)``, at most 256 of them.

    Returns:
        The file's bytes.

    Raises:
        ValueError: on another dtype or number of axes.

    Example:

    >>> import numpy as np
    >>> png(np.zeros((2, 3), "uint8"))[1:4]
    b'PNG'

    Reference:
        ISO/IEC 15948:2004, Portable Network Graphics.
    """
    colour = image.ndim == 3 and image.shape[-1] == 3 and palette is None
    if image.dtype != np.uint8 or not (image.ndim == 2 or colour) or image.size == 0:
        raise ValueError(
            "image must be uint8 (rows, columns), or (rows, columns, 3) without a palette. "
            f"Received: dtype={image.dtype}, shape={image.shape}"
        )
    rows, columns = image.shape[:2]
    # Each row after filter 1: the difference to the pixel on the left, which packs better.
    # Indices of a palette have no such order, so their rows are stored as they are (filter 0).
    filtered = image.copy()
    if palette is None:
        filtered[:, 1:] -= image[:, :-1]
    begin = np.full((rows, 1), palette is None, "uint8")
    lines = np.concatenate([begin, filtered.reshape(rows, -1)], axis=1)
    kind = 2 if colour else 0 if palette is None else 3
    header = struct.pack(">IIBBBBB", columns, rows, 8, kind, 0, 0, 0)
    colours = b"" if palette is None else _chunk(b"PLTE", palette.astype("uint8").tobytes())
    pixels = _chunk(b"IDAT", zlib.compress(lines.tobytes(), 6))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + colours + pixels + _chunk(b"IEND", b"")


def data_uri(content: bytes) -> str:
    """The PNG as text that a page can show."""
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
