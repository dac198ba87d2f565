"""One level of an instance optimisation as compiled functions, kept per configuration.

All arguments that a user may change without another compilation (steps, learning rate, weight of
the regulariser, tolerance) are arguments of the compiled functions.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import ops as keras_ops

from tfreg import ops
from tfreg.ops.grid import identity_grid
from tfreg.optimise import minimiser
from tfreg.registration.similarity import similarity_of
from tfreg.registration.transforms import FreeFormTransform, Grid, LinearTransform


@dataclass(frozen=True)
class Problem:
    """What decides how a level is compiled, beside the shapes.

    Attributes:
        transform: the transform on the grid of the level.
        similarity: name of the similarity.
        regulariser: ``"bending"``, ``"diffusion"`` or ``None``.
        fixed_mask, moving_mask: whether there is one.
        started: whether the map starts from a displacement, to which the transform is added (a
            velocity's map is applied before it).
        sampled: whether the similarity is that of some voxels.
    """

    transform: LinearTransform | FreeFormTransform
    similarity: str
    regulariser: str | None
    fixed_mask: bool
    moving_mask: bool
    started: bool
    sampled: bool

    def total(self, parameters: Any, start: Any, grid: Grid | None = None) -> Any:
        """The displacement of the transform together with what it started from."""
        field = self.transform.displacement(parameters, grid)
        if not self.started:
            return field
        velocity = getattr(self.transform, "kind", None) == "velocity"
        return ops.compose(start, field) if velocity else start + field


def similarity(
    problem: Problem, displacement: Any, data: dict[str, Any], quick: bool = False
) -> Any:
    """Similarity of the fixed and the moved images within both masks.

    Where there is a mask of the moving image, what lies outside that image does not count; else the
    moving image continues as at its border.
    """
    fixed, moving = data["fixed"], data["moving"]
    mask = data.get("fixed_mask")
    mode = "constant" if problem.moving_mask else "border"
    if problem.moving_mask:
        moving = keras_ops.concatenate([moving, data["moving_mask"]], axis=-1)
    if problem.sampled:
        ndim = displacement.shape[-1]
        points = identity_grid(displacement.shape[1:-1]) + displacement
        points = keras_ops.take(_flat(points), data["voxels"], axis=1)
        moved = ops.sample(moving, points, mode=mode)
        fixed = keras_ops.take(_flat(fixed), data["voxels"], axis=1)
        if mask is not None:
            mask = keras_ops.take(_flat(mask), data["voxels"], axis=1)
        # The similarities expect spatial axes: a single row of voxels has them.
        extra = (1,) * (ndim - 1)
        fixed, moved, mask = (
            None if v is None else keras_ops.reshape(v, (-1, *extra, v.shape[1], v.shape[-1]))
            for v in (fixed, moved, mask)
        )
    else:
        moved = ops.resample(moving, displacement, mode=mode)
    if problem.moving_mask:
        inside = keras_ops.stop_gradient(moved[..., 1:])
        moved = moved[..., :1]
        mask = inside if mask is None else mask * inside
    return similarity_of(problem.similarity, quick)(fixed, moved, mask=mask)


def _flat(values: Any) -> Any:
    size = 1
    for n in values.shape[1:-1]:
        size *= n
    return keras_ops.reshape(values, (-1, size, values.shape[-1]))


@functools.lru_cache(maxsize=64)
def shrink(factors: tuple[int, ...], smoothing: float) -> Callable:
    """Compiled: images or masks ``(batch, *spatial, 1)`` to the grid of a level."""

    def run(*images: Any) -> tuple[Any, ...]:
        found = []
        for image in images:
            small = ops.downsample(image, factors)
            found.append(ops.smooth(small, (smoothing,) * len(factors)) if smoothing else small)
        return tuple(found)

    return ops.compiled(run)


@functools.lru_cache(maxsize=64)
def shrink_displacement(factors: tuple[int, ...]) -> Callable:
    """Compiled: a displacement on the full grid to the grid of a level, in its voxels."""

    def run(displacement: Any) -> Any:
        small = ops.downsample(displacement, factors)
        return small / keras_ops.convert_to_tensor(factors, small.dtype)

    return ops.compiled(run)


@functools.lru_cache(maxsize=64)
def descent(problem: Problem, names: tuple[str, ...]) -> Callable:
    """Compiled: the whole loop of a level, see :func:`tfreg.optimise.minimiser`.

    Args:
        problem: the level.
        names: names of the data, in the order of the arguments after ``weight``.
    """

    def objective(parameters: Any, weight: Any, *values: Any) -> Any:
        data = dict(zip(names, values, strict=True))
        displacement = problem.total(parameters, data.get("start"))
        value = -similarity(problem, displacement, data, quick=True)
        if problem.regulariser is None:
            return value
        return value + weight * problem.transform.roughness(problem.regulariser, parameters)

    return minimiser(objective)


@functools.lru_cache(maxsize=64)
def refinement(coarser: Any, finer: Any) -> Callable:
    """Compiled: parameters of one level to those of the next."""
    return ops.compiled(lambda parameters: finer.from_coarser(coarser, parameters))


@functools.lru_cache(maxsize=64)
def conclusion(problem: Problem, full: Grid, names: tuple[str, ...]) -> Callable:
    """Compiled: the displacement on the full grid, similarity before and after, the moved image.

    Where the similarity got worse or is not a number, the displacement is the start's.

    Args:
        problem: the last level; the data are those of the full grid.
        full: the full grid.
        names: names of the data; ``raw`` is the moving image in its own intensities.
    """

    def run(parameters: Any, *values: Any) -> tuple[Any, ...]:
        data = dict(zip(names, values, strict=True))
        total = problem.total(parameters, data.get("start"), full)
        start = data["start"] if problem.started else keras_ops.zeros_like(total)
        before = similarity(problem, start, data)
        after = similarity(problem, total, data)
        better = keras_ops.logical_and(after >= before, keras_ops.isfinite(after))
        chosen = keras_ops.reshape(better, (-1,) + (1,) * (len(total.shape) - 1))
        displacement = keras_ops.where(chosen, total, start)
        after = keras_ops.where(better, after, before)
        return displacement, before, after, better, ops.resample(data["raw"], displacement)

    return ops.compiled(run)
