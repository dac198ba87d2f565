"""Distorted digits of the spatial transformer paper: R, RTS, P and E, a whole batch at once.

Every distortion is a map from the canvas to the digit's image, in pixels and array-axis order:
``x -> H (x + T b)``, a projective matrix ``H`` after a thin-plate spline through displacements
``b`` of a regular grid of 4x4 points. Drawing the maps and applying them are two functions, so that
the same maps can be applied elsewhere.
"""

import functools
from typing import NamedTuple

import numpy as np

from tfreg.errors import InputError
from tfreg.ops.tps_layout import control_point_grid, tps_matrix

KINDS = ("r", "rts", "p", "e")
SIZE = 28
CANVAS = {"r": 28, "rts": 42, "p": 28, "e": 28}
POINTS = (4, 4)
_CENTRE = (SIZE - 1) / 2
_CORNER_NOISE, _POINT_NOISE = 5.0, 1.5  # standard deviations in pixels
_CORNERS = np.array([(0, 0), (0, 1), (1, 1), (1, 0)], "float64")  # one after the other
_PART = 2**16  # pixels at once, which stay in the processor's cache
_TRIES = 16  # one set of corners in 370 is not convex; 16 in a row never are


class Maps(NamedTuple):
    """Where the pixels of canvases lie in the digits' images.

    Attributes:
        matrix: ``(n, 3, 3)``: canvas to digit, pixels, array-axis order.
        bend: ``(n, 16, 2)``: displacements of the control points in pixels, before the matrix; None
            for a distortion without.
    """

    matrix: np.ndarray
    bend: np.ndarray | None


def draw_maps(kind: str, count: int, rng: np.random.Generator) -> Maps:
    """Random maps of one distortion.

    ``"r"``: rotation by up to 90 degrees either way. ``"rts"``: rotation by up to 45 degrees, scale
    0.7 to 1.2, and any place on a canvas of 42x42 at which the scaled frame of 28x28 is inside.
    ``"p"``: scale 0.75 to 1, then every corner of the frame pulled outwards along its diagonal by
    normal noise of 5 pixels; corners that are not those of a convex quadrilateral, which no view of
    a square is, are drawn again. ``"e"``: scale 0.75 to 1, then 4x4 points moved by normal noise of
    1.5 pixels.

    Args:
        kind: ``"r"``, ``"rts"``, ``"p"`` or ``"e"``.
        count: number of maps.
        rng: source of the numbers.

    Returns:
        The maps, float64.

    Raises:
        InputError: on an unknown kind.

    Example:

    >>> import numpy as np
    >>> from tfreg.data.distortions import draw_maps
    >>> draw_maps("rts", 5, np.random.default_rng(0)).matrix.shape
    (5, 3, 3)

    Reference:
        Jaderberg et al., Spatial transformer networks, NIPS 2015, appendix A.4.
    """
    if kind not in KINDS:
        raise InputError(f"A distortion is one of {KINDS}. Received: {kind}")
    if kind == "r":
        angle = rng.uniform(-np.pi / 2, np.pi / 2, count)
        return Maps(_similarity(angle, np.ones(count), np.zeros((count, 2)), SIZE), None)
    if kind == "rts":
        angle = rng.uniform(-np.pi / 4, np.pi / 4, count)
        scale = rng.uniform(0.7, 1.2, count)
        place = rng.uniform(-1, 1, (count, 2)) * (CANVAS[kind] - SIZE * scale[:, None]) / 2
        return Maps(_similarity(angle, scale, place, CANVAS[kind]), None)
    scale = rng.uniform(0.75, 1.0, count)
    if kind == "e":
        bend = rng.normal(0, _POINT_NOISE, (count, POINTS[0] * POINTS[1], 2))
        still = np.zeros(count)
        return Maps(_similarity(still, scale, np.zeros((count, 2)), SIZE), bend)
    pull = rng.normal(0, _CORNER_NOISE, (count, _TRIES, 4, 1))
    outwards = np.sign(_CORNERS - 0.5) / np.sqrt(2)
    frame = scale[:, None, None] * (_CORNERS - 0.5) * (SIZE - 1) + _CENTRE
    corners = frame[:, None] + pull * outwards
    first = np.argmax(_convex(corners), axis=1)
    return Maps(_from_quadrilateral(corners[np.arange(count), first]), None)


