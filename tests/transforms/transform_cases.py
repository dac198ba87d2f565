"""Random geometries, transforms and points for the tests of this folder."""

import numpy as np

from tfreg.geometry import Geometry
from tfreg.transforms import Affine, BSpline, Displacement

COUNT = 200
BORDER = 1e-3  # voxels around a jump, within which a point may fall on either side


def geometry(rng, ndim, low=4, high=9):
    """Anisotropic, off the origin; the direction plain, flipped, permuted or oblique."""
    kind = rng.integers(4)
    direction = np.eye(ndim)
    if kind == 1:
        direction = np.diag(rng.choice([-1.0, 1.0], ndim))
    elif kind == 2:
        direction = direction[rng.permutation(ndim)] * rng.choice([-1.0, 1.0], ndim)
    elif kind == 3:
        direction = np.linalg.qr(rng.normal(size=(ndim, ndim)))[0]
    size = tuple(int(n) for n in rng.integers(low, high, ndim))
    spacing = np.exp(rng.uniform(np.log(0.3), np.log(6), ndim))
    return Geometry(size, spacing, rng.uniform(-300, 300, ndim), direction)


def points(rng, grid, count=50, margin=0.0):
    """Points in and around a grid, away from where a transform on it jumps."""
    last = np.array(grid.shape) - 1
    index = rng.uniform(-1.5 - margin, last + 1.5 + margin, (4 * count, grid.ndim))
    index[::2] = rng.uniform(0, last, (2 * count, grid.ndim))  # the half is inside
    jumps = [-0.5, *np.arange(0, 2, 0.5)]
    near = np.zeros(len(index), bool)
    for jump in jumps:
        near |= (np.abs(index - jump) < BORDER).any(axis=1)
        near |= (np.abs(index - (last - jump)) < BORDER).any(axis=1)
    return grid.to_physical(index[~near][:count])


def affine(rng, grid):
    matrix = np.eye(grid.ndim) + rng.normal(0, 0.2, (grid.ndim,) * 2)
    return Affine(matrix, rng.normal(0, 20, grid.ndim), grid.centre + rng.normal(0, 5, grid.ndim))


def displacement(rng, grid, size=3.0):
    return Displacement(rng.normal(0, size, (*grid.shape, grid.ndim)), grid)


def bspline(rng, grid, order=3, size=3.0):
    return BSpline(rng.normal(0, size, (*grid.shape, grid.ndim)), grid, order)


def gentle(rng, grid):
    """A field whose map does not fold, and is 0 at the border: mm ``(*spatial, ndim)``."""
    field = rng.normal(0, 0.12, (*grid.shape, grid.ndim)) * min(grid.spacing)
    border = np.zeros(grid.shape, bool)
    border[(slice(1, -1),) * grid.ndim] = True
    return field * border[..., None]


def mapped(transform, where):
    """What a transform of SimpleITK makes of points."""
    return np.array([transform.TransformPoint(point) for point in where.tolist()])
