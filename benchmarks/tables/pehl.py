"""Pose of an object in one X-ray: PEHL, Gauss-Newton through the projector, and Powell's method."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Row, Table, choose
from benchmarks.methods.nanodrr_descent import RATES, STEPS
from benchmarks.paired import paired
from tfreg.errors import InputError
from tfreg.geometry.pose import PARAMETERS

OBJECTS = ("implant", "cranium")
METHODS = (
    "start",
    "powell gc",
    "nanodrr gc",
    "gauss-newton gc",
    "gauss-newton gc 5 tries",
    "gauss-newton ncc",
    "pehl 1",
    "pehl 3",
    "pehl 6",
    "pehl 9",
    "pehl 3 + refine",
    "pehl 3 in one zone",
    "pehl 3 paper schedule",
    "pehl 3 without lir",
    "pehl 3 without hpr",
    "pehl 3 without psp",
)
COLUMNS = {
    "mtre": "median",
    "mtre 90 %": "mean",
    "success": "mean",
    "success_paper": "mean",
    "capture": "mean",
    "renderings": "median",
    "seconds": "median",
    "spread": "mean",
    "spread_paper": "mean",
    "rmse": "mean",
    "rmse_paper": "mean",
}
_UNITS = {"mtre": "mm", "success": "%", "renderings": "1", "seconds": "s"}
_SUCCESS = 0.01  # of the object's size
_TIMED = 10  # X-rays; those after them may answer by the steps of a longer call
_CAPTURED, _LEAST = 0.95, 20
_SPREAD = ("powell gc", "gauss-newton gc", "pehl 3", "pehl 6")
_RMSE = ("start", "pehl 3", "pehl 3 paper schedule")
_REFERENCES = ("gauss-newton gc", "pehl 3")
_BASELINE = "powell mi, gc"
_ELSEWHERE = (
    "nanodrr: its own registration module, renderer (trilinear, 500 samples) and gradient "
    f"correlation, at half of the resolution, {STEPS} steps of Adam at rates of {RATES[0]:g} rad "
    f"and {RATES[1]:g} mm along a cosine, which are our choice. "
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    add = parser.add_argument
    add("--cases", type=int, default=200, help="X-rays of each group (default: 200)")
    add("--slow", type=int, default=50, help="of these for Powell and nanodrr (default: 50)")
    add("--objects", default=",".join(OBJECTS), help=f"of {', '.join(OBJECTS)}")
    add("--zone", type=int, nargs=2, default=(0, 0), help="of the true poses (default: 0 0)")
    add("--presets", type=Path, help="a folder of trainings of your own, looked through whole")
    add("--scales", default="1,2,3", help="of the paper's perturbation (default: 1,2,3)")


def run(options: argparse.Namespace) -> Table:
    """Registers the same X-rays from the same starts with every method."""
    for name in ("cases", "slow"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name} must be positive. Received: {getattr(options, name)}")
    names = [name.strip() for name in options.objects.split(",")]
    if not names or any(name not in OBJECTS for name in names):
        raise InputError(f"--objects takes {', '.join(OBJECTS)}. Received: {options.objects}")
    try:
        scales = [float(word) for word in options.scales.split(",")]
    except ValueError:
        raise InputError(f"--scales takes numbers. Received: {options.scales}") from None
    chosen = choose(options.methods, METHODS)
    from zoo.pehl.paper import PERTURBATION

    elsewhere = "nanodrr gc" in chosen
    table = Table(
        name="pehl",
        data="synthetic X-rays of an implant drawn by code, and of a skull from CT",
        protocol=(
            f"{options.cases} X-rays each, of Powell{' and nanodrr' * elsewhere} the first "
            f"{options.slow}, on which others are compared with them; true "
            f"poses in the zone {tuple(options.zone)}, rendered by Siddon's sum from finer voxels "
            "before backgrounds, blurred and with noise, none of which a network was trained on. "
            "Powell's method and Gauss-Newton share projector (Joseph's sum), similarity, region "
            "and levels; SciPy's settings are its defaults. "
            f"{_ELSEWHERE * elsewhere}Starts: normal offsets of the paper's standard "
            f"deviations {PERTURBATION} (mm, degrees) times the group's factor; those out of the "
            "zone are kept. `mtre`: mTREproj over the corners of the object's box, median; "
            "`success`: share below 1 % of its diagonal, an error counts as a failure; `capture`: "
            "the initial mTREproj up to which 95 % succeed, over the starts of all factors "
            "together, where there are more than 20; where all succeed it is the largest start, a "
            "lower bound; `renderings`: images of the object at any resolution, of PEHL patches "
            "for a group; `seconds`: one X-ray at a time, warm, of `pehl 1` to `9` and "
            f"`pehl 3 + refine` the first {_TIMED} of each group, whose answers to the others come "
            "of the steps of `pehl 9`. "
            "`5 tries`: from the start, and from it turned out of the plane by 15 degrees each "
            "way, of which the most similar answer counts; that was chosen on other X-rays of the "
            "skull. `spread`: RMSDproj of answers from "
            "100 starts (x1) in one X-ray. `rmse`: of each parameter, where the starts are off as "
            "in training, Table II of the paper. The paper's numbers are of real X-rays of another "
            "object. `in one zone`: the frontal network alone, which is what the ablations and the "
            "paper's schedule have; `without psp`: the paper trained it on 500,000 pairs, this one "
            "was trained on those that its line below names."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed, "cases": options.cases, "slow": options.slow},
        layout="groups",
    )
    for name in names:
        _measure_object(table, name, scales, chosen, options)
    return table


def _measure_object(
    table: Table,
    name: str,
    scales: Sequence[float],
    chosen: Sequence[str],
    options: argparse.Namespace,
) -> None:
    from benchmarks.methods.poses import SLOW, Case, Methods
    from zoo.pehl import objects
    from zoo.pehl.pairs import synthetic
    from zoo.pehl.paper import OFFSETS, PERTURBATION

    thing, zone = objects.load(name), tuple(options.zone)
    methods = Methods(thing, options.presets)
    if any(method.startswith("pehl") for method in chosen):
        table.notes += methods.trained
    table.notes += [
        note
        for method in chosen
        if method in methods.absent
        and (note := f"{method}: {methods.absent[method]}") not in table.notes
    ]

    def cases(number: int, count: int, offsets: Callable, one: bool = False) -> list[Case]:
        """As many X-rays and starts, or one X-ray and as many starts."""
        rng = np.random.default_rng([options.seed, 2**21, number])
        true = objects.poses(zone, 1 if one else count, rng)
        off = offsets(rng, count)
        xrays = synthetic(thing, true, rng)
        picks = np.zeros(count, int) if one else np.arange(count)
        return [Case(xrays[k], true[k], true[k] + step) for k, step in zip(picks, off, strict=True)]

    def normal(scale: float) -> Callable:
        return lambda rng, count: scale * rng.normal(size=(count, 6)) * PERTURBATION

    try:
        there = [method for method in chosen if method in methods.known]
        reached: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {method: [] for method in there}
        for scale in scales:
            found, group = cases(round(10 * scale), options.cases, normal(scale)), f"x{scale:g}"
            errors = {}
            for method in there:
                some = found[: options.slow] if method in SLOW else found
                first, errors[method] = _measure(
                    table, method, f"{name} {group}", methods, some, scale
                )
                reached[method].append((first, errors[method] < _SUCCESS * thing.size))
            _compare(table, f"{name} {group}", errors, thing.size, options)
        for method, parts in reached.items():
            reach = captured(*(np.concatenate(part) for part in zip(*parts, strict=True)))
            if reach is not None:
                table.rows.append(Row.of(method, f"{name} all", "capture", "mm", [reach]))
        one = cases(2**10, 100, normal(1), one=True)
        _measure_spread(table, methods, one, [m for m in _SPREAD if m in there], options.slow)
        uniform = cases(
            2**11, options.cases, lambda rng, n: rng.uniform(-1, 1, (n, 6)) * OFFSETS[0]
        )
        _measure_rmse(table, methods, uniform, [m for m in _RMSE if m in there])
    finally:
        methods.close()


def _answers(table: Table, method: str, group: str, methods: Any, cases: Sequence) -> list:
    """Answers to cases; one that ends in an error answers the start."""
    from tqdm import tqdm

    from benchmarks.methods.poses import Answer
    from benchmarks.methods.worker import WorkerError

    answers, errors = [], []
    for k, case in enumerate(tqdm([cases[0], *cases], desc=f"{group}, {method}")):
        register = methods.known[method]  # whose first call compiles
        if k > _TIMED:
            register = methods.same.get(method, register)
        try:
            answers.append(register(case))
        except (InputError, WorkerError) as error:
            errors.append(str(error))
            answers.append(Answer(case.initial, 0, 0.0))
    if errors:
        table.notes.append(f"{method}: {len(errors)} errors on {group}. {errors[0]}")
    return answers[1:]


def _measure(
    table: Table, method: str, group: str, methods: Any, cases: Sequence, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Adds the rows of a method; answers the errors at the starts and those that are left."""
    from tfreg.metrics import projected_tre
    from zoo.pehl import METHOD

    thing = methods.thing
    centre = thing.volume.geometry.centre
    answers = _answers(table, method, group, methods, cases)
    pairs = list(zip(answers, cases, strict=True))
    errors = np.array([projected_tre(a.pose, c.true, thing.corners, centre) for a, c in pairs])
    first = np.array([projected_tre(c.initial, c.true, thing.corners, centre) for c in cases])
    values = {
        "mtre": errors,
        "success": 100.0 * (errors < _SUCCESS * thing.size),
        "renderings": [float(a.renderings) for a in answers],
        "seconds": [a.seconds for a in answers if np.isfinite(a.seconds)],
    }
    for metric, found in values.items():
        table.rows.append(Row.of(method, group, metric, _UNITS[metric], found))
    worst = [float(np.quantile(errors, 0.9))]
    table.rows.append(Row.of(method, group, "mtre 90 %", "mm", worst))
    paper = METHOD.numbers["pehl"]["success"].get(method)
    if paper is not None and scale == 1:
        table.rows.append(Row.of(method, group, "success_paper", "%", [paper]))
    return first, errors


