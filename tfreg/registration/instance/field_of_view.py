"""What both images of a pair really show: not beyond the moving image, not in a frame of padding.

The bounds of a pair are ``(2, 2, ndim)``: of the fixed and of the moving image the first and the
last voxel that counts, per axis, on the full grids. Beyond its last voxel the moving image goes on
as at its border, and padding is one value: a similarity that looks at either aligns borders.
"""

from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg.losses.means import weighted_sum
from tfreg.ops.grid import axis_coordinates
from tfreg.registration.instance.maps import Grid

_EVERYWHERE = 1e6  # voxels from the first one that no image has
_MOST = 0.98  # share of a fixed image inside the moving one from which borders do not matter
_KEPT = 0.5  # share of what both show at the start that a map must leave: fewer voxels agree easily
_LEAST = 0.1  # share of the fixed image that must remain without the frames
_PLACES = 2**12  # that many points tell how much of two images overlaps
_FULL = 0.5  # share of a face beside a frame that is other than it; about an organ it is less


def frames(image: np.ndarray) -> np.ndarray:
    """The first and the last voxel per axis that are not in a frame of constant padding.

    A frame is made of whole slices of one value. The faces of what it surrounds show something
    nearly everywhere, where an image was cropped; what touches a dark background with a few voxels
    only, or is uniform itself, is an object before it.

    Args:
        image: ``(*spatial,)``.

    Returns:
        ``(2, ndim)``; without a frame those of the image.

    Example:

    >>> import numpy as np
    >>> from tfreg.registration.instance.field_of_view import frames
    >>> frames(np.pad(np.arange(36.0).reshape(6, 6), ((1, 2), (0, 0)))).tolist()
    [[1, 0], [6, 5]]
    """
    bounds = np.array([np.zeros(image.ndim, int), np.array(image.shape) - 1])
    values = {}
    for axis in range(image.ndim):
        others = tuple(a for a in range(image.ndim) if a != axis)
        low, high = image.min(axis=others), image.max(axis=others)
        for side, order in ((0, slice(None)), (1, slice(None, None, -1))):
            padding = (low[order] == low[order][0]) & (high[order] == low[order][0])
            width = len(padding) if padding.all() else int(np.argmin(padding))
            bounds[side, axis] += width if side == 0 else -width
            if width:
                values[side, axis] = low[order][0]
    if (bounds[1] - bounds[0] < 3).any():
        return np.array([np.zeros(image.ndim, int), np.array(image.shape) - 1])
    content = image[tuple(slice(a, b + 1) for a, b in bounds.T)]
    for (side, axis), value in values.items():
        face = np.take(content, -side, axis=axis)
        if (face != value).mean() < _FULL or np.ptp(face[face != value]) == 0:
            bounds[side, axis] = side * (image.shape[axis] - 1)
    return bounds


class View:
    """Within which bounds the maps of a batch of pairs should look, and whether they matter.

    Args:
        images: ``"fixed"`` and ``"moving"``, ``(batch, *spatial, 1)``, and their masks, with which
            frames are not looked for: a mask says what is to be looked at.
        linear: whether any transform is linear. A frame holds only those that bend.
    """

    def __init__(self, images: dict[str, np.ndarray], linear: bool) -> None:
        self._images = images
        self._padded = None
        if linear and not {"fixed_mask", "moving_mask"} & set(images):
            pairs = zip(images["fixed"], images["moving"], strict=True)
            found = np.array([[frames(image[..., 0]) for image in pair] for pair in pairs])
            sizes = [
                [(0,) * (image.ndim - 2), np.array(image.shape[1:-1]) - 1]
                for image in (images["fixed"], images["moving"])
            ]
            self._padded = found if (found != np.array(sizes)).any() else None

    def at(self, displacement: Any, linear: bool, matrix: Any = None) -> dict[str, np.ndarray]:
        """The bounds that matter to a map.

        Args:
            displacement: ``(batch, *spatial, ndim)`` in voxels; ``None``: none.
            linear: whether the map that is looked for is linear.
            matrix: ``(batch, ndim, ndim + 1)`` of fixed voxels, to whose displacement that is
                added; ``None``: none.

        Returns:
            Float32 ``bounds`` ``(batch, 2, 2, ndim)`` and ``least`` ``(batch,)``, the share of the
            fixed image that must stay inside; or nothing where nothing is to be left out. A pair to
            which they do not matter has bounds far away and a share of 0.
        """
        images, padded = self._images, self._padded if linear else None
        shape, other = images["fixed"].shape[1:-1], images["moving"].shape[1:-1]
        whole = np.stack([np.zeros(len(other)), np.array(other) - 1])
        fits = all(n <= m for n, m in zip(shape, other, strict=True))
        if displacement is None and matrix is None and padded is None and fits:
            return {}
        bounds = np.empty((len(images["fixed"]), 2, 2, len(shape)), "float32")
        bounds[:, :, 0], bounds[:, :, 1] = -_EVERYWHERE, _EVERYWHERE
        least = np.zeros(len(bounds), "float32")
        step = max(1, round((np.prod(shape) / _PLACES) ** (1 / len(shape))))
        chosen = tuple(slice((n - 1) % step // 2, None, step) for n in shape)
        axes = (np.arange(n)[c] for n, c in zip(shape, chosen, strict=True))
        places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        for index in range(len(bounds)):
            target = places
            if matrix is not None:
                target = target @ matrix[index, :, :-1].T + matrix[index, :, -1]
            if displacement is not None:
                target = target + keras_ops.convert_to_numpy(displacement[(index, *chosen)])
            seen = _inside(target, whole).mean()
            if "moving_mask" not in images and seen < _MOST:
                bounds[index, 1], least[index] = whole, _KEPT * seen
            if padded is not None:
                both = (
                    _inside(places, padded[index, 0]) & _inside(target, padded[index, 1])
                ).mean()
                if _LEAST < both < _MOST * seen:
                    bounds[index], least[index] = padded[index], _KEPT * both
        return {"bounds": bounds, "least": least} if least.any() else {}


def _inside(points: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Which points are inside, up to half a voxel beyond the first and the last."""
    low, high = bounds
    return ((points >= low - 0.5) & (points <= high + 0.5)).all(axis=-1)


def shown(bounds: Any, displacement: Any, grid: Grid) -> Any:
    """Weights ``(batch, *spatial, 1)``: 1 within the bounds of both images, falling to 0 over the
    voxel beyond, as those of a mask of ones that is warped.

    Args:
        bounds: ``(batch, 2, 2, ndim)`` on the full grids.
        displacement: ``(batch, *spatial, ndim)`` in voxels of the grid.
        grid: that of the displacement.
    """
    ndim = grid.ndim
    found = None
    for axis, factor in enumerate(grid.shrink):
        place = axis_coordinates(grid.shape[axis], axis, ndim)[None]
        for image, where in enumerate((place, place + displacement[..., axis])):
            limits = (bounds[:, image, :, axis] - (factor - 1) / 2) / factor
            low, high = (keras_ops.reshape(limits[:, side], (-1,) + (1,) * ndim) for side in (0, 1))
            inside = keras_ops.clip(keras_ops.minimum(where - low, high - where) + 1, 0, 1)
            found = inside if found is None else found * inside
    return found[..., None]


def enough(weights: Any, least: Any) -> Any:
    """Whether a map leaves the least share of the fixed image inside, per pair."""
    count = 1.0
    for size in weights.shape[1:]:
        count *= size
    return weighted_sum(weights, None) >= least * count
