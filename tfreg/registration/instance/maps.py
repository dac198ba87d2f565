"""Transforms as instance optimisation sees them: parameters to a displacement on a level's grid.

Parameters are counted in voxels of the level, so that one learning rate serves all of them. A level
whose images are shrunk by ``f`` has its voxel ``j`` at ``f j + (f - 1) / 2`` of the full grid.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import losses, ops
from tfreg.losses.means import mean
from tfreg.ops.bspline import refine_bspline
from tfreg.registration.kinds import LINEAR

_LEAST_DETERMINANT = 0.1  # of a map that is accepted as a diffeomorphism
# Where a wall begins that keeps a path from there, and its height beside a similarity: with the
# refusal alone a descent soon stands before it and finds no way along. Chosen on validation pairs.
_WALL, _HEIGHT = 0.7, 3.0


@dataclass(frozen=True)
class Grid:
    """The grid of one level.

    Attributes:
        full: spatial shape of the fixed image.
        shrink: factor per axis.
        spacing: size of a voxel of the fixed image per axis.
    """

    full: tuple[int, ...]
    shrink: tuple[int, ...]
    spacing: tuple[float, ...]

    @property
    def ndim(self) -> int:
        return len(self.full)

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape of the level."""
        return tuple(-(-n // f) for n, f in zip(self.full, self.shrink, strict=True))

    @property
    def voxels(self) -> tuple[float, ...]:
        """The edges of a voxel of the level."""
        return tuple(f * s for f, s in zip(self.shrink, self.spacing, strict=True))

    @property
    def voxel(self) -> float:
        """The smallest of them."""
        return min(self.voxels)


@dataclass(frozen=True)
class LinearTransform:
    """Translation, rigid, similarity or affine, about the centre of the fixed image.

    Rotation, scaling and shearing act in physical space, so a rotation of anisotropic voxels is
    one. One unit of such a parameter moves the border of the image by about one voxel.
    """

    kind: str
    grid: Grid

    def start(self, batch: int) -> np.ndarray:
        count = sum(ops.parameter_sizes(self.kind, self.grid.ndim).values())
        return np.zeros((batch, count), "float32")

    def from_coarser(self, coarser: "LinearTransform", parameters: Any) -> Any:
        """The same map in voxels of this level."""
        return parameters * (coarser.grid.voxel / self.grid.voxel)

    def matrix(self, parameters: Any, grid: Grid) -> Any:
        """``[A | b]`` in voxels of ``grid``, from parameters in voxels of this level."""
        ndim = grid.ndim
        physical = self._physical(parameters)
        size = np.array(grid.shrink) * np.array(grid.spacing)
        centre = ((np.array(grid.full) - 1) / 2 - (np.array(grid.shrink) - 1) / 2) / grid.shrink

        def constant(array: Any) -> Any:
            return keras_ops.convert_to_tensor(array, parameters.dtype)

        linear = physical[:, :, :ndim] * constant(size[None, None] / size[None, :, None])
        shift = physical[:, :, ndim] / constant(size)
        turned = keras_ops.sum(linear * constant(centre), axis=-1)
        offset = constant(centre) + shift - turned
        return keras_ops.concatenate([linear, offset[..., None]], axis=-1)

    def strain(self, parameters: Any) -> Any:
        """``|A^T A - 1|^2 / 4`` of the linear part in physical space, ``(batch,)``: 0 for a
        rotation, three times the square of a small change of scale in a volume."""
        linear = self._physical(parameters)[:, :, : self.grid.ndim]
        squared = keras_ops.sum(linear[:, :, :, None] * linear[:, :, None, :], axis=1)
        difference = squared - keras_ops.eye(self.grid.ndim, dtype=squared.dtype)
        return keras_ops.sum(difference * difference, axis=(1, 2)) / 4

    def _physical(self, parameters: Any) -> Any:
        """``[A | b]`` about the centre, in the unit of the spacing."""
        grid, ndim = self.grid, self.grid.ndim
        radius = max(n * s for n, s in zip(grid.full, grid.spacing, strict=True)) / 2
        scale = np.full(parameters.shape[-1], self.grid.voxel / radius)
        scale[:ndim] = self.grid.voxel  # the translation, in the unit of the spacing
        # About the origin and in that unit: a grid of one voxel has its centre there.
        scaled = parameters * keras_ops.convert_to_tensor(scale, parameters.dtype)
        return ops.linear_matrix(scaled, self.kind, (1,) * ndim)

    def displacement(self, parameters: Any, grid: Grid | None = None) -> Any:
        """In voxels of ``grid``, which is this level's or the full one."""
        grid = grid or self.grid
        return ops.linear_displacement(self.matrix(parameters, grid), grid.shape)


@dataclass(frozen=True)
class FreeFormTransform:
    """A displacement (``bspline``, ``dense``) or stationary velocity as a spline of control points.

    Attributes:
        kind: ``"bspline"`` (cubic), ``"dense"`` (a control point per voxel of the level, linear
            between them) or ``"velocity"`` (a cubic spline, exponentiated); and of its subclass
            ``"lddmm"``.
        grid: the level.
        spacing: voxels of the level between control points, per axis.
    """

    kind: str
    grid: Grid
    spacing: tuple[int, ...]

    @property
    def order(self) -> int:
        return 1 if self.kind in ("dense", "lddmm") else 3

    @property
    def control_points(self) -> tuple[int, ...]:
        """Shape of the grid of control points."""
        return tuple(-(-n // s) for n, s in zip(self.grid.shape, self.spacing, strict=True))

    def start(self, batch: int) -> np.ndarray:
        return np.zeros((batch, *self.control_points, self.grid.ndim), "float32")

    def from_coarser(self, coarser: "FreeFormTransform", parameters: Any) -> Any:
        """The spline of this level that agrees with the coarser one at the new control points."""
        old = [f * s for f, s in zip(coarser.grid.shrink, coarser.spacing, strict=True)]
        new = [f * s for f, s in zip(self.grid.shrink, self.spacing, strict=True)]
        refined = refine_bspline(parameters, old, new, self.control_points, "edge", self.order)
        ratio = np.array(coarser.grid.shrink) / np.array(self.grid.shrink)
        return refined * keras_ops.convert_to_tensor(ratio, parameters.dtype)

    def field(self, parameters: Any, grid: Grid | None = None) -> Any:
        """The spline in voxels of ``grid``, which is this level's or the full one."""
        grid = grid or self.grid
        ratio = [f // g for f, g in zip(self.grid.shrink, grid.shrink, strict=True)]
        spacing = [s * r for s, r in zip(self.spacing, ratio, strict=True)]
        field = ops.bspline_displacement(parameters, spacing, "edge", self.order, grid.shape)
        if max(ratio) > 1:
            field = field * keras_ops.convert_to_tensor(ratio, field.dtype)
        return field

    def displacement(self, parameters: Any, grid: Grid | None = None) -> Any:
        """In voxels of ``grid``, which is this level's or the full one; of a velocity, that of
        negative parameters is the inverse."""
        field = self.field(parameters, grid)
        return ops.flow(field) if self.kind == "velocity" else field

    def roughness(self, regulariser: str, parameters: Any) -> Any:
        """The regulariser, in units of control cells: it knows neither voxels nor resolution.

        Bending energy is that of the control points, exact; diffusion that of their differences.
        """
        cells = parameters / keras_ops.convert_to_tensor(self.spacing, parameters.dtype)
        if regulariser == "bending" and self.order == 3:
            return losses.bspline_bending_energy(cells, (1,) * self.grid.ndim, "edge")
        if regulariser == "bending":
            return losses.bending_energy(cells)
        if min(self.control_points) > 1:
            return losses.diffusion(cells)
        # Along an axis of one control point nothing differs: twice the same point says so.
        twice = [(0, 0), *((0, int(n == 1)) for n in self.control_points), (0, 0)]
        return losses.diffusion(keras_ops.pad(cells, twice, "symmetric"))


@dataclass(frozen=True)
class GeodesicTransform(FreeFormTransform):
    """LDDMM: the map at the end of the geodesic of an initial momentum per voxel of the level.

    Parameters are momenta in units of the operator's ``c``: the velocity, in voxels of the level,
    that they would have if they were constant. So they go from level to level as displacements do.
    """

    operator: ops.FluidOperator = ops.FluidOperator()  # noqa: RUF009 - frozen
    time_steps: int = 10

    def momentum(self, parameters: Any, grid: Grid | None = None) -> Any:
        """As :func:`tfreg.ops.shoot` takes it on ``grid``, this level's or the full one."""
        square = np.square((grid or self.grid).voxels) * self.operator.c
        field = self.field(parameters, grid)
        return field * keras_ops.convert_to_tensor(square, field.dtype)

    def displacement(self, parameters: Any, grid: Grid | None = None) -> Any:
        """In voxels of ``grid``, which is this level's or the full one."""
        voxels = (grid or self.grid).voxels
        momentum = self.momentum(parameters, grid)
        return ops.shoot(momentum, voxels, self.operator, self.time_steps)

    def roughness(self, regulariser: str, parameters: Any) -> Any:
        """The energy of the path, ``<m, K m> / 2`` per voxel, whatever the name."""
        momentum = self.momentum(parameters)
        velocity = ops.fluid_velocity(
            keras_ops.stop_gradient(momentum), self.grid.voxels, self.operator
        )
        # K is its own adjoint: with the velocity held, the gradient is that of the energy.
        pairing = mean(momentum * velocity)
        held = keras_ops.stop_gradient(pairing)
        return self.grid.ndim * (pairing - 0.5 * held)

    def wall(self, displacement: Any) -> Any:
        """``3 mean(max(0.7 - det, 0)^2)``, ``(batch,)``: what turns a path off before it folds."""
        missing = keras_ops.relu(_WALL - ops.jacobian_determinant(displacement))
        axes = tuple(range(1, len(missing.shape)))
        return _HEIGHT * keras_ops.mean(missing * missing, axis=axes)

    def folded(self, displacement: Any) -> Any:
        """Whether the map of each problem comes near to folding, where no path may lead."""
        determinant = ops.jacobian_determinant(displacement)
        axes = tuple(range(1, len(determinant.shape)))
        return keras_ops.min(determinant, axis=axes) < _LEAST_DETERMINANT


def transform_of(kind: str, grid: Grid, grid_spacing: float | None) -> Any:
    """The transform of one level.

    Args:
        kind: one of ``TRANSFORMS``.
        grid: the grid of the level.
        grid_spacing: distance of control points in the unit of the voxels' size.
    """
    if kind in LINEAR:
        return LinearTransform(kind, grid)
    if kind == "lddmm":
        return GeodesicTransform(kind, grid, (1,) * grid.ndim)
    if kind == "dense" or grid_spacing is None:
        count = 1 if kind == "dense" else 4
        return FreeFormTransform(kind, grid, (count,) * grid.ndim)
    sizes = (f * s for f, s in zip(grid.shrink, grid.spacing, strict=True))
    spacing = tuple(max(1, math.floor(grid_spacing / size + 0.5)) for size in sizes)
    return FreeFormTransform(kind, grid, spacing)
