"""Running the levels of an instance optimisation: the plan, its compilation, the descent."""

import contextlib
import math
import os
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from keras import ops as keras_ops

from tfreg.features import PAIRS
from tfreg.ops.backend import is_compiling
from tfreg.registration.answer import LevelReport
from tfreg.registration.instance import level as levels
from tfreg.registration.instance import memory
from tfreg.registration.instance.field_of_view import View
from tfreg.registration.instance.folding import shortened
from tfreg.registration.instance.level import Problem, Regulariser
from tfreg.registration.instance.maps import GeodesicTransform, Grid, transform_of
from tfreg.registration.instance.pyramid import Level, Pyramid
from tfreg.registration.instance.seen import Seen
from tfreg.registration.instance.similarity import Similarity, depth, names_of, scaled_for
from tfreg.registration.kinds import LINEAR
from tfreg.registration.path import FlowPath, GeodesicPath

Sizes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Stage:
    """One transform of a sequence.

    Attributes:
        steps: its levels, each with what it compiles to.
        tolerance: as in :class:`Pyramid`.
        full: the grid of the fixed image.
    """

    steps: tuple[tuple[Problem, Level], ...]
    tolerance: float
    full: Grid

    @property
    def problem(self) -> Problem:
        """The last level, seen on all voxels."""
        return replace(self.steps[-1][0], sampled=False)

    @property
    def linear(self) -> bool:
        """Whether its transform is."""
        return self.problem.transform.kind in LINEAR


def plan(
    kinds: tuple[str, ...],
    pyramids: tuple[Pyramid, ...],
    sizes: Sizes,
    spacing: tuple[float, ...],
    similarity: Similarity,
    regulariser: Regulariser,
    started: bool,
    samples: int | None,
    bounded: tuple[bool, ...],
    replaced: bool,
    symmetric: bool = False,
) -> tuple[Stage, ...]:
    """The stages of a registration; from the second on each starts from a displacement.

    Args:
        kinds, pyramids: names of the transforms, and the levels of each.
        sizes: spatial shape of each image and mask by name.
        spacing: size of a voxel.
        similarity, regulariser, samples: as in :func:`tfreg.registration.register`.
        started: whether the first stage starts from a displacement.
        bounded: whether each transform is likely to be bounded, see :class:`View`.
        replaced: whether the similarity sees another moving image than the one that is moved.
        symmetric: whether velocities are found in both directions.
    """
    masks = {name: name in sizes for name in ("fixed_mask", "moving_mask")}
    names = names_of(similarity)
    clips = masks["moving_mask"] or (masks["fixed_mask"] and "mse" in names) or "mind" in names
    shape = sizes["fixed"]
    full = Grid(shape, (1,) * len(shape), spacing)
    stages = []
    for index, (kind, pyramid) in enumerate(zip(kinds, pyramids, strict=True)):
        steps = []
        for level in pyramid.levels:
            grid = replace(full, shrink=level.shrink_of(full.ndim))
            problem = Problem(
                transform=transform_of(kind, grid, level.grid_spacing),
                similarity=similarity,
                regulariser=None if kind in LINEAR else regulariser,
                **masks,
                started=started or index > 0,
                sampled=samples is not None,
                clipped=replaced or bool(names and clips),
                bounded=bounded[index],
                optimiser=level.optimiser_of(kind),
                symmetric=symmetric and kind == "velocity",
            )
            steps.append((problem, level))
        stages.append(Stage(tuple(steps), pyramid.tolerance, full))
    return tuple(stages)


def _judging(stages: tuple[Stage, ...]) -> Grid:
    """The grid on which stages are judged: of intensities the full one, of descriptors, which
    would fill the memory there, the finest of a level."""
    full = stages[0].full
    if "mind" not in names_of(stages[0].problem.similarity):
        return full
    return replace(full, shrink=tuple(map(min, zip(*_shrinks(stages), strict=True))))


def _shrinks(stages: tuple[Stage, ...]) -> list[tuple[int, ...]]:
    return [problem.transform.grid.shrink for stage in stages for problem, _ in stage.steps]


