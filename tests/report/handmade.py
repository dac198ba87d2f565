"""Registrations made by hand, to report on."""

import numpy as np

from tfreg import transforms
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.registration import Registration
from tfreg.registration.space.physical import PhysicalRegistration


def grids(ndim):
    """An oblique, anisotropic grid of the fixed image and another one of the moving image."""
    if ndim == 2:
        grid = Geometry((48, 30), (1.0, 2.5), (5.0, 7.0), np.eye(2).tolist())
        return grid, grid
    angle = 0.2
    direction = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, -1.0]]
    )
    fixed = Geometry((40, 32, 20), (1.5, 1.5, 4.0), (10.0, -20.0, 30.0), direction.tolist())
    moving = Geometry((36, 36, 24), (1.7, 1.6, 3.5), (40.0, 0.0, 20.0), direction.tolist())
    return fixed, moving


def build(ndim, fold=True, notes=("the spacing is not the one trained on",)):
    """A registration made by hand: bright blobs off the middle, a bump that folds where it may."""
    grid, other = grids(ndim)
    offset = other.centre - grid.centre
    # A bump along x, in mm, that falls off from a corner of the middle.
    points = grid.to_physical(np.moveaxis(np.indices(grid.shape), 0, -1)) - grid.centre
    bump = np.exp(-((points - 6) ** 2).sum(axis=-1) / 60)
    field = np.zeros((*grid.shape, ndim))
    field[..., 0] = (16.0 if fold else 3.0) * bump
    initial = transforms.Affine(np.eye(ndim), offset)
    transform = transforms.compose(transforms.Displacement(field, grid), initial)

    def picture(geometry, shift):
        where = geometry.to_physical(np.moveaxis(np.indices(geometry.shape), 0, -1))
        where = where - geometry.centre - shift
        body = (where**2).sum(axis=-1) < (0.35 * min(grid.extent)) ** 2
        spot = ((where - 8) ** 2).sum(axis=-1) < 49
        return Image((100 * body + 80 * spot + where[..., 0] / 4).astype("float32"), geometry)

    fixed, moving = picture(grid, 0), picture(other, 3.0)
    moved = transform.apply(moving, grid, fill=float(moving.array.min()))
    u = (field @ np.linalg.inv(grid.matrix[:, :-1]).T).astype("float32")
    inner = Registration(
        fixed=fixed.array,
        moving=fixed.array,
        moved=moved.array,
        displacement=u,
        similarity_before=0.8123,
        similarity_after=0.9345,
        seconds=0.25,
        compile_seconds=1.5,
    )
    return PhysicalRegistration(
        fixed=fixed,
        moving=moving,
        moved=moved,
        transform=transform,
        initial=initial,
        displacement=transform.to_displacement(grid),
        outside=0.0,
        inner=inner,
        seconds=0.5,
        warnings=notes,
    )
