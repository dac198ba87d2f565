"""What every transform can do."""

import abc
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.masked import refuse_masked
from tfreg.transforms.sampling import check_sampling, sample

if TYPE_CHECKING:
    from tfreg.transforms.displacement import Displacement
    from tfreg.transforms.io import Saved

_SLAB = 1 << 19  # grid points mapped at a time: bounds the memory of large images


class Transform(abc.ABC):
    """A map of points of the fixed space to points of the moving space, in LPS millimetres.

    Attributes:
        ndim: 2 or 3.
        residual: how far the transform is from the exact one that it stands for, in mm: 0, but for
            numerical inverses, of which it is the largest distance measured between ``y`` and
            ``T(T^-1(y))``.
    """

    ndim: int
    residual: float = 0.0
    # Every transform can become a displacement and be written. What these are is defined above
    # this module, which `tfreg.transforms` tells.
    _sampled: ClassVar[Callable[..., "Displacement"]]
    _write: ClassVar[Callable[..., "Saved"]]

    def apply_points(self, points: Any) -> np.ndarray:
        """Takes points of the fixed image to where they are in the moving image.

        Args:
            points: ``(n, ndim)``, ``(x, y[, z])`` in LPS mm.

        Returns:
            ``(n, ndim)`` float64 in LPS mm.

        Raises:
            InputError: on another shape, or coordinates that are not finite.
        """
        return self._map(self._checked(points))

    def jacobian(self, points: Any) -> np.ndarray:
        """``J_ab = d T_a / d x_b`` at points.

        Args:
            points: ``(n, ndim)`` in LPS mm.

        Returns:
            ``(n, ndim, ndim)`` float64. Where the derivative jumps it is that of one side.

        Raises:
            InputError: as :meth:`apply_points`.
        """
        return self._jacobian(self._checked(points))

    def apply(
        self, image: Image, grid: Geometry, interpolation: str = "linear", fill: float = 0.0
    ) -> Image:
        """Warps the moving image onto a grid of the fixed space: ``moved(x) = moving(T(x))``.

        Args:
            image: the moving image.
            grid: geometry of the result, usually that of the fixed image.
            interpolation: "linear" or "cubic" for intensities, which give float32, or float64 where
                the image is. "nearest" or "label" for labels, which keep the dtype: the label of
                the nearest voxel, or the one with the most weight among the voxels around, whose
                borders are smoother.
            fill: the value outside the moving image, which ends half a voxel beyond its outer voxel
                centres.

        Raises:
            InputError: if dimensions differ, the interpolation is unknown, or the dtype cannot
                hold ``fill``.
        """
        if not isinstance(image, Image):
            raise InputError(f"A tfreg.image.Image is needed. Received: {type(image).__name__}")
        self._check_grid(grid)
        self._check_grid(image.geometry)
        source, dtype = check_sampling(image.array, interpolation, fill)
        array = np.empty(grid.shape, dtype)
        for rows, points in self._slabs(grid):
            index = image.geometry.to_index(points)
            array[rows] = sample(source, index, interpolation, fill).reshape(array[rows].shape)
        return Image(array, grid)

    def to_displacement(self, grid: Geometry) -> "Displacement":
        """The same map as displacements ``T(x) - x`` at the voxels of a grid.

        Args:
            grid: where the displacement lives; between its voxels it is interpolated linearly,
                outside it is zero.

        Raises:
            InputError: if the grid has another dimension.
        """
        self._check_grid(grid)
        field = np.empty((*grid.shape, grid.ndim))
        for rows, points in self._slabs(grid):
            field[rows] = (points - grid_points(grid, rows)).reshape(field[rows].shape)
        return self._sampled(field, grid)

    @abc.abstractmethod
    def inverse(self) -> "Transform":
        """The map of the moving space to the fixed space.

        Warns:
            InputWarning: if a numerical inverse is not exact to 0.001 mm where it was measured.
        """

    def save(
        self,
        path: str | os.PathLike,
        grid: Geometry | None = None,
        format: str | None = None,
    ) -> "Saved":
        """Writes the transform to a file, as :func:`tfreg.transforms.save`."""
        return self._write(path, grid, format)

    @abc.abstractmethod
    def _map(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        """``T(points)``; if ``continued``, without the jump at the border of a grid."""

    @abc.abstractmethod
    def _jacobian(self, points: np.ndarray, continued: bool = False) -> np.ndarray: ...

    def _samples(self) -> np.ndarray:
        """Points at which the transform is typical of itself; none for a linear one."""
        return np.empty((0, self.ndim))

    def _slabs(self, grid: Geometry) -> Iterator[tuple[slice, np.ndarray]]:
        """The mapped points ``(n, ndim)`` of a grid, some of its rows at a time."""
        for rows in slabs(grid):
            yield rows, self._map(grid_points(grid, rows))

    def _checked(self, points: Any) -> np.ndarray:
        refuse_masked(points, "points")
        try:
            points = np.asarray(points, dtype="float64")
        except (TypeError, ValueError) as error:
            raise InputError(f"points must be numbers: {error}.") from error
        if points.ndim != 2 or points.shape[1] != self.ndim:
            raise InputError(f"points must be (n, {self.ndim}). Received: shape={points.shape}")
        if not np.isfinite(points).all():
            raise InputError("points must be finite. Received: NaN or infinite coordinates")
        return points

    def _check_grid(self, grid: Geometry) -> None:
        if not isinstance(grid, Geometry) or grid.ndim != self.ndim:
            raise InputError(
                f"A {self.ndim}-D transform needs a {self.ndim}-D grid. Received: {grid}"
            )


def slabs(grid: Geometry) -> Iterator[slice]:
    """Slices along the first array axis, each of not many more than half a million points."""
    step = max(1, _SLAB // max(1, int(np.prod(grid.shape[1:]))))
    for start in range(0, grid.shape[0], step):
        yield slice(start, min(start + step, grid.shape[0]))


def grid_points(grid: Geometry, rows: slice) -> np.ndarray:
    """The points ``(n, ndim)`` of some rows of a grid, in LPS mm."""
    axes = [np.arange(rows.start, rows.stop), *(np.arange(size) for size in grid.shape[1:])]
    columns = grid.matrix[:, :-1].T
    total = grid.matrix[:, -1]
    for axis, (along, column) in enumerate(zip(axes, columns, strict=True)):
        shape = [1] * grid.ndim + [grid.ndim]
        shape[axis] = len(along)
        total = total + (along[:, None] * column).reshape(shape)
    return total.reshape(-1, grid.ndim)
