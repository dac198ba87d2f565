"""One level of an instance optimisation as compiled functions, kept per configuration.

All arguments that a user may change without another compilation (steps, learning rate, weight of
the regulariser, tolerance) are arguments of the compiled functions.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from keras import ops as keras_ops

from tfreg import features, ops
from tfreg.ops.backend import gather, held_value
from tfreg.ops.grid import identity_grid
from tfreg.registration.instance import adam, lbfgs
from tfreg.registration.instance.field_of_view import enough, shown
from tfreg.registration.instance.maps import (
    FreeFormTransform,
    GeodesicTransform,
    Grid,
    LinearTransform,
)
from tfreg.registration.instance.similarity import Similarity, similarity_of
from tfreg.registration.kinds import LINEAR

_MINIMISERS = {
    "adam": adam.minimiser,
    "descent": functools.partial(adam.minimiser, update=adam.descent),
    "lbfgs": lbfgs.minimiser,
}

Regulariser = str | Callable[[Any], Any] | None

_OTHERS: list[Any] = []


def forgettable(cached: Any) -> Any:
    """A cache of compiled functions of another module, which :func:`forget` empties, too."""
    _OTHERS.append(cached)
    return cached


@dataclass(frozen=True)
class Problem:
    """What decides how a level is compiled, beside the shapes.

    Attributes:
        transform: the transform on the grid of the level.
        similarity: the similarity.
        regulariser: ``"bending"``, ``"diffusion"``, a function of the displacement, or ``None``.
        fixed_mask, moving_mask: whether there is one.
        started: whether the map starts from a displacement, to which the transform is added (the
            map of a velocity or a momentum is applied before it).
        sampled: whether the similarity is that of some voxels.
        clipped: whether what the similarity sees of the moving image is no multiple of what was
            given.
        bounded: whether only what both images show counts, see
            :mod:`tfreg.registration.instance.field_of_view`.
        optimiser: one of ``OPTIMISERS``.
        symmetric: of a velocity, whether the fixed image, warped by its inverse, is compared with
            the moving one as well.
    """

    transform: LinearTransform | FreeFormTransform
    similarity: Similarity
    regulariser: Regulariser
    fixed_mask: bool
    moving_mask: bool
    started: bool
    sampled: bool
    clipped: bool = False
    bounded: bool = False
    optimiser: str = "adam"
    symmetric: bool = False

    @property
    def identity(self) -> str | None:
        """The problem in words, see :func:`tfreg.ops.backend.compiled`; none for functions, whose
        words do not say what they compute."""
        if callable(self.similarity) or callable(self.regulariser):
            return None
        return repr(self)

    def total(self, parameters: Any, start: Any, grid: Grid | None = None) -> Any:
        """The displacement of the transform together with what it started from."""
        return self.added(self.transform.displacement(parameters, grid), start)

    def added(self, field: Any, start: Any) -> Any:
        """A displacement of the transform together with what it started from."""
        if not self.started:
            return field
        if self.transform.kind in ("velocity", "lddmm"):
            return ops.compose(start, field)
        return start + field


def similarity(problem: Problem, displacement: Any, data: dict[str, Any]) -> Any:
    """Similarity of the fixed and the moved images within both masks.

    Where there is a mask of the moving image or the level is bounded, what lies outside that image
    does not count; else the moving image continues as at its border.
    """
    fixed, mask, weights = data["fixed"], data.get("fixed_mask"), None
    if problem.bounded:
        place = keras_ops.stop_gradient(displacement)
        weights = shown(data["bounds"], place, problem.transform.grid)
    if problem.sampled:
        points = identity_grid(displacement.shape[1:-1]) + displacement
        # The similarities expect spatial axes: a column of voxels has them.
        where, fixed, mask, weights = (
            None if values is None else _picked(values, data["voxels"])
            for values in (points, fixed, mask, weights)
        )
        warp = ops.sample
    else:
        where, warp = displacement, ops.resample
    moved = warp(data["moving"], where, image_gradient=False)
    if problem.similarity != "ncc":  # whose sums are made in the pass that samples
        moved = held_value(moved)
    if problem.moving_mask:
        mask = _within(mask, warp(data["moving_mask"], keras_ops.stop_gradient(where), **_OUTSIDE))
    compare = similarity_of(problem.similarity, True, problem.transform.grid.voxels)
    return _compared(compare, fixed, moved, mask, weights, data)


_OUTSIDE = {"mode": "constant", "image_gradient": False}  # of a mask: nothing lies there
_ROUNDING = 1e-5  # of a similarity
_STRAIN = 0.05  # that of a scale of 1.12 in a volume, which a linear transform has for nothing
_WORST = -1e3  # below what any similarity can be


def _compared(
    compare: Callable, fixed: Any, moved: Any, mask: Any, weights: Any, data: dict[str, Any]
) -> Any:
    """Similarity within a mask and, where there are any, the weights of what both images show; of
    less than the least share the worst value: fewer and fewer voxels agree ever more easily."""
    if weights is None:
        return _defined(compare(fixed, moved, mask), mask)
    within = _within(mask, weights)
    values = _defined(compare(fixed, moved, within), within)
    return keras_ops.where(enough(weights, data["least"]), values, _WORST)


def _defined(values: Any, mask: Any) -> Any:
    """Where no voxel is left to compare, the worst value: no overlap is no answer."""
    if mask is None:
        return values
    some = keras_ops.sum(mask, axis=tuple(range(1, len(mask.shape)))) > 0
    return keras_ops.where(some, values, _WORST)


def swapped(problem: Problem, data: dict[str, Any]) -> tuple[Problem, dict[str, Any]]:
    """The problem seen from the moving image, as it lies where the level starts."""
    fixed, start = data["fixed"], data.get("start")
    if start is None:
        start = keras_ops.zeros((*fixed.shape[:-1], problem.transform.grid.ndim), fixed.dtype)
    mask = None
    if problem.moving_mask:
        mask = ops.resample(data["moving_mask"], start, **_OUTSIDE)
    if problem.bounded:
        weights = shown(data["bounds"], start, problem.transform.grid)
        mask = weights if mask is None else mask * weights
    found = {"fixed": ops.resample(data["moving"], start, image_gradient=False), "moving": fixed}
    if mask is not None:
        found["fixed_mask"] = mask
    if problem.fixed_mask:
        found["moving_mask"] = data["fixed_mask"]
    return replace(problem, moving_mask=problem.fixed_mask, bounded=False), found


def _within(mask: Any, moved_mask: Any) -> Any:
    return moved_mask if mask is None else mask * moved_mask


def _picked(values: Any, voxels: Any) -> Any:
    """Some voxels of each item of a batch, as a column ``(batch, voxels, 1(, 1), channels)``."""
    *space, channels = values.shape[1:]
    size, (batch, count) = math.prod(space), voxels.shape
    index = voxels + size * keras_ops.arange(batch, dtype="int32")[:, None]
    chosen = gather(keras_ops.reshape(values, (-1, channels)), keras_ops.reshape(index, (-1,)))
    return keras_ops.reshape(chosen, (batch, count, *(1,) * (len(space) - 1), channels))


@functools.lru_cache(maxsize=64)
def shrink(factors: tuple[int, ...], smoothing: float) -> Callable:
    """Compiled: images, then masks, to the grid of a level."""

    def run(fixed: Any, moving: Any, *masks: Any) -> tuple[Any, ...]:
        found = [ops.downsample(image, factors) for image in (fixed, moving, *masks)]
        if smoothing:  # a mask keeps its border
            found[:2] = [ops.smooth(image, (smoothing,) * len(factors)) for image in found[:2]]
        return tuple(found)

    return ops.compiled(run, identity=f"shrink {factors} {smoothing}")


@functools.lru_cache(maxsize=64)
def described(shrinks: tuple[tuple[int, ...], ...]) -> Callable:
    """Compiled: the descriptors of images on several grids, by the factors of these.

    One function for every set of grids, so that it is known whether its parts were compiled.
    """

    def run(images: Any) -> tuple[Any, ...]:
        found = features.mind_ssc_on_grids(images, shrinks)
        return tuple(found[shrink] for shrink in shrinks)

    return run


@functools.lru_cache(maxsize=64)
def shrink_displacement(factors: tuple[int, ...]) -> Callable:
    """Compiled: a displacement on the full grid to the grid of a level, in its voxels."""

    return ops.compiled(
        functools.partial(_shrunk, factors=factors), identity=f"shrink displacement {factors}"
    )


def _shrunk(displacement: Any, factors: tuple[int, ...]) -> Any:
    small = ops.downsample(displacement, factors)
    return small / keras_ops.convert_to_tensor(factors, small.dtype)


@functools.lru_cache(maxsize=64)
def descent(problem: Problem, names: tuple[str, ...]) -> Callable:
    """Compiled: the whole loop of a level, see :func:`tfreg.registration.instance.adam.minimiser`.

    A momentum whose map comes near to folding has the worst of values, so that none is accepted;
    before it there is a wall that a descent sees from afar.

    Args:
        problem: the level.
        names: names of the data, in the order of the arguments after ``weight``.
    """

    def objective(parameters: Any, weight: Any, *values: Any) -> Any:
        data = dict(zip(names, values, strict=True))
        field = problem.transform.displacement(parameters)
        displacement = problem.added(field, data.get("start"))
        value = -similarity(problem, displacement, data)
        if problem.symmetric:
            back = problem.transform.displacement(-parameters)
            other, seen = swapped(problem, data)
            value = (value - similarity(other, back, seen)) / 2
        if isinstance(problem.transform, GeodesicTransform):
            folded = problem.transform.folded(keras_ops.stop_gradient(field))
            value = keras_ops.where(folded, -_WORST, value + problem.transform.wall(field))
        if problem.bounded and problem.transform.kind in LINEAR:
            # The border no longer holds an image in place, and a small part agrees more easily.
            excess = keras_ops.maximum(problem.transform.strain(parameters) - _STRAIN, 0.0)
            value = value + keras_ops.where(data["least"] > 0, excess, 0.0)
        if problem.regulariser is None:
            return value
        if callable(problem.regulariser):
            return value + weight * problem.regulariser(displacement)
        return value + weight * problem.transform.roughness(problem.regulariser, parameters)

    identity = problem.identity and f"descent {problem.identity} {names}"
    return _MINIMISERS[problem.optimiser](objective, identity)


@functools.lru_cache(maxsize=64)
def finer_parameters(coarser: Any, finer: Any) -> Callable:
    """Compiled: parameters of one level to those of the next."""

    def run(parameters: Any) -> Any:
        return finer.from_coarser(coarser, parameters)

    return ops.compiled(run, identity=f"refinement {coarser} {finer}")


@functools.lru_cache(maxsize=64)
def matrix(transform: LinearTransform, full: Grid) -> Callable:
    """Compiled: parameters of a linear transform to ``[A | b]`` in voxels of the full grid."""

    def run(parameters: Any) -> Any:
        return transform.matrix(parameters, full)

    return ops.compiled(run, identity=f"matrix {transform} {full}")


@functools.lru_cache(maxsize=64)
def folded(transform: GeodesicTransform, grid: Grid) -> Callable:
    """Compiled: whether the map of parameters comes near to folding on a grid, ``(batch,)``."""

    def run(parameters: Any) -> Any:
        return transform.folded(transform.displacement(parameters, grid))

    return ops.compiled(run, identity=f"folded {transform} {grid}")


@functools.lru_cache(maxsize=64)
def momentum(transform: GeodesicTransform, full: Grid) -> Callable:
    """Compiled: parameters to momenta on the full grid, zero where the map was left out."""

    def run(parameters: Any, displacement: Any, start: Any) -> Any:
        return _kept(transform.momentum(parameters, full), displacement, start)

    return ops.compiled(run, identity=f"momentum {transform} {full}")


@functools.lru_cache(maxsize=64)
def velocity(transform: FreeFormTransform, full: Grid) -> Callable:
    """Compiled: parameters to the velocity on the full grid, zero where the map was left out."""

    def run(parameters: Any, displacement: Any, start: Any) -> Any:
        return _kept(transform.field(parameters, full), displacement, start)

    return ops.compiled(run, identity=f"velocity {transform} {full}")


def _kept(found: Any, displacement: Any, start: Any) -> Any:
    axes = tuple(range(1, len(displacement.shape)))
    kept = keras_ops.any(displacement != start, axis=axes, keepdims=True)
    return keras_ops.where(kept, found, keras_ops.zeros_like(found))


@functools.lru_cache(maxsize=64)
def conclusion(
    problem: Problem, full: Grid, names: tuple[str, ...], judging: Grid | None = None
) -> Callable:
    """Compiled: displacement on the full grid, similarity before and after, accepted, moved image.

    Where the similarity got worse or is not a number, the displacement is the start's. Bounded, it
    is that where both the start and the end show both images.

    Args:
        problem: the last level.
        full: the full grid.
        names: names of the data; ``moving`` has its own intensities, of which ``scale`` times those
            above ``low`` are what the similarity sees; where that was clipped, it sees ``unit``.
        judging: the grid of all that the similarity sees, which then is ``unit``; ``None``: the
            full one.
    """
    seen = judging or full
    factors = seen.shrink if max(seen.shrink) > 1 else None

    def run(parameters: Any, *values: Any) -> tuple[Any, ...]:
        data = dict(zip(names, values, strict=True))
        compare = similarity_of(problem.similarity, spacing=seen.voxels)

        def judged(moved: Any, displacement: Any, weights: Any) -> Any:
            mask = data.get("fixed_mask")
            if problem.moving_mask:
                mask = _within(mask, ops.resample(data["moving_mask"], displacement, **_OUTSIDE))
            unit = (moved - data["low"]) * data["scale"]
            if problem.clipped:
                unit = ops.resample(data["unit"], displacement)
            return _compared(compare, data["fixed"], unit, mask, weights, data)

        total = problem.total(parameters, data.get("start"), full)
        start = data["start"] if problem.started else keras_ops.zeros_like(total)
        unmoved = data["moving"]
        if problem.started or tuple(unmoved.shape[1:-1]) != full.shape:
            unmoved = ops.resample(unmoved, start)
        moved = ops.resample(data["moving"], total)
        ends = [(unmoved, start), (moved, total)]
        if factors:
            ends = [(image, _shrunk(displacement, factors)) for image, displacement in ends]
        if problem.bounded:
            weights = [shown(data["bounds"], displacement, seen) for _, displacement in ends]
            common = weights[0] * weights[1]
            before, after = (judged(*end, w) for end, w in zip(ends, weights, strict=True))
            gain = judged(*ends[1], common) - judged(*ends[0], common)
        else:
            before, after = (judged(*end, None) for end in ends)
            gain = after - before
        finite = keras_ops.isfinite(after)
        better = keras_ops.logical_and(gain >= 0, finite)
        # Where nothing could be gained, rounding may take a little: that is no failure.
        accepted = keras_ops.logical_and(gain >= -_ROUNDING, finite)
        chosen = keras_ops.reshape(better, (-1,) + (1,) * (len(total.shape) - 1))
        displacement = keras_ops.where(chosen, total, start)
        after = keras_ops.where(better, after, before)
        return displacement, before, after, accepted, keras_ops.where(chosen, moved, unmoved)

    identity = problem.identity and f"conclusion {problem.identity} {full} {names} {factors}"
    return ops.compiled(run, identity=identity)


def forget() -> None:
    """Drops all compiled functions of :func:`tfreg.registration.register`, of demons and of
    matching, and their memory.

    They are kept for every shape and setting that was met; the next registration compiles its own
    again. For a process that registers images of ever new sizes.
    """
    functions = (shrink, shrink_displacement, descent, finer_parameters, matrix, momentum, folded)
    for function in (*functions, described, velocity, conclusion, *_OTHERS):
        function.cache_clear()
    features.forget_descriptors()
    ops.forget_geodesics()
