"""PNG as Pillow reads it."""

import io
import zlib
from pathlib import Path

import numpy as np

from ..meaning import Meaning, Truth

_LUMINANCE = (0.299, 0.587, 0.114)
_CHANNELS = {2: 3, 4: 2, 6: 4}


def truth(path: Path) -> Truth:
    """The stored values, those of few bits also over the range of 8; colour is luminance."""
    from PIL import Image

    try:
        content = _needed(path.read_bytes())
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
            mode = picture.mode
            array = np.asarray(picture.convert("RGB") if mode == "P" else picture)
        depth, colour = content[24], content[25]
        if depth == 16 and colour in _CHANNELS:  # which Pillow cuts down to 8 bits
            array = _wide(content, array.shape[:2], _CHANNELS[colour])
    except Exception:  # Pillow has many, for whatever it finds
        return Truth()
    if depth < 8 and colour == 0:
        whole = array.astype("uint8") * (255 if mode == "1" else 1)
        return Truth((Meaning((whole,)), Meaning((whole // (255 // (2**depth - 1)),))))
    if array.ndim == 3:
        array = array[..., 0] if array.shape[2] == 2 else array[..., :3] @ np.array(_LUMINANCE)
    return Truth((Meaning((array,)),))


def _needed(content: bytes) -> bytes:
    """The content without chunks that may be passed over, which Pillow checks all the same."""
    kept, position = content[:8], 8
    while position < len(content):
        end = position + 12 + int.from_bytes(content[position : position + 4])
        if content[position + 4 : position + 5].isupper():
            kept += content[position:end]
        position = end
    return kept


def _wide(content: bytes, size: tuple[int, ...], channels: int) -> np.ndarray:
    """Samples of 16 bits, of a file without filters."""
    start = content.index(b"IDAT")
    length = int.from_bytes(content[start - 4 : start])
    lines = np.frombuffer(zlib.decompress(content[start + 4 : start + 4 + length]), "u1")
    lines = lines[: size[0] * (1 + 2 * channels * size[1])].reshape(size[0], -1)
    if lines[:, 0].any():
        raise ValueError("a filter")
    return np.frombuffer(lines[:, 1:].tobytes(), ">u2").reshape(*size, channels)
