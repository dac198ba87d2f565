"""Volumes on the grid that a network was trained on, and its displacement back on theirs."""

from collections.abc import Sequence

import numpy as np


class Grid:
    """A grid of another spacing about the same centre.

    Args:
        shape: of the images.
        spacing: size of their voxels per axis.
        wanted: that of the other grid.

    Example:

    >>> import numpy as np
    >>> from benchmarks.methods.regrid import Grid
    >>> grid = Grid((8, 20), (2.0, 1.0), (2.0, 2.0))
    >>> grid.image(np.zeros((8, 20))).shape, grid.displacement(np.ones((8, 10, 2)))[0, 0].tolist()
    ((8, 10), [1.0, 2.0])
    """

    def __init__(
        self, shape: Sequence[int], spacing: Sequence[float], wanted: Sequence[float]
    ) -> None:
        self.factors = np.array(wanted, float) / np.array(spacing, float)
        self.sizes = [
            (n, max(2, round(n / factor))) for n, factor in zip(shape, self.factors, strict=True)
        ]

    def image(self, image: np.ndarray) -> np.ndarray:
        """An image on the other grid; coarser voxels average those that they cover."""
        for axis, ((n, m), factor) in enumerate(zip(self.sizes, self.factors, strict=True)):
            image = _along(axis, _weights(m, n, factor), image)
        return image.astype("float32")

    def displacement(self, displacement: np.ndarray) -> np.ndarray:
        """A displacement of the other grid, linear between its voxels, in voxels of the images."""
        for axis, ((n, m), factor) in enumerate(zip(self.sizes, self.factors, strict=True)):
            displacement = _along(axis, _weights(n, m, 1 / factor), displacement)
        return (displacement * self.factors).astype("float32")


def _weights(out: int, of: int, factor: float) -> np.ndarray:
    """Weights ``(out, of)`` of a tent as wide as a voxel of either grid, the wider one."""
    places = (np.arange(out) - (out - 1) / 2) * factor + (of - 1) / 2
    places = np.clip(places, 0, of - 1)
    distance = np.abs(places[:, None] - np.arange(of))
    tent = np.maximum(1 - distance / max(1.0, factor), 0)
    return (tent / tent.sum(axis=1, keepdims=True)).astype("float32")


def _along(axis: int, weights: np.ndarray, array: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.tensordot(weights, array, (1, axis)), 0, axis)