def _compare(
    table: Table,
    group: str,
    errors: dict[str, np.ndarray],
    size: float,
    options: argparse.Namespace,
) -> None:
    """Slow methods beside others on the cases that they share."""
    from benchmarks.methods.poses import SLOW

    shared = min(options.cases, options.slow)
    clusters = [str(k) for k in range(shared)]
    for reference in [name for name in _REFERENCES if name in errors]:
        some = [name for name in SLOW if name in errors]
        values = {name: errors[name][:shared] for name in [reference, *some]}
        success = {name: 100.0 * (found < _SUCCESS * size) for name, found in values.items()}
        for metric, unit, found in (("mtre", "mm", values), ("success", "%", success)):
            settings = {"resampled": "X-ray", "seed": options.seed}
            table.differences += paired(
                found, reference, clusters, f"{metric}, {group}", unit, **settings
            )


def _measure_spread(
    table: Table, methods: Any, cases: Sequence, chosen: Sequence[str], slow: int
) -> None:
    """How far answers to one X-ray scatter (RMSDproj)."""
    from benchmarks.methods.poses import SLOW
    from tfreg.metrics import projected_spread
    from zoo.pehl import METHOD

    thing, group = methods.thing, f"{methods.thing.name} x1"
    for method in chosen:
        some = cases[:slow] if method in SLOW else cases
        poses = [a.pose for a in _answers(table, method, f"{group}, spread", methods, some)]
        spread = projected_spread(poses, thing.corners, thing.volume.geometry.centre)
        table.rows.append(Row.of(method, group, "spread", "mm", [spread]))
        paper = METHOD.numbers["pehl"]["spread"].get(method)
        if paper is not None:
            table.rows.append(Row.of(method, group, "spread_paper", "mm", [paper]))
    if "powell gc" in chosen:
        known = METHOD.numbers["pehl"]["spread"][_BASELINE]
        note = f"`spread` of the paper's own baseline, {_BASELINE}: {known:g} mm."
        table.notes += [note] if note not in table.notes else []


