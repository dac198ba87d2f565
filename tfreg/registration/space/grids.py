"""The grids on which physical images are registered, and the way back to where they are.

Everything here happens in the space of the fixed image: the moving image is seen through the
initial alignment, so that the voxel answer is a displacement in that space, after which the initial
alignment leads to the moving image.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.registration.preprocessing import Preprocessing
from tfreg.transforms import Affine, Displacement, Transform, compose
from tfreg.transforms.base import grid_points, slabs

_MARGIN = 0.25  # of the fixed image's size: that far the moving image is kept beyond it
_DRIFT = 0.01  # voxels that two grids may differ by at a corner, and one is taken for the other
_FILLED = 0.9  # share of a grid that an image turned on it leaves without an end to be marked
_SLAB = 2**20  # points that are mapped at once


@dataclass(frozen=True)
class Inner:
    """Two images on grids whose voxels have the same size and directions.

    Attributes:
        fixed, moving: float32.
        fixed_mask, moving_mask: uint8, of the shapes of their images, or ``None``.
        grid: where the voxels of ``fixed`` are.
        moving_grid: where those of ``moving`` are, in the space of the fixed image.
        initial: from there to the moving image's own space.
    """

    fixed: np.ndarray
    moving: np.ndarray
    fixed_mask: np.ndarray | None
    moving_mask: np.ndarray | None
    grid: Geometry
    moving_grid: Geometry
    initial: Transform

    @property
    def masks(self) -> dict[str, np.ndarray]:
        """The masks that there are, by name."""
        found = {"fixed_mask": self.fixed_mask, "moving_mask": self.moving_mask}
        return {name: mask for name, mask in found.items() if mask is not None}

    @property
    def start(self) -> np.ndarray | None:
        """``(ndim, ndim + 1)``: voxels of ``fixed`` to those of ``moving``; ``None``: the same."""
        offset = self.moving_grid.to_index(np.array(self.grid.origin))
        if np.abs(offset).max() < 1e-6:
            return None
        return np.concatenate([np.eye(len(offset)), offset[:, None]], axis=1)

    def transform(self, displacement: np.ndarray, field_of_view: Geometry) -> Transform:
        """The map from fixed to moving points, LPS mm, of a displacement in voxels.

        Args:
            displacement, field_of_view: as in :meth:`field`.
        """
        field = self.field(displacement, field_of_view)
        return field if is_identity(self.initial) else compose(field, self.initial)

    def field(self, displacement: np.ndarray, field_of_view: Geometry) -> Displacement:
        """A displacement in voxels as one in the space of the fixed image, LPS mm.

        Args:
            displacement: ``(*grid.shape, ndim)``, from ``grid`` to ``moving_grid``.
            field_of_view: that of the fixed image; where it exceeds the grid, the displacement of
                the nearest voxel continues.
        """
        grid, target = self.grid, self.moving_grid
        before, after = _beyond(grid, field_of_view)
        if before.any() or after.any():
            pads = [*zip(before, after, strict=True), (0, 0)]
            displacement = np.pad(displacement, pads, mode="edge")
            grid, target = (_extended(g, -before, grid.shape + after) for g in (grid, target))
        return Displacement.from_voxels(displacement, grid, target)

    def voxels(self, field: Displacement) -> np.ndarray:
        """A displacement in the space of the fixed image, ``(*grid.shape, ndim)`` in voxels."""
        found = np.empty((*self.grid.shape, self.grid.ndim), "float32")
        for rows in slabs(self.grid):
            points = field.apply_points(grid_points(self.grid, rows))
            index = np.moveaxis(np.indices(found[rows].shape[:-1], "float64"), 0, -1)
            index[..., 0] += rows.start
            found[rows] = self.moving_grid.to_index(points).reshape(index.shape) - index
        return found


def is_identity(transform: Transform) -> bool:
    """Whether a transform is linear and leaves every point where it is."""
    if not isinstance(transform, Affine):
        return False
    points = np.concatenate([np.zeros((1, transform.ndim)), np.eye(transform.ndim)])
    return bool((transform.apply_points(points) == points).all())


def on_network_grid(
    preprocessing: Preprocessing | None,
    fixed: Image,
    moving: Image,
    masks: dict[str, Image | None],
    initial: Transform,
) -> Inner:
    """Both images on the grid of a network.

    Args:
        preprocessing: what the network was trained on; where it says nothing, the grid is that of
            the fixed image.
        fixed, moving: the images.
        masks: by name; the grid is about the centre of the fixed image's, if it has one and the
            network's spacing is known and it does not cover the whole image.
        initial: the initial alignment.
    """
    grid = fixed.geometry
    if preprocessing is not None:
        mask = masks.get("fixed_mask")
        about = mask is not None and preprocessing.centred
        grid = preprocessing.grid(grid, mask.centre_of_mass() if about else None)
    return Inner(
        fixed=_onto(fixed, grid),
        moving=_onto(moving, grid, initial),
        fixed_mask=_mask_onto(masks.get("fixed_mask"), grid),
        moving_mask=_mask_onto(masks.get("moving_mask"), grid, initial),
        grid=grid,
        moving_grid=grid,
        initial=initial,
    )


def on_fixed_grid(
    fixed: Image, moving: Image, masks: dict[str, Image | None], initial: Transform
) -> Inner:
    """The fixed image as it is, and the moving image in voxels of the same size and directions.

    Where the moving image has such voxels, it is taken as it is; else it is resampled, together
    with what of it lies within a quarter of the fixed image's size beyond that image. One that is
    turned gets a box in steps of that quarter: for each size of the boxes it is compiled anew.
    """
    grid = fixed.geometry
    seen = _pulled_back(moving.geometry, initial) if isinstance(initial, Affine) else None
    mask = masks.get("moving_mask")
    if seen is not None and _same_voxels(grid, seen):
        moving_grid = Geometry(seen.size, grid.spacing, seen.origin, grid.direction)
        array = moving.array.astype("float32")
        moving_mask = None if mask is None else mask.array
    else:
        shape = np.array(grid.shape)
        margin = np.ceil(_MARGIN * shape).astype(int)
        low, high = -margin, shape + margin
        if seen is not None:
            corners = grid.to_index(seen.to_physical(_corners(seen)))
            ends = np.stack([corners.min(axis=0), corners.max(axis=0)]) + 0.5
            if not _fills(grid, seen):
                # From the ends of the fixed image outwards.
                ends[0] = margin * np.floor(ends[0] / margin)
                ends[1] = shape + margin * np.ceil((ends[1] - shape) / margin)
            low = np.maximum(low, np.floor(ends[0]).astype(int))
            high = np.minimum(high, np.ceil(ends[1]).astype(int))
            high = np.maximum(high, low + 1)
        moving_grid = _extended(grid, low, high)
        array = _onto(moving, moving_grid, initial)
        moving_mask = _mask_onto(mask, moving_grid, initial)
        if mask is None and not (seen is not None and _fills(moving_grid, seen)):
            inside = Image(np.ones(moving.array.shape, "uint8"), moving.geometry)
            inside = _mask_onto(inside, moving_grid, initial)
            moving_mask = inside if inside.mean() < _FILLED else None
    fixed_mask = masks.get("fixed_mask")
    return Inner(
        fixed=fixed.array.astype("float32"),
        moving=array,
        fixed_mask=None if fixed_mask is None else fixed_mask.array,
        moving_mask=moving_mask,
        grid=grid,
        moving_grid=moving_grid,
        initial=initial,
    )


def _onto(image: Image, grid: Geometry, initial: Transform | None = None) -> np.ndarray:
    """An image, seen through a transform, on a grid, continued from its border; smoothed before
    where the grid is coarser."""
    image = Image(image.array.astype("float32", copy=False), image.geometry)
    if initial is None or isinstance(initial, Affine):
        seen = image.geometry if initial is None else _pulled_back(image.geometry, initial)
        image = _smoothed(Image(image.array, seen), grid)
        return image.resample(grid, "linear").array
    image = _smoothed(image, grid)
    return _sampled(image, grid, initial, order=1, mode="nearest")


def _mask_onto(
    mask: Image | None, grid: Geometry, initial: Transform | None = None
) -> np.ndarray | None:
    if mask is None:
        return None
    if initial is None or isinstance(initial, Affine):
        seen = mask.geometry if initial is None else _pulled_back(mask.geometry, initial)
        return Image(mask.array, seen).resample(grid, "nearest", fill=0).array
    return _sampled(mask, grid, initial, order=0, mode="grid-constant")


def _sampled(image: Image, grid: Geometry, initial: Transform, **options: Any) -> np.ndarray:
    """An image seen through any transform, a slab of the grid at a time."""
    from scipy import ndimage

    found = np.empty(grid.shape, image.array.dtype)
    rest = np.moveaxis(np.indices(grid.shape[1:], "float64"), 0, -1).reshape(-1, grid.ndim - 1)
    rows = max(1, _SLAB // len(rest))
    for first in range(0, grid.shape[0], rows):
        slab = np.arange(first, min(first + rows, grid.shape[0]))
        index = np.concatenate(
            [np.repeat(slab, len(rest))[:, None], np.tile(rest, (len(slab), 1))], axis=1
        )
        points = initial.apply_points(grid.to_physical(index))
        where = image.geometry.to_index(points).T
        values = ndimage.map_coordinates(image.array, where, prefilter=False, **options)
        found[slab] = values.reshape(len(slab), *grid.shape[1:])
    return found


def _smoothed(image: Image, grid: Geometry) -> Image:
    """Against aliasing: as wide as the grid's voxels are beyond the image's own."""
    axes = np.concatenate([np.zeros((1, grid.ndim)), np.eye(grid.ndim)])
    steps = image.geometry.to_index(grid.to_physical(axes))
    ratio = np.abs(steps[1:] - steps[0]).max(axis=0)
    sigma = 0.5 * np.sqrt(np.maximum(ratio**2 - 1, 0))
    if (sigma < 0.1).all():
        return image
    from scipy import ndimage

    return Image(ndimage.gaussian_filter(image.array, sigma, mode="nearest"), image.geometry)


def _pulled_back(geometry: Geometry, initial: Affine) -> Geometry:
    """Where the voxels of the moving image are in the space of the fixed one."""
    points = np.concatenate([np.zeros((1, geometry.ndim)), np.eye(geometry.ndim)])
    mapped = initial.apply_points(points)
    linear = np.linalg.inv((mapped[1:] - mapped[0]).T)
    columns = linear @ np.array(geometry.direction) * np.array(geometry.spacing)
    spacing = np.linalg.norm(columns, axis=0)
    origin = linear @ (np.array(geometry.origin) - mapped[0])
    rows = tuple(map(tuple, (columns / spacing).tolist()))
    return Geometry(geometry.size, tuple(spacing.tolist()), tuple(origin.tolist()), rows)


def _same_voxels(grid: Geometry, seen: Geometry) -> bool:
    """Whether a voxel further on one grid is a voxel further on the other, over all of it."""
    corners = _corners(seen)
    index = grid.to_index(seen.to_physical(corners))
    return bool(np.abs((index - index[0]) - (corners - corners[0])).max() < _DRIFT)


def _fills(grid: Geometry, seen: Geometry) -> bool:
    """Whether an image's axes lie along those of a grid, so that it has the shape of its box."""
    axes = grid.to_index(seen.to_physical(np.eye(seen.ndim))) - grid.to_index(
        seen.to_physical(np.zeros((1, seen.ndim)))
    )
    sides = (np.abs(axes) * np.array(seen.shape)[:, None]).sum(axis=0)
    volume = abs(np.linalg.det(axes)) * np.prod(seen.shape)
    return bool(volume >= _FILLED * np.prod(sides))


def _corners(grid: Geometry) -> np.ndarray:
    """The corners of the field of view, in voxels, array order."""
    return np.array(list(itertools.product(*((-0.5, n - 0.5) for n in grid.shape))))


def _beyond(grid: Geometry, field_of_view: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """How many voxels before and after the grid it takes to cover a field of view."""
    index = grid.to_index(field_of_view.to_physical(_corners(field_of_view)))
    outer = np.array(grid.shape) - 0.5
    before = np.ceil(np.maximum(-0.5 - index.min(axis=0), 0) - 1e-3).astype(int)
    after = np.ceil(np.maximum(index.max(axis=0) - outer, 0) - 1e-3).astype(int)
    return before, after


def _extended(grid: Geometry, low: np.ndarray, high: np.ndarray) -> Geometry:
    """The grid of the voxels from ``low`` to before ``high``, counted on a grid, array order."""
    origin = grid.to_physical(np.asarray(low, "float64"))
    size = tuple(int(n) for n in (np.asarray(high) - low)[::-1])
    return Geometry(size, grid.spacing, tuple(origin.tolist()), grid.direction)
