"""Where the voxels of an image lie in physical space."""

import itertools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tfreg.errors import InputError

_SINGULAR = 1e-6  # |determinant| of the unit columns of a direction, below which it is singular


@dataclass(frozen=True)
class Geometry:
    """The grid of an image: ``point = origin + direction @ (spacing * index)``, in LPS millimetres.

    As in ITK, the axes are x, y[, z] and the origin is the centre of the first voxel; x runs to
    the patient's left, y to the back, z to the head. An array of the image is indexed z, y, x.

    Args:
        size: voxels along x, y[, z].
        spacing: of the voxels along x, y[, z], in mm, positive.
        origin: centre of the first voxel, ``(x, y[, z])`` in mm.
        direction: rows of a square matrix whose column k is the direction of axis k; invertible.

    Raises:
        InputError: if the parts do not fit together or describe no grid.

    Example:
        >>> grid = Geometry((4, 3), (2.0, 1.0), (10.0, 20.0), ((1.0, 0.0), (0.0, 1.0)))
        >>> grid.shape
        (3, 4)
        >>> grid.to_physical([1, 2]).tolist()  # row 1, column 2
        [14.0, 21.0]
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[tuple[float, ...], ...]

    def __post_init__(self):
        try:
            size = tuple(operator.index(length) for length in self.size)
            spacing = tuple(float(step) for step in self.spacing)
            origin = tuple(float(coordinate) for coordinate in self.origin)
            direction = tuple(tuple(float(value) for value in row) for row in self.direction)
        except (TypeError, ValueError) as error:
            raise InputError(f"A geometry is made of numbers: {error}. Received: {self}") from error
        ndim = len(size)
        if ndim not in (2, 3):
            raise InputError(f"A geometry has 2 or 3 axes. Received: size={size}")
        if min(size) < 1:
            raise InputError(f"Every axis must have at least one voxel. Received: size={size}")
        for name, values in (("spacing", spacing), ("origin", origin)):
            if len(values) != ndim or not np.all(np.isfinite(values)):
                raise InputError(f"{name} must be {ndim} finite numbers. Received: {values}")
        if min(spacing) <= 0:
            raise InputError(f"spacing must be positive. Received: {spacing}")
        rows = [len(row) for row in direction]
        if rows != [ndim] * ndim or not np.all(np.isfinite(direction)):
            raise InputError(f"direction must be {ndim} x {ndim} numbers. Received: {direction}")
        lengths = np.linalg.norm(direction, axis=0)
        if not (lengths > 0).all() or abs(np.linalg.det(direction / lengths)) < _SINGULAR:
            raise InputError(f"direction must be invertible. Received: {direction}")
        for name, value in (("size", size), ("spacing", spacing), ("origin", origin)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "direction", direction)

    @classmethod
    def of_shape(
        cls, shape: Sequence[int], spacing: Sequence[float] | float | None = None
    ) -> "Geometry":
        """The grid of a bare array: origin at the first voxel, identity direction.

        Args:
            shape: of the array, z, y, x.
            spacing: in mm, in the order of the array, or one number for all axes; 1 mm where None.

        Example:
            >>> Geometry.of_shape((3, 4), (1.0, 2.0)).spacing
            (2.0, 1.0)
        """
        shape = tuple(shape)
        step: Any = 1.0 if spacing is None else spacing
        step = (step,) * len(shape) if np.ndim(step) == 0 else tuple(step)
        identity = tuple(map(tuple, np.eye(len(shape))))
        return cls(shape[::-1], step[::-1], (0.0,) * len(shape), identity)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Geometry":
        """The inverse of ``to_dict``.

        Raises:
            InputError: if a part is missing, unknown or unusable.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise InputError(f"This is not a geometry: {error}. Received: {values}") from error

    def to_dict(self) -> dict[str, Any]:
        """The parts as lists of plain numbers, for JSON."""
        return {
            "size": list(self.size),
            "spacing": list(self.spacing),
            "origin": list(self.origin),
            "direction": [list(row) for row in self.direction],
        }

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.size)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an array of the image, z, y, x."""
        return self.size[::-1]

    @property
    def extent(self) -> tuple[float, ...]:
        """From edge to edge along the axes x, y[, z], in mm: ``size * spacing``."""
        return tuple(n * step for n, step in zip(self.size, self.spacing, strict=True))

    @cached_property
    def matrix(self) -> np.ndarray:
        """``(ndim, ndim + 1)`` float64: index in array order, with a 1 after it, to the point."""
        linear = (np.array(self.direction) * np.array(self.spacing))[:, ::-1]
        matrix = np.concatenate([linear, np.array(self.origin)[:, None]], axis=1)
        matrix.flags.writeable = False
        return matrix

    @property
    def centre(self) -> np.ndarray:
        """The point in the middle of the grid, ``(ndim,)`` LPS mm."""
        return self.to_physical((np.array(self.shape) - 1) / 2)

    def to_physical(self, index: Any) -> np.ndarray:
        """Points of voxels.

        Args:
            index: ``(..., ndim)`` in voxels, in the order of the array's axes; fractions allowed.

        Returns:
            ``(..., ndim)`` float64, ``(x, y[, z])`` in LPS mm.
        """
        index = self._last_axis(index, "index")
        return index @ self.matrix[:, :-1].T + self.matrix[:, -1]

    def to_index(self, points: Any) -> np.ndarray:
        """Voxels of points: the inverse of ``to_physical``.

        Args:
            points: ``(..., ndim)``, ``(x, y[, z])`` in LPS mm.

        Returns:
            ``(..., ndim)`` float64 in voxels, in the order of the array's axes; outside the image
            where the points are.
        """
        points = self._last_axis(points, "points")
        return (points - self.matrix[:, -1]) @ self._inverse.T

    def matches(self, other: "Geometry", tolerance: float = 1e-3) -> bool:
        """Whether two grids are the same, but for rounding in a file's header.

        Args:
            other: the geometry to compare with.
            tolerance: how far the outer corners of the two grids may be apart, in voxels along
                each axis, and the elements of their directions.

        Returns:
            False also where the sizes differ.
        """
        if self.size != other.size:
            return False
        if np.abs(np.subtract(self.direction, other.direction)).max() > tolerance:
            return False
        corners = np.array(list(itertools.product(*((-0.5, n - 0.5) for n in self.shape))))
        return bool(np.abs(other.to_index(self.to_physical(corners)) - corners).max() <= tolerance)

    def resampled(
        self,
        spacing: Sequence[float] | float | None = None,
        size: Sequence[int] | None = None,
    ) -> "Geometry":
        """A grid over the same field of view, with the same centre and direction.

        Args:
            spacing: along x, y[, z] in mm, or one number for all. Alone, it is kept exactly and
                the size is rounded, so that the edges stay to within half a new voxel.
            size: voxels along x, y[, z]. Alone, the edges stay where they are. With ``spacing``,
                both are kept and the field of view follows, around the same centre.

        Raises:
            InputError: if neither is given or one is unusable.

        Example:
            >>> grid = Geometry.of_shape((3, 4)).resampled(spacing=0.5)
            >>> grid.size, grid.origin
            ((8, 6), (-0.25, -0.25))
        """
        if spacing is None and size is None:
            raise InputError("A spacing or a size is needed. Received: neither")
        if spacing is None:
            lengths = np.maximum(self._one_per_axis(size, "size"), 1)
            steps = np.array(self.extent) / lengths
        else:
            steps = self._one_per_axis(spacing, "spacing")
            if not (np.isfinite(steps) & (steps > 0)).all():
                raise InputError(f"spacing must be positive. Received: {spacing}")
        if size is None:
            counts = np.maximum(1, np.rint(np.array(self.extent) / steps))
            size = tuple(int(count) for count in counts)
        size = tuple(size)
        direction = np.array(self.direction)
        half = steps * (self._one_per_axis(size, "size") - 1) / 2
        return Geometry(size, tuple(steps), tuple(self.centre - direction @ half), self.direction)

    @cached_property
    def _inverse(self) -> np.ndarray:
        return np.linalg.inv(self.matrix[:, :-1])

    def _last_axis(self, values: Any, name: str) -> np.ndarray:
        values = np.asarray(values, dtype="float64")
        if values.ndim == 0 or values.shape[-1] != self.ndim:
            raise InputError(
                f"{name} must have a last dimension of {self.ndim}. "
                f"Received: {name}.shape={values.shape}"
            )
        return values

    def _one_per_axis(self, values: Any, name: str) -> np.ndarray:
        values = np.asarray(values, dtype="float64")
        if values.shape not in ((), (self.ndim,)):
            raise InputError(f"{name} needs {self.ndim} numbers. Received: {values.tolist()}")
        return np.broadcast_to(values, (self.ndim,))
