"""Pose of an object in one X-ray: PEHL, Gauss-Newton through the projector, and Powell's method."""

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import zoo
from benchmarks.harness import Row, Table, choose
from benchmarks.methods.powell import powell
from tfreg.errors import InputError
from tfreg.image import Image
from tfreg.metrics import projected_tre
from tfreg.registration import register_projection
from zoo.pehl import METHOD, objects
from zoo.pehl.pairs import synthetic
from zoo.pehl.paper import PERTURBATION
from zoo.pehl.zones import iterated

OBJECTS = ("implant", "cranium")
COLUMNS = {
    "mtre": "median",
    "mtre 90 %": "mean",
    "success": "mean",
    "capture": "mean",
    "renderings": "median",
    "seconds": "median",
}
_UNITS = {"mtre": "mm", "success": "%", "renderings": "1", "seconds": "s"}
_SUCCESS = 0.01  # of the object's size
_CAPTURED, _LEAST = 0.95, 20
_FAMILY = ("", "-without-lir", "-without-hpr")


class Case(NamedTuple):
    """A start and where it should end."""

    xray: np.ndarray
    true: np.ndarray
    initial: np.ndarray


class Answer(NamedTuple):
    """Where a method ended, and what it took."""

    pose: np.ndarray
    renderings: int
    seconds: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    add = parser.add_argument
    add("--cases", type=int, default=200, help="X-rays of each group (default: 200)")
    add("--objects", default=",".join(OBJECTS), help=f"of {', '.join(OBJECTS)}")
    add("--zone", type=int, nargs=2, default=(0, 0), help="of the true poses (default: 0 0)")
    add("--scales", default="1,2,3", help="of the paper's perturbation (default: 1,2,3)")


def run(options: argparse.Namespace) -> Table:
    """Registers the same X-rays from the same starts with every method."""
    if options.cases < 1:
        raise InputError(f"--cases must be positive. Received: {options.cases}")
    names = [name.strip() for name in options.objects.split(",")]
    if not names or any(name not in OBJECTS for name in names):
        raise InputError(f"--objects takes {', '.join(OBJECTS)}. Received: {options.objects}")
    try:
        scales = [float(word) for word in options.scales.split(",")]
    except ValueError:
        raise InputError(f"--scales takes numbers. Received: {options.scales}") from None
    table = Table(
        name="pehl",
        data="synthetic X-rays of an implant drawn by code, and of a skull from CT",
        protocol=(
            f"{options.cases} X-rays each, true poses in the zone {tuple(options.zone)}, rendered "
            "by Siddon's sum before backgrounds, blurred and with noise, none of which a network "
            "was trained on; the methods render by Joseph's. Starts: normal offsets of the paper's "
            f"standard deviations {PERTURBATION} (mm, degrees) times the group's factor; those out "
            "of the zone are kept. `mtre`: mTREproj over the corners of the object's box, median; "
            "`success`: share below 1 % of its diagonal; `capture`: the initial mTREproj up to "
            "which 95 % succeed, where there are more than 20 starts; `renderings`: images of the "
            "object, of PEHL patches for a group; `seconds`: one X-ray at a time, warm."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed, "cases": options.cases},
        layout="groups",
    )
    for name in names:
        thing = objects.load(name)
        for scale in scales:
            cases = _cases(thing, tuple(options.zone), options.cases, scale, options.seed)
            for method, register in _methods(thing, options, table).items():
                _measure(table, method, f"{name} x{scale:g}", thing, cases, register, scale)
    return table


def _cases(
    thing: objects.Thing, zone: tuple[int, int], count: int, scale: float, seed: int
) -> list[Case]:
    rng = np.random.default_rng([seed, 2**21, round(10 * scale)])
    true = objects.poses(zone, count, rng)
    initial = true + scale * rng.normal(size=true.shape) * PERTURBATION
    return [Case(*parts) for parts in zip(synthetic(thing, true, rng), true, initial, strict=True)]


