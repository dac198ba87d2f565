"""TIFF as tifffile reads it."""

from pathlib import Path
from typing import Any

import numpy as np

from ..meaning import Meaning, Truth, frames_of

_LUMINANCE = (0.299, 0.587, 0.114)
_RGB, _PALETTE = 2, 3
_MM = {2: 25.4, 3: 10.0}  # of an inch, of a centimetre


def truth(path: Path) -> Truth:
    """The stored values, turned as the file says; colour is luminance."""
    try:
        return Truth(tuple(_truth(path)))
    except Exception:  # tifffile has many, for whatever it finds
        return Truth()


def _truth(path: Path) -> list[Meaning]:
    import tifffile

    with tifffile.TiffFile(path) as file:
        pages = list(file.pages)
        array, axes = _array(file)
    first = pages[0]
    if any(other.shape != first.shape for other in pages) or array.dtype.kind == "c":
        return []
    turned = first.tags.valueof(274, 1)
    if not np.isfinite(array).all() or not 1 <= turned <= 8:
        return []
    shades, colour = (array,), int(first.photometric)
    if colour == _PALETTE:
        grey = np.array(_LUMINANCE) @ first.colormap
        tables = (grey, np.array(_LUMINANCE) @ (first.colormap // 256), grey / 257)
        shades = tuple(table[array] for table in tables)
    elif array.dtype.kind == "b":
        shades = tuple(array.astype("uint8") * white for white in (1, 255))
    elif "S" in axes:
        if colour != _RGB:
            return []
        shades = (np.moveaxis(array, axes.index("S"), -1)[..., :3] @ np.array(_LUMINANCE),)
        axes = axes.replace("S", "")
    return [m for shade in shades for m in _meanings(shade, axes, turned, _affine(first))]


def _array(file: Any) -> tuple[np.ndarray, str]:
    """All values, and a letter for each axis: of one series, with the names that it gives."""
    if len(file.series) != 1:
        raise ValueError("several series")
    series = file.series[0]
    array, axes = np.asarray(series.asarray()), series.axes
    keep = [axis for axis, n in enumerate(array.shape) if n > 1 or axes[axis] in "YX"]
    return array.reshape([array.shape[axis] for axis in keep]), "".join(axes[a] for a in keep)


def _meanings(array: np.ndarray, axes: str, turned: int, affine: Any) -> list[Meaning]:
    array = np.moveaxis(array, [axes.index("Y"), axes.index("X")], [-2, -1])
    array = _turned(array, turned)
    before = axes.replace("Y", "").replace("X", "")
    if affine is not None and turned > 4:
        affine = affine[[1, 0, 2, 3]][:, [1, 0, 2, 3]]
    if before == "T":
        return [Meaning(tuple(array), affine, framed=False)]
    if before in ("", "Z", "I", "Q"):  # pages without a name are slices
        return [Meaning((array,), affine, framed=False)]
    return [Meaning(frames_of(array), affine, framed=False)] if before == "TZ" else []


def _turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """Rows from the top and columns from the left, whatever order they were stored in."""
    if orientation > 4:  # the rows of the file are columns
        array = array.swapaxes(-1, -2)
    top, left = {
        1: (True, True),
        2: (True, False),
        3: (False, False),
        4: (False, True),
        5: (True, True),
        6: (True, False),
        7: (False, False),
        8: (False, True),
    }[orientation]
    return array[..., :: 1 if top else -1, :: 1 if left else -1]


def _affine(page: Any) -> np.ndarray | None:
    """The spacing, where resolution and unit state one."""
    unit = _MM.get(int(page.tags["ResolutionUnit"].value) if "ResolutionUnit" in page.tags else 2)
    if unit is None or "XResolution" not in page.tags or "YResolution" not in page.tags:
        return None
    if page.ndim != 2 or page.is_imagej or page.is_ome:
        return None
    steps = []
    for key in ("XResolution", "YResolution"):
        above, below = page.tags[key].value
        if above == 0 or below == 0:
            return None
        steps.append(unit * below / above)
    return np.diag([*steps, 1.0, 1.0])
