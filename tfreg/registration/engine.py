"""Running the levels of an instance optimisation: the plan, its compilation, the descent."""

import contextvars
import os
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from keras import ops as keras_ops

from tfreg.registration import level as levels
from tfreg.registration.answer import LevelReport
from tfreg.registration.images import unit_scale
from tfreg.registration.level import Problem
from tfreg.registration.pyramid import Level, Pyramid
from tfreg.registration.similarity import scaled_for
from tfreg.registration.transforms import LINEAR, Grid, transform_of

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


def plan(
    kinds: tuple[str, ...],
    pyramids: tuple[Pyramid, ...],
    sizes: Sizes,
    spacing: tuple[float, ...],
    similarity: str,
    regulariser: str | None,
    started: bool,
    samples: int | None,
) -> tuple[Stage, ...]:
    """The stages of a registration; from the second on each starts from a displacement.

    Args:
        kinds, pyramids: names of the transforms, and the levels of each.
        sizes: spatial shape of each image and mask by name.
        spacing: size of a voxel.
        similarity, regulariser: their names.
        started: whether the first stage starts from a displacement.
        samples: as in :func:`tfreg.registration.register`.
    """
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
                fixed_mask="fixed_mask" in sizes,
                moving_mask="moving_mask" in sizes,
                started=started or index > 0,
                sampled=samples is not None,
            )
            steps.append((problem, level))
        stages.append(Stage(tuple(steps), pyramid.tolerance, full))
    return tuple(stages)


def descend(
    stages: tuple[Stage, ...],
    images: dict[str, np.ndarray],
    displacement: Any,
    samples: int | None,
    seed: int,
    clock: "Clock",
    progress: Callable[[LevelReport], Any] | None,
) -> tuple[tuple[np.ndarray, ...], tuple[LevelReport, ...]]:
    """Runs all stages.

    Returns:
        Displacement, similarity before and after, whether it was accepted, and the moved images;
        and the reports of the levels.
    """
    name = stages[0].problem.similarity
    units = {**images, **{key: scaled_for(name, images[key]) for key in ("fixed", "moving")}}
    low, scale = unit_scale(images["moving"])
    whole = {**units, "moving": images["moving"], "low": low, "scale": scale.astype("float32")}
    reports: list[LevelReport] = []
    first = accepted = None
    for stage in stages:
        previous, parameters = None, stage.steps[0][0].transform.start(len(low))
        for problem, level in stage.steps:
            if previous is not None:
                refine = levels.refinement(previous.transform, problem.transform)
                parameters = clock.run(refine, parameters)
            begin = clock.seconds
            data = _on_grid(problem.transform.grid, level, units, displacement, clock)
            if samples is not None:
                data["voxels"] = _draw(problem.transform.grid, samples, seed)
            settings = (level.steps, level.learning_rate, level.decay, stage.tolerance)
            parameters, after, before, taken = clock.run(
                levels.descent(problem, tuple(data)),
                *_settings(*settings),
                parameters,
                np.float32(level.weight),
                *data.values(),
            )
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
                progress(report)
        data = dict(whole) if displacement is None else {**whole, "start": displacement}
        finish = levels.conclusion(stage.problem, stage.full, tuple(data))
        answer = clock.run(finish, parameters, *data.values())
        displacement, before, after, better, moved = answer
        first = before if first is None else first
        accepted = better if accepted is None else keras_ops.logical_or(accepted, better)
    answer = (displacement, first, after, accepted, moved)
    return tuple(map(keras_ops.convert_to_numpy, answer)), tuple(reports)


def _settings(steps: int, learning_rate: float, decay: float, tolerance: float) -> tuple:
    return np.int32(steps), np.float32(learning_rate), np.float32(decay), np.float32(tolerance)


def _on_grid(
    grid: Grid, level: Level, images: dict[str, Any], displacement: Any, clock: "Clock"
) -> dict[str, Any]:
    """Images, masks and start on the grid of a level."""
    data = dict(images)
    if max(grid.shrink) > 1 or level.smoothing:
        small = levels.shrink(grid.shrink, float(level.smoothing))
        data = dict(zip(data, clock.run(small, *data.values()), strict=True))
    if displacement is not None:
        data["start"] = displacement
        if max(grid.shrink) > 1:
            data["start"] = clock.run(levels.shrink_displacement(grid.shrink), displacement)
    return data


