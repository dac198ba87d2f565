"""Images with a place in space as cubes of a few coarse voxels."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from tfreg.image import Image
from tfreg.registration.images import without_outliers


@dataclass(frozen=True)
class Field:
    """What of an image is looked at: the box of its mask, or all of it.

    Attributes:
        image: with its intensities in [0, 1], without outliers.
        mask: ``(*spatial)`` bool.
        centre: of the box, LPS mm.
        extents: its edges in mm, array order.
    """

    image: Image
    mask: np.ndarray
    centre: np.ndarray
    extents: np.ndarray

    @classmethod
    def of(cls, image: Image, mask: Image | None, edges: bool = False) -> "Field":
        """That of an image.

        Args:
            image: the image.
            mask: on its grid; ``None``: none.
            edges: whether its contours are looked at, which images of two modalities share.
        """
        inside = np.ones(image.array.shape, bool) if mask is None else mask.array > 0
        axes = range(inside.ndim)
        bounds = []
        for axis in axes:
            there = np.flatnonzero(inside.any(axis=tuple(a for a in axes if a != axis)))
            bounds.append((there[0], there[-1]))
        first, last = np.array(bounds, float).T
        spacing = np.array(image.geometry.spacing[::-1])
        values = without_outliers(image.array.astype("float32"))
        if edges:
            parts = (
                np.gradient(values, step, axis=axis)
                for axis, step in enumerate(spacing)
                if values.shape[axis] > 1
            )
            values = np.sqrt(sum(part * part for part in parts))
            values = np.minimum(values, np.percentile(values[inside], 99))
        low, high = float(values[inside].min()), float(values[inside].max())
        values = np.clip((values - low) / max(high - low, 1e-20), 0, 1).astype("float32")
        centre = image.geometry.to_physical((first + last) / 2)
        return cls(Image(values, image.geometry), inside, centre, (last - first + 1) * spacing)

    @property
    def largest(self) -> float:
        """The longest edge, mm."""
        return float(self.extents.max())

    @property
    def diagonal(self) -> float:
        """Of the box, mm."""
        return float(np.linalg.norm(self.extents))


@dataclass(frozen=True)
class Cube:
    """A field in ``n`` voxels per axis about its centre, in its own directions.

    Attributes:
        values: ``(n, ..., n)`` float32, of mean 0 where there is weight.
        weights: the same, 0 to 1: how much of a voxel is inside.
        steps: ``(ndim, ndim)``: a column per array axis, from a voxel to the next in mm.
        centre: LPS mm.
    """

    values: np.ndarray
    weights: np.ndarray
    steps: np.ndarray
    centre: np.ndarray


def cube(field: Field, count: int, spacing: float) -> Cube:
    """A field in cubic voxels, each of which has the mean of what lies in it.

    Args:
        field: the field.
        count: voxels per axis.
        spacing: their edge in mm.
    """
    geometry, ndim = field.image.geometry, field.image.geometry.ndim
    blocks = [max(1, math.floor(spacing / step + 1e-6)) for step in geometry.spacing[::-1]]
    mask = field.mask.astype("float32")
    weights, values = _means(mask, blocks), _means(field.image.array * mask, blocks)
    direction = np.array(geometry.direction)
    steps = spacing * direction[:, ::-1]  # array axes are counted backwards
    index = np.moveaxis(np.indices((count,) * ndim), 0, -1) - (count - 1) / 2
    points = field.centre + index @ steps.T
    # Block k has its centre at b k + (b - 1) / 2.
    where = (geometry.to_index(points) - (np.array(blocks) - 1) / 2) / blocks
    where = np.moveaxis(where, -1, 0)
    values, weights = (
        ndimage.map_coordinates(part, where, order=1, mode="grid-constant")
        for part in (values, weights)
    )
    values = np.where(weights > 1e-3, values / np.maximum(weights, 1e-3), 0)
    mean = (values * weights).sum() / max(float(weights.sum()), 1e-6)
    values = np.where(weights > 1e-3, values - mean, 0)
    return Cube(values.astype("float32"), weights.astype("float32"), steps, field.centre)


def _means(array: np.ndarray, blocks: list[int]) -> np.ndarray:
    """The mean of each block of voxels; the last ones go on as at the border."""
    pads = [(0, -n % b) for n, b in zip(array.shape, blocks, strict=True)]
    array = np.pad(array, pads, mode="edge") if any(after for _, after in pads) else array
    for axis, block in enumerate(blocks):
        if block > 1:
            shape = array.shape
            split = (*shape[:axis], shape[axis] // block, block, *shape[axis + 1 :])
            array = array.reshape(split).mean(axis=axis + 1)
    return array
