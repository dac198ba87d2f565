"""Phantom electron microscopy: a block of tissue, drawn by code, and the sections cut from it.

Cells fill the plane; from section to section they drift, swell and shrink smoothly, so that
neighbours look alike and sections further apart do not. What cutting does to them is in
:mod:`tfreg.data.damage`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfreg.data.shapes import texture, voxels

CELL = 34.0  # distance of the middles of cells, px
_MEMBRANE = 1.6  # half its width, px
_DRIFT = 1.1  # of a cell from one section to the next, px, RMS
_TURN = 9.0  # sections after which a drift has turned round


class Tissue(NamedTuple):
    """A block of consecutive sections.

    Attributes:
        images: ``(sections, height, width)`` uint8.
        labels: ``(sections, height, width)`` uint16: the cell, from 1; 0 its membrane.
    """

    images: np.ndarray
    labels: np.ndarray


def block(count: int, size: Sequence[int], seed: int = 0) -> Tissue:
    """Draws consecutive sections of one piece of tissue.

    Args:
        count: number of sections.
        size: height and width in px.
        seed: which piece; the same seed gives the same one.

    Raises:
        ValueError: on a count that is not positive, or a size below 16 px.

    Example:

    >>> from tfreg.data import tissue
    >>> piece = tissue.block(3, (64, 96), seed=1)
    >>> piece.images.shape, piece.images.dtype, int(piece.labels.max()) > 4
    ((3, 64, 96), dtype('uint8'), True)
    """
    size = tuple(size)
    if count < 1:
        raise ValueError(f"count must be positive. Received: count={count}")
    if len(size) != 2 or min(size) < 16:
        raise ValueError(f"size must be two numbers, 16 or more. Received: size={size}")
    from scipy.spatial import cKDTree

    rng = np.random.default_rng([11, seed])
    cells = _cells(rng, size)
    x = voxels(size)
    # Seen through a wavy glass, straight walls bend.
    waves = np.stack([texture(rng, 2)(x / (6 * CELL)) for _ in range(2)], axis=-1)
    x = x + 0.12 * CELL * waves
    images, labels = [], []
    for z in range(count):
        places = cells.at(z)
        near, index = cKDTree(places).query(x, k=2)
        wall = (near[..., 1] - near[..., 0]) / 2
        inside = 1 / (1 + np.exp(np.clip(-(wall - _MEMBRANE) / 0.6, -50, 50)))
        image = 0.12 + inside * (cells.grey[index[..., 0]] - 0.12)
        image = _organelles(image, x, cells, z, inside)
        image = image + rng.normal(0, 0.045, size)  # the beam's: of each section its own
        images.append(np.rint(255 * np.clip(image, 0, 1)).astype("uint8"))
        labels.append(np.where(wall > _MEMBRANE, index[..., 0] + 1, 0).astype("uint16"))
    return Tissue(np.stack(images), np.stack(labels))


class _Cells(NamedTuple):
    """Cells of a block: where they are, how they drift, and what is in them.

    Attributes:
        middle: ``(n, 2)`` px.
        swing, turn: ``(n, 2)`` amplitudes in px and phases of their drift.
        grey: ``(n,)`` of their inside.
        organelles: ``(m, 6)``: cell, offset (2), radius, first and last section.
    """

    middle: np.ndarray
    swing: np.ndarray
    turn: np.ndarray
    grey: np.ndarray
    organelles: np.ndarray

    def at(self, z: float) -> np.ndarray:
        """The middles in a section."""
        return self.middle + self.swing * np.sin(np.pi * z / _TURN + self.turn)


def _cells(rng: np.random.Generator, size: tuple[int, ...]) -> _Cells:
    # A margin of two cells: those at the border have neighbours as well.
    counts = [int(np.ceil(n / CELL)) + 4 for n in size]
    middle = (voxels(counts).reshape(-1, 2) - 1.5) * CELL
    middle += rng.normal(0, 0.27 * CELL, middle.shape)
    n = len(middle)
    swing = rng.normal(0, _DRIFT * _TURN / np.pi * np.sqrt(2), (n, 2))
    grey = np.clip(rng.normal(0.66, 0.07, n), 0.45, 0.85)
    m = 2 * n
    first = rng.uniform(-12, 24, m)
    parts = (
        rng.integers(0, n, m)[:, None],
        rng.normal(0, 0.18 * CELL, (m, 2)),
        rng.uniform(2.0, 5.5, (m, 1)),
        first[:, None],
        (first + rng.uniform(4, 16, m))[:, None],
    )
    turn = rng.uniform(0, 2 * np.pi, (n, 2))
    return _Cells(middle, swing, turn, grey, np.concatenate(parts, axis=1))


def _organelles(
    image: np.ndarray, x: np.ndarray, cells: _Cells, z: float, inside: np.ndarray
) -> np.ndarray:
    """Dark discs in the cells; each is there for some sections, and rounded at both ends."""
    places, size = cells.at(z), np.array(image.shape)
    for cell, row, column, radius, first, last in cells.organelles:
        if not first < z < last:
            continue
        centre = places[int(cell)] + (row, column)
        height = 2 * (z - first) / (last - first) - 1
        reach = radius * np.sqrt(1 - height**2)
        low = np.maximum(np.floor(centre - reach - 10).astype(int), 0)
        high = np.minimum(np.ceil(centre + reach + 10).astype(int), size)
        if (high <= low).any():
            continue
        part = tuple(map(slice, low, high))
        distance = np.linalg.norm(x[part] - centre, axis=-1) - reach
        dark = inside[part] / (1 + np.exp(np.clip(distance / 0.6, -50, 50)))
        image[part] += dark * (0.32 - image[part])
    return image
