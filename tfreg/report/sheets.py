"""The pictures of a report: the slices of a plane on one sheet, as data URIs."""

import base64
import math
from typing import Any

import numpy as np

from tfreg.report.maps import Maps
from tfreg.report.planes import Plane
from tfreg.report.png import data_uri, png

PIXELS = 320  # longest side of a slice of a volume
PIXELS_2D = 1024  # and of a 2-D image
NODES = 65  # most lines of the deformation grid along an axis, of which every other is drawn
_FOLDED = 255
_OCTAVES = 1.0  # the colours of the Jacobian map end at half and at twice the volume


def window(image: np.ndarray) -> tuple[float, float]:
    """The intensities that are shown black and white: the 0.5th and the 99.5th percentile.

    Those of at most a million voxels, evenly spaced; the whole range where the two are equal.
    """
    values = image.ravel()
    values = values[:: max(1, values.size // 1_000_000)].astype("float64")
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, (0.5, 99.5))
    if high <= low:
        low, high = values.min(), values.max()
    return float(low), float(high if high > low else low + 1)


def grey_sheet(image: np.ndarray, plane: Plane, limits: tuple[float, float]) -> str:
    """The slices of an image in grey.

    Args:
        image: ``(*spatial)``.
        plane: which slices, and how they lie.
        limits: the intensities that are black and white.
    """
    low, high = limits
    stack = _shrink(np.nan_to_num(plane.stack(image).astype("float32")), plane)
    grey = np.rint(255 * np.clip((stack - low) / (high - low), 0, 1)).astype("uint8")
    return data_uri(png(_tiled(grey)))


def colour_sheet(image: np.ndarray, plane: Plane) -> str:
    """The slices of an image in its colours.

    Args:
        image: ``(*spatial, 3)``: red, green and blue in [0, 1].
        plane: which slices, and how they lie.
    """
    stack = np.clip(plane.stack(image), 0, 1)
    parts = [_tiled(_shrink(stack[..., channel], plane)) for channel in range(3)]
    return data_uri(png(np.rint(255 * np.stack(parts, axis=-1)).astype("uint8")))


def jacobian_sheet(fields: Maps, plane: Plane, size: tuple[int, ...]) -> str:
    """The Jacobian determinant in colours that part at 1, folds marked.

    Args:
        fields: of the transform.
        plane: which slices, and how they lie.
        size: shape of the fixed image, to which the indices of the slices belong.
    """
    stack = plane.stack(fields.jacobian, _same_slices(plane, size, fields.jacobian.shape))
    folded = (
        _shrink((stack <= 0).astype("float32"), plane) > 0
    )  # a single fold is not averaged away
    octaves = np.log2(np.maximum(_shrink(stack, plane), 2.0 ** (-2 * _OCTAVES)))
    index = np.rint(127 + 127 * np.clip(octaves / _OCTAVES, -1, 1)).astype("uint8")
    index[folded] = _FOLDED
    return data_uri(png(_tiled(index), palette()))


def palette() -> np.ndarray:
    """Blue (smaller) through white (1) to red (larger) in 0 to 254; 255 marks folds.

    Example:

    >>> palette()[[0, 127, 254, 255]].tolist()
    [[33, 86, 160], [255, 255, 255], [178, 36, 34], [255, 196, 0]]
    """
    blue, white, red = np.array([[33, 86, 160], [255, 255, 255], [178, 36, 34]], "float64")
    share = np.abs(np.linspace(-1, 1, 255))[:, None] ** 0.75
    ends = np.where(np.arange(255)[:, None] < 127, blue, red)
    colours = np.rint(white + share * (ends - white))
    return np.concatenate([colours, [[255, 196, 0]]]).astype("uint8")


def grid_lines(fields: Maps, plane: Plane, size: tuple[int, ...]) -> dict[str, Any]:
    """Where the nodes of a regular grid of the fixed image go, as the page draws them.

    Args:
        fields: of the transform.
        plane: which slices, and how they lie.
        size: shape of the fixed image, to which the indices of the slices belong.

    Returns:
        ``rows`` and ``columns`` of nodes, and ``nodes``: base64 of little-endian int16 ``(slices,
        rows, columns, 2)``, right and down, in 1/4000 of the width and height of the slice.
    """
    shape = fields.jacobian.shape
    stack = plane.stack(fields.positions, _same_slices(plane, size, shape))
    lengths = np.array([shape[plane.columns], shape[plane.rows]], "float64")
    place = (stack[..., [plane.columns, plane.rows]] + 0.5) / lengths  # 0 to 1, edge to edge
    for component, flip in enumerate((plane.flip_columns, plane.flip_rows)):
        if flip:
            place[..., component] = 1 - place[..., component]
    # About as many millimetres between the lines of both kinds.
    step = max(plane.extent) / (NODES - 1)
    picks = [
        np.unique(np.linspace(0, n - 1, min(n, max(5, round(mm / step) + 1))).round().astype(int))
        for n, mm in zip(stack.shape[1:3], plane.extent[::-1], strict=True)
    ]
    nodes = place[:, picks[0]][:, :, picks[1]]
    packed = np.clip(np.rint(4000 * nodes), -32000, 32000).astype("<i2")
    return {
        "rows": len(picks[0]),
        "columns": len(picks[1]),
        "nodes": base64.b64encode(np.ascontiguousarray(packed).tobytes()).decode("ascii"),
    }


def tile_size(shape: tuple[int, ...], plane: Plane) -> tuple[int, int]:
    """Rows and columns of a slice on a sheet, of an array ``(*spatial)`` of this shape."""
    factors = _factors((shape[plane.rows], shape[plane.columns]), plane)
    return tuple(
        -(-n // f) for n, f in zip((shape[plane.rows], shape[plane.columns]), factors, strict=True)
    )


def sheet_columns(slices: int) -> int:
    """How many slices lie beside each other on a sheet."""
    return math.ceil(math.sqrt(slices))


def _same_slices(plane: Plane, size: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The slices of the plane on the grid of the fields, which may be coarser."""
    if plane.normal is None:
        return None
    ratio = shape[plane.normal] / size[plane.normal]
    return tuple(min(shape[plane.normal] - 1, int((index + 0.5) * ratio)) for index in plane.slices)


def _factors(size: tuple[int, int], plane: Plane) -> tuple[int, int]:
    most = PIXELS_2D if plane.normal is None else PIXELS
    return tuple(max(1, math.ceil(n / most)) for n in size)


def _shrink(stack: np.ndarray, plane: Plane) -> np.ndarray:
    """Means of blocks of pixels, where a slice has more than the page shows."""
    factors = _factors(stack.shape[1:3], plane)
    if factors == (1, 1):
        return stack
    padding = [(0, -n % f) for n, f in zip(stack.shape[1:3], factors, strict=True)]
    stack = np.pad(stack, [(0, 0), *padding], mode="edge")
    slices, rows, columns = stack.shape
    blocks = (slices, rows // factors[0], factors[0], columns // factors[1], factors[1])
    return stack.reshape(blocks).mean(axis=(2, 4))


def _tiled(stack: np.ndarray) -> np.ndarray:
    """The slices on one sheet, row by row."""
    slices, rows, columns = stack.shape
    wide = sheet_columns(slices)
    high = math.ceil(slices / wide)
    padded = np.zeros((wide * high, rows, columns), stack.dtype)
    padded[:slices] = stack
    return padded.reshape(high, wide, rows, columns).swapaxes(1, 2).reshape(high * rows, -1)
