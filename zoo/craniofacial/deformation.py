"""The sub-space of deformations: principal components of random smooth B-spline fields.

Pei et al. speak of deformation parameters, which a population of skulls would give. One skull has
no population: its fields are random, and what the components say is how smooth fields vary, not how
people do.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

_FIELDS = 200  # random ones
_NODES = 6  # control points along the longest axis


class Subspace(NamedTuple):
    """Deformations ``u = sum_k c_k phi_k`` of a volume.

    Attributes:
        control: ``(k, *nodes, 3)`` float32: control displacements of each ``phi_k`` in mm, whose
            coefficient has a standard deviation of 1; array-axis order.
        shape: of the volume, z, y, x.
        spacing: of its voxels in mm, z, y, x.
    """

    control: np.ndarray
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]

    @property
    def fields(self) -> np.ndarray:
        """``(k, z, y, x, 3)`` float32, each ``phi_k`` in voxels."""
        steps = np.array(self.spacing, "float32")
        return np.stack([dense(control, self.shape) / steps for control in self.control])


def subspace(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    count: int,
    size: float,
    seed: int,
) -> Subspace:
    """The first principal components of random smooth fields.

    Args:
        shape, spacing: of the volume, z, y, x; mm.
        count: of components.
        size: root mean square length of a random field of all components, in mm.
        seed: of the fields.

    Example:

    >>> from zoo.craniofacial.deformation import subspace
    >>> subspace((20, 30, 24), (2.0, 2.0, 2.0), 3, 4.0, 0).control.shape
    (3, 4, 6, 5, 3)
    """
    rng = np.random.default_rng(seed)
    extent = np.array(shape) * spacing
    nodes = tuple(max(3, round(_NODES * length / extent.max())) for length in extent)
    noise = rng.normal(size=(_FIELDS, *nodes, 3))
    smooth = np.stack([gaussian_filter(field, (1, 1, 1, 0)) for field in noise])
    flat = smooth.reshape(_FIELDS, -1)
    flat = flat - flat.mean(axis=0)
    _, values, components = np.linalg.svd(flat, full_matrices=False)
    scaled = components[:count] * values[:count, None] / np.sqrt(_FIELDS)
    control = scaled.reshape(count, *nodes, 3)
    lengths = np.stack([dense(part.astype("float32"), shape) for part in control])
    square = (lengths**2).sum(axis=(0, -1)).mean()
    return Subspace((control * size / np.sqrt(square)).astype("float32"), shape, spacing)


def dense(control: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The cubic B-spline field ``(z, y, x, 3)`` of control points, in their units.

    The outermost control points lie in the outermost voxels.
    """
    places = [np.linspace(0, n - 1, size) for n, size in zip(control.shape, shape, strict=False)]
    grid = np.meshgrid(*places, indexing="ij")
    settings = {"order": 3, "prefilter": False, "mode": "nearest"}
    parts = [map_coordinates(control[..., axis], grid, **settings) for axis in range(3)]
    return np.stack(parts, axis=-1).astype("float32")
