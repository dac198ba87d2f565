"""Images with a place in space, for the tests of registration in it."""

import numpy as np

from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.registration import (
    Level,
    Pyramid,
    Registration,
)
from tfreg.registration.space.physical import prepare

SHIFT = {2: np.array([3.0, -2.0]), 3: np.array([3.0, -2.0, 4.0])}
QUICK = Pyramid((Level(steps=50),))


def rotation(ndim, angle):
    matrix = np.eye(ndim)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return matrix


def scene(points):
    """Blobs that look like nothing else when turned or mirrored, (n, ndim) LPS mm."""
    ndim = points.shape[-1]
    value = np.zeros(points.shape[:-1])
    for place, width, height in (
        ((0.0, 0.0, 0.0), 9.0, 1.0),
        ((12.0, 3.0, -4.0), 5.0, 0.8),
        ((-6.0, 11.0, 7.0), 4.0, 0.6),
    ):
        square = ((points - np.array(place[:ndim])) ** 2).sum(axis=-1)
        value += height * np.exp(-square / (2 * width**2))
    return value


def image(geometry, shift=0.0, scale=1.0):
    index = np.moveaxis(np.indices(geometry.shape, "float64"), 0, -1)
    points = geometry.to_physical(index)
    return Image((100 * scale * scene(points - shift)).astype("float32"), geometry)


def grids(ndim):
    """Two oblique grids about the scene that have nothing in common."""
    turn, flip = rotation(ndim, 0.3), rotation(ndim, -0.5)
    flip[:, 1] *= -1  # left-handed
    sizes = ((44, 36), (50, 52)) if ndim == 2 else ((30, 26, 14), (34, 30, 24))
    steps = ((1.4, 1.7), (1.1, 1.3)) if ndim == 2 else ((2.0, 2.2, 4.0), (1.9, 2.4, 2.6))
    found = []
    for size, spacing, direction in zip(sizes, steps, (turn, flip), strict=True):
        half = direction @ (np.array(spacing) * (np.array(size) - 1) / 2)
        found.append(Geometry(size, spacing, tuple(1.0 - half), tuple(map(tuple, direction))))
    return found


def still(fixed, moving, initial="geometry", bend=0.0, **masks):
    """What a registration answers that adds only ``bend`` voxels: nothing has to be compiled."""
    prepared = prepare(fixed, moving, initial, **masks)
    inner = prepared.inner
    displacement = np.zeros((*inner.fixed.shape, inner.fixed.ndim)) + bend
    if inner.start is not None:
        displacement += inner.start[:, -1]
    arrays = (inner.fixed, inner.moving, inner.fixed, displacement.astype("float32"))
    return prepared.conclude(Registration(*arrays, 0.1, 0.2, 0.0))