def descend(
    stages: tuple[Stage, ...],
    images: dict[str, np.ndarray],
    moving: np.ndarray,
    view: View,
    displacement: Any,
    voxels: dict[tuple[int, ...], np.ndarray],
    clock: "Clock",
    progress: Callable[[LevelReport], Any] | None,
    origin: np.ndarray | None = None,
) -> tuple[tuple[np.ndarray, ...], tuple[LevelReport, ...], GeodesicPath | FlowPath | None]:
    """Runs all stages.

    Args:
        stages: the plan.
        images: images and masks as the similarity is to see them.
        moving: the moving images, which are moved in the end.
        view: what both images show.
        displacement: where the first stage starts, or ``None``.
        voxels: of :func:`draw`.
        clock: what the time is taken with.
        progress: called after each level.
        origin: the displacement at which the similarity before is taken; ``None``: the start.

    Returns:
        Displacement, similarity before and after, whether each stage was accepted
        ``(stages, batch)``, and the moved images; the reports of the levels; and the path of the
        last stage, where that is an LDDMM or a velocity.
    """
    similarity, judging = stages[0].problem.similarity, _judging(stages)
    scaled, (low, scale) = scaled_for(similarity, images)
    seen = Seen.of(similarity, {**images, **scaled}, [*_shrinks(stages), judging.shrink])
    judged = seen.on(judging.shrink)
    whole = {**judged, "moving": moving, "low": low, "scale": scale.astype("float32")}
    if stages[0].problem.clipped:
        whole["unit"] = judged["moving"]
    initial = displacement if origin is None else origin
    accepted, first, anywhere = [], None, False
    reports: list[LevelReport] = []
    for stage in stages:
        previous, bounds = None, view.at(displacement, stage.linear)
        parameters = stage.steps[0][0].transform.start(len(low))
        for problem, level in stage.steps:
            if previous is not None:
                refine = levels.finer_parameters(previous.transform, problem.transform)
                parameters = refine(parameters)
                parameters = _unfolded(problem.transform, problem.transform.grid, parameters, clock)
                bounds = _seen(view, stage, displacement, problem, parameters, bounds)
            problem = replace(problem, bounded=bool(bounds))
            begin = clock.seconds
            data = _on_grid(problem.transform.grid, level, seen, displacement)
            if problem.sampled:
                data["voxels"] = voxels[problem.transform.grid.shrink]
            data |= bounds
            settings = (level.steps, level.learning_rate, level.decay, stage.tolerance)
            run = levels.descent(problem, tuple(data))
            rest = parameters, np.float32(level.weight), *data.values()
            clock.prepare([(run, (*_NO_STEP, *rest))])
            parameters, after, before, taken = run(*_settings(*settings), *rest)
            previous = problem
            report = LevelReport(
                transform=problem.transform.kind,
                shape=problem.transform.grid.shape,
                steps=keras_ops.convert_to_numpy(taken),
                loss_before=keras_ops.convert_to_numpy(before),
                loss_after=keras_ops.convert_to_numpy(after),
                seconds=clock.seconds - begin,
            )
            reports.append(report)
            if progress is not None:
                with clock.stopped():
                    progress(report)
        parameters = _unfolded(previous.transform, stage.full, parameters, clock)
        bounds = _seen(view, stage, displacement, previous, parameters, bounds)
        data = dict(whole) if displacement is None else {**whole, "start": displacement}
        data |= bounds
        problem = replace(stage.problem, bounded=bool(bounds))
        finish = levels.conclusion(problem, stage.full, tuple(data), judging)
        clock.prepare([(finish, (parameters, *data.values()))])
        if first is None and origin is not None:
            there = {**data, "start": origin}
            first = finish(problem.transform.start(len(low)), *there.values())[1]
        started = data.get("start")
        displacement, before, after, better, moved = finish(parameters, *data.values())
        accepted.append(better)
        first, anywhere = before if first is None else first, anywhere or bool(bounds)
    if anywhere and len(stages) > 1:
        # Each stage was judged where it looked: the first value is to be that of the last one.
        data["start"] = np.zeros(displacement.shape, "float32") if initial is None else initial
        still = problem.transform.start(len(low))
        first = finish(still, *data.values())[1]
    path = None
    if problem.transform.kind in ("lddmm", "velocity"):
        path = _path(problem.transform, stage.full, parameters, displacement, started, clock)
    answer = (displacement, first, after, keras_ops.stack(accepted), moved)
    return tuple(map(keras_ops.convert_to_numpy, answer)), tuple(reports), path


def _unfolded(transform: Any, grid: Grid, parameters: Any, clock: "Clock") -> Any:
    """Momenta that do not fold on a grid other than that where they were found."""
    if not isinstance(transform, GeodesicTransform):
        return parameters
    run = levels.folded(transform, grid)
    clock.prepare([(run, (parameters,))])
    return shortened(run, parameters)[0]