def apply_maps(images: np.ndarray, maps: Maps, size: int) -> np.ndarray:
    """Digits seen through maps, with linear interpolation and zero outside.

    Args:
        images: ``(n, 28, 28)``, any real dtype.
        maps: a map for each.
        size: side of the canvas in pixels.

    Returns:
        float32 array ``(n, size, size)``, in the range of ``images``.

    Example:

    >>> import numpy as np
    >>> from tfreg.data.distortions import apply_maps, draw_maps
    >>> maps = draw_maps("e", 2, np.random.default_rng(0))
    >>> apply_maps(np.ones((2, 28, 28)), maps, 28).shape
    (2, 28, 28)
    """
    found = np.empty((len(images), size, size), "float32")
    count = max(1, _PART // size**2)
    for first in range(0, len(images), count):
        part = slice(first, first + count)
        bend = None if maps.bend is None else maps.bend[part]
        found[part] = _seen(images[part], Maps(maps.matrix[part], bend), size)
    return found


def _seen(images: np.ndarray, maps: Maps, size: int) -> np.ndarray:
    # A frame of zeros: outside the image the value falls to zero within one pixel.
    framed = np.pad(np.asarray(images, "float32"), ((0, 0), (1, 1), (1, 1)))
    side = SIZE + 2
    base = np.arange(len(images), dtype="int32")[:, None, None] * (side * side)
    parts = []
    for positions, step in zip(_positions(maps, size), (side, 1), strict=True):
        place = np.clip(positions.astype("float32") + 1, 0, side - 1)
        lower = np.minimum(place.astype("int32"), side - 2)
        parts.append(place - lower.astype("float32"))
        base = base + step * lower
    row, column = parts
    # Of every pixel itself, and how much the next one of its row, or of its column, is brighter.
    across, down = np.zeros_like(framed), np.zeros_like(framed)
    across[..., :-1] = framed[..., 1:] - framed[..., :-1]
    down[:, :-1] = framed[:, 1:] - framed[:, :-1]
    both = np.zeros_like(framed)
    both[:, :-1] = across[:, 1:] - across[:, :-1]
    value = np.take(across.ravel(), base) + row * np.take(both.ravel(), base)
    return np.take(framed.ravel(), base) + row * np.take(down.ravel(), base) + column * value


def distort(images: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Digits under random maps of one distortion, on the canvas that belongs to it.

    Args:
        images: ``(n, 28, 28)``, any real dtype.
        kind: as in :func:`draw_maps`.
        rng: source of the numbers.

    Returns:
        float32 array ``(n, 28, 28)``, for ``"rts"`` ``(n, 42, 42)``.

    Raises:
        InputError: on an unknown kind.

    Example:

    >>> import numpy as np
    >>> from tfreg.data.distortions import distort
    >>> distort(np.ones((2, 28, 28)), "rts", np.random.default_rng(0)).shape
    (2, 42, 42)
    """
    maps = draw_maps(kind, len(images), rng)
    return apply_maps(images, maps, CANVAS[kind])


def _positions(maps: Maps, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the canvas' pixels in the digit's image, ``(n, size, size)`` each."""
    # Of a plain canvas a line of rows and one of columns, which only meet in the sum.
    x = np.arange(size, dtype="float64")[:, None], np.arange(size, dtype="float64")
    if maps.bend is not None:
        bent = (bending(size) @ maps.bend).reshape(-1, size, size, 2)
        x = x[0] + bent[..., 0], x[1] + bent[..., 1]
    row, column, below = (
        (line[:, 0, None, None] * x[0] + line[:, 2, None, None]) + line[:, 1, None, None] * x[1]
        for line in np.moveaxis(maps.matrix, 1, 0)
    )
    if not maps.matrix[:, 2, :2].any():
        return row, column
    visible = below > 1e-6  # else behind the line at infinity: nothing is there
    below = np.where(visible, below, 1.0)
    return np.where(visible, row / below, -1.0), np.where(visible, column / below, -1.0)


@functools.cache
def bending(size: int) -> np.ndarray:
    """``(size * size, 16)``: from displacements of the 4x4 points to those of all pixels."""
    grid = control_point_grid((size, size), POINTS, "corners").reshape(-1, 2)
    pixels = np.moveaxis(np.indices((size, size)), 0, -1).reshape(-1, 2)
    return tps_matrix(grid, pixels)


def _similarity(angle: np.ndarray, scale: np.ndarray, place: np.ndarray, size: int) -> np.ndarray:
    """Canvas to digit: the inverse of scaling, rotating and moving the digit from the middle."""
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    matrix = np.zeros((len(angle), 3, 3))
    matrix[:, 0, 0] = matrix[:, 1, 1] = cosine
    matrix[:, 0, 1], matrix[:, 1, 0] = sine, -sine
    centre = (size - 1) / 2 + place
    matrix[:, :2, 2] = _CENTRE - np.einsum("nij,nj->ni", matrix[:, :2, :2], centre)
    matrix[:, 2, 2] = 1
    return matrix


def _convex(corners: np.ndarray) -> np.ndarray:
    """Whether ``(..., 4, 2)`` are a convex quadrilateral that turns as the frame does."""
    edges = np.roll(corners, -1, axis=-2) - corners
    following = np.roll(edges, -1, axis=-2)
    turns = edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0]
    return (turns < 0).all(axis=-1)


def _from_quadrilateral(corners: np.ndarray) -> np.ndarray:
    """The projective map that takes corners ``(n, 4, 2)`` to those of the digit's frame."""
    a, b, c, d = np.moveaxis(corners, 1, 0)  # of (0, 0), (0, 1), (1, 1), (1, 0)
    p, q, s = b - c, d - c, a - b + c - d
    area = p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]
    g = (s[:, 0] * q[:, 1] - s[:, 1] * q[:, 0]) / area
    h = (p[:, 0] * s[:, 1] - p[:, 1] * s[:, 0]) / area
    forward = np.zeros((len(corners), 3, 3))  # from the unit square, axes (row, column)
    forward[:, :2, 1] = b - a + g[:, None] * b
    forward[:, :2, 0] = d - a + h[:, None] * d
    forward[:, :2, 2] = a
    forward[:, 2] = np.stack([h, g, np.ones_like(g)], axis=1)
    return np.diag([SIZE - 1, SIZE - 1, 1.0]) @ np.linalg.inv(forward)