def _measure_rmse(table: Table, methods: Any, cases: Sequence, chosen: Sequence[str]) -> None:
    """Root mean square error of each parameter, of starts as those of training (Table II)."""
    from zoo.pehl import METHOD

    name, true = methods.thing.name, np.array([case.true for case in cases])
    for method in chosen:
        answers = _answers(table, method, f"{name}, rmse", methods, cases)
        off = np.array([answer.pose for answer in answers]) - true
        known = METHOD.numbers["pehl"]["rmse"]["start" if method == "start" else "pehl 3"]
        for k, parameter in enumerate(PARAMETERS):
            unit, group = "mm or °", f"{name} {parameter}"
            value = float(np.sqrt((off[:, k] ** 2).mean()))
            table.rows.append(Row.of(method, group, "rmse", unit, [value]))
            table.rows.append(Row.of(method, group, "rmse_paper", unit, [known[k]]))


def captured(initial: np.ndarray, right: np.ndarray) -> float | None:
    """The capture range: the largest initial error up to which 95 % of registrations succeed.

    Args:
        initial: errors at the start.
        right: whether each registration succeeded.

    Returns:
        ``None`` where no more than 20 starts lie within it, as in the paper.

    Example:

    >>> import numpy as np
    >>> from benchmarks.tables.pehl import captured
    >>> captured(np.arange(100.0), np.arange(100) < 57)
    59.0
    """
    order = np.argsort(initial)
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    within = np.flatnonzero(share >= _CAPTURED)
    if not len(within) or within[-1] < _LEAST:
        return None
    return float(initial[order][within[-1]])