def _path(
    transform: Any,
    full: Grid,
    parameters: Any,
    displacement: Any,
    start: Any,
    clock: "Clock",
) -> GeodesicPath | FlowPath:
    still = np.zeros(displacement.shape, "float32") if start is None else start
    geodesic = isinstance(transform, GeodesicTransform)
    run = (levels.momentum if geodesic else levels.velocity)(transform, full)
    arguments = parameters, displacement, still
    clock.prepare([(run, arguments)])
    if start is not None:
        start = keras_ops.convert_to_numpy(start)
    found = keras_ops.convert_to_numpy(run(*arguments))
    if not geodesic:
        return FlowPath(found, start)
    return GeodesicPath(
        found,
        full.spacing,
        start,
        transform.operator,
        transform.time_steps,
    )


def _settings(steps: int, learning_rate: float, decay: float, tolerance: float) -> tuple:
    return np.int32(steps), np.float32(learning_rate), np.float32(decay), np.float32(tolerance)


_NO_STEP = _settings(-1, 1, 1, 0)


def _seen(
    view: View,
    stage: Stage,
    displacement: Any,
    problem: Problem,
    parameters: Any,
    bounds: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """The bounds of a stage where it has come to; those of one that bends stay."""
    if not stage.linear:
        return bounds
    matrix = levels.matrix(problem.transform, stage.full)(parameters)
    return view.at(displacement, True, keras_ops.convert_to_numpy(matrix))


def _on_grid(grid: Grid, level: Level, seen: Seen, displacement: Any) -> dict[str, Any]:
    """Images, masks and start on the grid of a level."""
    data = seen.on(grid.shrink, level.smoothing)
    if displacement is not None:
        data["start"] = displacement
        if max(grid.shrink) > 1:
            data["start"] = levels.shrink_displacement(grid.shrink)(displacement)
    return data


def draw(
    stages: tuple[Stage, ...],
    batch: int,
    mask: np.ndarray | None,
    samples: int | None,
    seed: int,
) -> dict[tuple[int, ...], np.ndarray]:
    """The voxels that the similarity looks at, by the shrink factors of a level.

    Args:
        stages: the plan.
        batch: number of pairs.
        mask: that of the fixed images, or ``None``; voxels are drawn where it has weight.
        samples: how many per pair and level; where a level has fewer voxels, so many; where a mask
            has fewer, some come twice. ``None``: no drawing.
        seed: of the draw.

    Returns:
        Flat indices ``(batch, count)``, sorted, int32. The count does not depend on the masks.
    """
    if samples is None:
        return {}
    found = {}
    for grid in {problem.transform.grid for stage in stages for problem, _ in stage.steps}:
        size = math.prod(grid.shape)
        rows = []
        for index in range(batch):
            candidates = np.arange(size)
            if mask is not None:
                places = np.argwhere(mask[index, ..., 0] > 0) // np.array(grid.shrink)
                candidates = np.unique(np.ravel_multi_index(tuple(places.T), grid.shape))
            # Every pair begins the draw anew: in a batch it gets the voxels that it gets alone.
            order = np.random.default_rng([seed, *grid.shrink]).permutation(candidates)
            rows.append(np.sort(np.resize(order, min(samples, size))))
        found[grid.shrink] = np.stack(rows).astype("int32")
    return found


class Clock:
    """Runs compiled functions; the time of compiling is kept apart.

    Attributes:
        seconds: time since the clock was made, without compiling.
        compile_seconds: that of compiling.
    """

    # For which shapes a function was compiled: another pair of that size pays nothing.
    _compiled: ClassVar[weakref.WeakKeyDictionary[Callable, set]] = weakref.WeakKeyDictionary()

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self.compile_seconds = 0.0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begin - self.compile_seconds

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """What runs within it does not count."""
        begin = time.perf_counter()
        yield
        self._begin += time.perf_counter() - begin

    def compile(
        self,
        stages: tuple[Stage, ...],
        sizes: Sizes,
        batch: int,
        voxels: dict[tuple[int, ...], np.ndarray],
        channels: int = 1,
    ) -> None:
        """Compiles what the stages need and is not there yet, several functions at a time."""
        if is_compiling():
            self.prepare(_calls(stages, sizes, batch, voxels, channels))

    def prepare(self, calls: Iterable[tuple[Callable, tuple]]) -> None:
        """Compiles functions for the shapes of arguments, where that is not done yet.

        Args:
            calls: functions and arguments with which no descent takes a step.
        """
        if not is_compiling():
            return
        begin = time.perf_counter()
        missing = []
        for function, arguments in calls:
            shapes = tuple(np.shape(a) for a in arguments)
            known = self._compiled.setdefault(function, set())
            if shapes not in known:
                missing.append((known, shapes, function, arguments))
        if not missing:
            return
        memory.check_maps()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            runs = [pool.submit(function, *arguments) for _, _, function, arguments in missing]
            for run, (known, shapes, _, _) in zip(runs, missing, strict=True):
                _finished(run.result())
                known.add(shapes)
        self.compile_seconds += time.perf_counter() - begin


def _calls(
    stages: tuple[Stage, ...],
    sizes: Sizes,
    batch: int,
    voxels: dict[tuple[int, ...], np.ndarray],
    channels: int,
) -> Iterator[tuple[Callable, tuple]]:
    """All functions of the stages with arguments of the right shapes; no descent takes a step."""

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros((batch, *shape), "float32")

    ndim, judging = stages[0].full.ndim, _judging(stages)
    similarity = stages[0].problem.similarity
    depths = {name: 1 if name.endswith("mask") else channels for name in sizes}
    whole = {name: zeros(*size, depths[name]) for name, size in sizes.items()}
    deep = depth(similarity, channels, ndim)

    def on(shrink: tuple[int, ...]) -> dict[str, np.ndarray]:
        """What the similarity sees on a grid."""
        return {
            name: zeros(
                *(-(-n // f) for n, f in zip(size, shrink, strict=True)),
                1 if name.endswith("mask") else deep,
            )
            for name, size in sizes.items()
        }

    if "mind" in names_of(similarity):
        describe = levels.described(tuple(sorted({*_shrinks(stages), judging.shrink})))
        shapes = {whole[side].shape for side in ("fixed", "moving")}
        yield from ((describe, (np.zeros(shape, "float32"),)) for shape in sorted(shapes))
    for stage in stages:
        previous = None
        start = {"start": zeros(*sizes["fixed"], ndim)} if stage.problem.started else {}
        for problem, level in stage.steps:
            shrink = problem.transform.grid.shrink
            data = on(shrink)
            if max(shrink) > 1 or level.smoothing:
                yield levels.shrink(shrink, float(level.smoothing)), tuple(whole.values())
            if level.smoothing and "mind" in names_of(similarity):
                smooth = levels.shrink((1,) * ndim, float(level.smoothing))
                sides = (
                    zeros(*data[side].shape[1:-1], PAIRS[ndim]) for side in ("fixed", "moving")
                )
                yield smooth, tuple(sides)
            if problem.started:
                data = {**data, "start": zeros(*problem.transform.grid.shape, ndim)}
                if max(shrink) > 1:
                    yield levels.shrink_displacement(shrink), tuple(start.values())
            if problem.sampled:
                data = {**data, "voxels": voxels[shrink]}
            if problem.bounded:
                data = {**data, **_no_bounds(batch, ndim)}
            parameters = problem.transform.start(batch)
            settings = (*_NO_STEP, parameters, np.float32(0))
            yield levels.descent(problem, tuple(data)), (*settings, *data.values())
            if stage.linear:
                yield levels.matrix(problem.transform, stage.full), (parameters,)
            if previous is not None:
                coarser = previous.transform
                refine = levels.finer_parameters(coarser, problem.transform)
                yield refine, (coarser.start(batch),)
                yield from _folding(problem.transform, problem.transform.grid, batch)
            previous = problem
        yield from _folding(stage.problem.transform, stage.full, batch)
        one = zeros(*(1,) * (ndim + 1))
        judged = on(judging.shrink)
        data = {**judged, "moving": whole["moving"], "low": one, "scale": one}
        if stage.problem.clipped:
            data["unit"] = judged["moving"]
        data = {**data, **start}
        if stage.problem.bounded:
            data |= _no_bounds(batch, ndim)
        finish = levels.conclusion(stage.problem, stage.full, tuple(data), judging)
        yield finish, (stage.problem.transform.start(batch), *data.values())


def _folding(transform: Any, grid: Grid, batch: int) -> Iterator[tuple[Callable, tuple]]:
    if isinstance(transform, GeodesicTransform):
        yield levels.folded(transform, grid), (transform.start(batch),)


def _no_bounds(batch: int, ndim: int) -> dict[str, np.ndarray]:
    bounds, least = np.zeros((batch, 2, 2, ndim), "float32"), np.zeros(batch, "float32")
    return {"bounds": bounds, "least": least}


def _finished(answer: Any) -> None:
    """Waits for what the backend may still be computing."""
    for part in answer if isinstance(answer, tuple) else (answer,):
        keras_ops.convert_to_numpy(keras_ops.reshape(part, (-1,))[:1])