def _methods(
    thing: objects.Thing, options: argparse.Namespace, table: Table
) -> dict[str, Callable[[Case], Answer]]:
    """What each method does with a case, of those that are asked for and there."""
    families = {part: _models(thing.name, part) for part in _FAMILY}
    known: dict[str, Callable[[Case], Answer]] = {
        "start": lambda case: Answer(case.initial, 0, 0.0),
        "powell gc": lambda case: _by_powell(thing.attenuation, thing, case),
        "gauss-newton gc": lambda case: _by_descent(thing, case, "gc"),
        "gauss-newton ncc": lambda case: _by_descent(thing, case, "ncc"),
    }
    for count in (1, 3, 9):
        known[f"pehl {count}"] = _by_networks(families[""], thing, count)
    known["pehl 3 + refine"] = _refined(known["pehl 3"], thing)
    known["pehl 3 without lir"] = _by_networks(families["-without-lir"], thing, 3)
    known["pehl 3 without hpr"] = _by_networks(families["-without-hpr"], thing, 3)
    chosen = choose(options.methods, list(known))
    for part, models in families.items():
        if not models and f"no weights of pehl-{thing.name}{part}" not in table.notes:
            table.notes.append(f"no weights of pehl-{thing.name}{part}")
    absent = {"pehl 3 without lir": "-without-lir", "pehl 3 without hpr": "-without-hpr"}
    return {
        name: known[name]
        for name in chosen
        if not name.startswith("pehl") or families[absent.get(name, "")]
    }


def _models(name: str, part: str) -> list:
    found = [p for p in zoo.list_presets("pose") if p.startswith(f"pehl-{name}-")]
    if part:
        found = [preset for preset in found if preset.endswith(part)]
    else:
        found = [preset for preset in found if "without" not in preset]
    return [zoo.load(preset, task="pose") for preset in found]


def _by_powell(volume: Image, thing: objects.Thing, case: Case) -> Answer:
    begin = time.perf_counter()
    found = powell(volume, case.xray, thing.camera, case.initial)
    return Answer(found.pose, found.renderings, time.perf_counter() - begin)


def _by_descent(
    thing: objects.Thing, case: Case, similarity: str, initial: np.ndarray | None = None
) -> Answer:
    start = case.initial if initial is None else initial
    found = register_projection(
        thing.volume, case.xray, thing.camera, start, similarity, attenuates=thing.attenuates
    )
    return Answer(found.pose, int(found.renderings), found.seconds)


def _by_networks(models: list, thing: objects.Thing, count: int) -> Callable[[Case], Answer]:
    def register(case: Case) -> Answer:
        begin = time.perf_counter()
        steps = iterated(models, thing.volume, case.xray, thing.camera, case.initial, count)
        groups = len(models[0].groups)
        return Answer(steps[-1], count * groups, time.perf_counter() - begin)

    return register


def _refined(register: Callable[[Case], Answer], thing: objects.Thing) -> Callable[[Case], Answer]:
    def refined(case: Case) -> Answer:
        first = register(case)
        more = _by_descent(thing, case, "gc", first.pose)
        seconds = first.seconds + more.seconds
        return Answer(more.pose, first.renderings + more.renderings, seconds)

    return refined


def _measure(
    table: Table,
    method: str,
    group: str,
    thing: objects.Thing,
    cases: list[Case],
    register: Callable[[Case], Answer],
    scale: float,
) -> None:
    from tqdm import tqdm

    centre = thing.volume.geometry.centre
    register(cases[0])  # compiles
    answers = [register(case) for case in tqdm(cases, desc=f"{group}, {method}")]
    pairs = list(zip(answers, cases, strict=True))
    errors = [projected_tre(a.pose, c.true, thing.corners, centre) for a, c in pairs]
    first = [projected_tre(c.initial, c.true, thing.corners, centre) for c in cases]
    right = np.array(errors) < _SUCCESS * thing.size
    implant = thing.name == "implant" and scale == 1
    paper = METHOD.numbers["pehl"]["success"].get(method) if implant else None
    values = {
        "mtre": errors,
        "success": 100.0 * right,
        "renderings": [float(a.renderings) for a in answers],
        "seconds": [a.seconds for a in answers],
    }
    for metric, found in values.items():
        known = paper if metric == "success" else None
        table.rows.append(Row.of(method, group, metric, _UNITS[metric], found, known))
    worst = [float(np.quantile(errors, 0.9))]
    table.rows.append(Row.of(method, group, "mtre 90 %", "mm", worst))
    reach = captured(np.array(first), right)
    if reach is not None:
        table.rows.append(Row.of(method, group, "capture", "mm", [reach]))


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