def _draw(grid: Grid, samples: int, seed: int) -> np.ndarray:
    """Flat indices of the voxels of a level that the similarity looks at, sorted."""
    voxels = int(np.prod(grid.shape))
    rng = np.random.default_rng([seed, *grid.shrink])
    return np.sort(rng.choice(voxels, min(samples, voxels), replace=False)).astype("int32")


class Clock:
    """Runs compiled functions; the time of compiling is kept apart."""

    # For which shapes a function was compiled: another pair of that size pays nothing.
    _compiled: ClassVar[weakref.WeakKeyDictionary[Callable, set]] = weakref.WeakKeyDictionary()

    def __init__(self) -> None:
        self.seconds = 0.0
        self.compile_seconds = 0.0

    def run(self, function: Callable, *arguments: Any) -> Any:
        """The function's answer, computed to the end."""
        begin = time.perf_counter()
        answer = _finished(function(*arguments))
        self.seconds += time.perf_counter() - begin
        return answer

    def compile(
        self, stages: tuple[Stage, ...], sizes: Sizes, batch: int, samples: int | None
    ) -> None:
        """Compiles what the stages need and is not there yet, several functions at a time."""
        begin = time.perf_counter()
        missing = []
        for function, arguments in _calls(stages, sizes, batch, samples):
            shapes = tuple(np.shape(a) for a in arguments)
            known = self._compiled.setdefault(function, set())
            if shapes not in known:
                missing.append((known, shapes, function, arguments))
        if not missing:
            return
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            # What a caller set for this context, such as `uncompiled`, holds in the threads too.
            runs = [
                pool.submit(contextvars.copy_context().run, function, *arguments)
                for _, _, function, arguments in missing
            ]
            for run, (known, shapes, _, _) in zip(runs, missing, strict=True):
                _finished(run.result())
                known.add(shapes)
        self.compile_seconds += time.perf_counter() - begin


def _calls(
    stages: tuple[Stage, ...], sizes: Sizes, batch: int, samples: int | None
) -> Iterator[tuple[Callable, tuple]]:
    """All functions of the stages with arguments of the right shapes; no descent takes a step."""

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros((batch, *shape), "float32")

    whole = {name: zeros(*size, 1) for name, size in sizes.items()}
    ndim = stages[0].full.ndim
    for stage in stages:
        previous = None
        start = {"start": zeros(*sizes["fixed"], ndim)} if stage.problem.started else {}
        for problem, level in stage.steps:
            shrink = problem.transform.grid.shrink
            data = whole
            if max(shrink) > 1 or level.smoothing:
                yield levels.shrink(shrink, float(level.smoothing)), tuple(whole.values())
                small = {
                    name: (-(-n // f) for n, f in zip(size, shrink, strict=True))
                    for name, size in sizes.items()
                }
                data = {name: zeros(*size, 1) for name, size in small.items()}
            if problem.started:
                data = {**data, "start": zeros(*problem.transform.grid.shape, ndim)}
                if max(shrink) > 1:
                    yield levels.shrink_displacement(shrink), tuple(start.values())
            if samples is not None:
                data = {**data, "voxels": _draw(problem.transform.grid, samples, 0)}
            parameters = problem.transform.start(batch)
            settings = (*_settings(-1, 1, 1, 0), parameters, np.float32(0))
            yield levels.descent(problem, tuple(data)), (*settings, *data.values())
            if previous is not None:
                coarser = previous.transform
                refine = levels.refinement(coarser, problem.transform)
                yield refine, (coarser.start(batch),)
            previous = problem
        one = zeros(*(1,) * (ndim + 1))
        data = {**whole, "low": one, "scale": one, **start}
        finish = levels.conclusion(stage.problem, stage.full, tuple(data))
        yield finish, (stage.problem.transform.start(batch), *data.values())


def _finished(answer: Any) -> Any:
    """Waits for what the backend may still be computing."""
    for part in answer if isinstance(answer, tuple) else (answer,):
        if hasattr(part, "block_until_ready"):
            part.block_until_ready()
    return answer
