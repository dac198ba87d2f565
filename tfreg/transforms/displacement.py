"""Displacements at the voxels of a grid."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.transforms.base import Transform, grid_points, slabs
from tfreg.transforms.fields import check_field, index_jacobian, inside_buffer, random_index
from tfreg.transforms.inverse import Inverse
from tfreg.transforms.lattice import gradient, interpolate

_SAME = 1e-7  # share of a voxel: grids so close need no interpolation


@dataclass(frozen=True, eq=False, repr=False)
class Displacement(Transform):
    """``T(x) = x + u(x)``, ``u`` linear between the voxels of a grid and zero outside.

    As in ITK's ``DisplacementFieldTransform`` the grid ends half a voxel beyond its outer voxel
    centres, and within that margin the border is continued.

    Args:
        field: ``(*spatial, ndim)``: ``u`` in mm, its components x, y[, z], the array indexed z, y,
            x; float32 is kept, all else becomes float64.
        geometry: of the grid.

    Raises:
        InputError: if the two do not fit together, or the field is not finite.

    Example:

    >>> field = np.zeros((4, 5, 2))
    >>> field[..., 0] = 1.5
    >>> shift = Displacement(field, Geometry.of_shape((4, 5)))
    >>> shift.apply_points([[2.0, 1.0], [9.0, 1.0]]).tolist()
    [[3.5, 1.0], [9.0, 1.0]]
    """

    field: np.ndarray
    geometry: Geometry

    def __post_init__(self):
        object.__setattr__(self, "field", check_field(self.field, self.geometry, "field"))

    def __repr__(self) -> str:
        return f"Displacement({self.field.dtype}, {self.geometry})"

    @classmethod
    def from_voxels(
        cls, u: Any, fixed_geometry: Geometry, moving_geometry: Geometry
    ) -> "Displacement":
        """The physical displacement of one in voxels: ``moved[i] = moving[i + u[i]]``.

        Args:
            u: ``(*spatial, ndim)`` in voxels, array-axis order, as the registration of two arrays
                answers it.
            fixed_geometry: of the fixed image, whose shape is that of ``u``.
            moving_geometry: of the moving image.

        Raises:
            InputError: if the three do not fit together.

        Example:

        >>> u = np.zeros((4, 5, 2))
        >>> u[..., 0] = 1  # one row
        >>> fixed = Geometry.of_shape((4, 5), spacing=2.0)
        >>> moving = Geometry.of_shape((4, 5), spacing=3.0)
        >>> Displacement.from_voxels(u, fixed, moving).apply_points([[0.0, 0.0]]).tolist()
        [[0.0, 3.0]]
        """
        u = check_field(u, fixed_geometry, "u")
        if moving_geometry.ndim != fixed_geometry.ndim:
            raise InputError(
                f"The moving image must be {fixed_geometry.ndim}-D. Received: {moving_geometry}"
            )
        field = np.empty(u.shape)
        for rows in slabs(fixed_geometry):
            index = np.moveaxis(np.indices((rows.stop - rows.start, *u.shape[1:-1])), 0, -1)
            index = index + u[rows]
            index[..., 0] += rows.start
            start = grid_points(fixed_geometry, rows).reshape(index.shape)
            field[rows] = moving_geometry.to_physical(index) - start
        return cls(field, fixed_geometry)

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return self.geometry.ndim

    def inverse(self) -> Inverse:
        """The numerical inverse, found point by point.

        Where the displacement at the border points inwards or outwards, the map jumps there, and no
        point reaches some places: applied to those, the inverse warns.

        Warns:
            InputWarning: if it is not exact to 0.001 mm where it was measured.
        """
        return Inverse(self)

    def _map(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        index = self.geometry.to_index(points)
        if continued:
            return points + interpolate(self.field, index, 1)
        inside = inside_buffer(index, self.geometry)
        result = points.copy()
        result[inside] += interpolate(self.field, index[inside], 1)
        return result

    def _jacobian(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        index = self.geometry.to_index(points)
        inside = slice(None) if continued else inside_buffer(index, self.geometry)
        slopes = gradient(self.field, index[inside], 1)
        return index_jacobian(slopes, inside, len(points), self.geometry)

    def _samples(self) -> np.ndarray:
        last = np.array(self.geometry.shape) - 1.0
        return self.geometry.to_physical(random_index(np.zeros(self.ndim), last))

    def _slabs(self, grid: Geometry) -> Iterator[tuple[slice, np.ndarray]]:
        if not self.geometry.matches(grid, _SAME):
            yield from super()._slabs(grid)
            return
        for rows in slabs(grid):
            yield rows, grid_points(grid, rows) + self.field[rows].reshape(-1, self.ndim)
