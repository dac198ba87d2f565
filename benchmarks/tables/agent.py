"""Rigid registration of a small, noisy image to a whole one: agents beside optimisers."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import options as declared
from benchmarks.harness import Row, Table, choose
from benchmarks.paired import paired
from benchmarks.tables._agent_cases import RANGES
from tfreg.errors import InputError

CASES, SLOW = 200, 50
SLOWER = (
    "elastix rigid",
    "elastix rigid masked",
    "elastix rigid mi",
    "elastix rigid masked mi",
    "ants rigid",
    "ants rigid masked",
)
# What each agent's preset is called behind the name of its kind, and how it is refined.
AGENTS: dict[str, tuple[str, int | str]] = {
    "agent": ("", 0),
    "agent plus": ("-plus", 0),
    "agent plus + refine": ("-plus", "default"),
    "agent plus wide": ("-plus-reach-2", 0),
    "agent plus wide + refine": ("-plus-reach-2", "default"),
    "agent plus two stages": ("-plus-two-stages", 0),
    "agent plus two stages + refine": ("-plus-two-stages", "default"),
    "agent plus difference": ("-plus-difference", 0),
    "agent plus raw": ("-plus-raw", 0),
    "regression": ("-plus-regression", 0),
    "dqn": ("-plus-dqn", 0),
}
METHODS = (
    "none",
    "centre of mass",
    *SLOWER,
    "tfreg rigid",
    "tfreg rigid masked",
    "tfreg rigid search",
    *AGENTS,
)
COLUMNS = {
    "tre": "median",
    "tre 10 %": "mean",
    "tre 90 %": "mean",
    "success": "mean",
    "success_8mm": "mean",
    "success_10mm": "mean",
    "steps": "median",
    "seconds": "median",
}
_UNITS = {"tre": "mm", "success": "%", "success_8mm": "%", "success_10mm": "%", "seconds": "s"}
_REFERENCES = ("tfreg rigid masked", "agent plus + refine")
_CURVES = ("none", "elastix rigid masked", "tfreg rigid masked", "regression", "agent")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    add = parser.add_argument
    add("--cases", type=int, default=CASES, help=f"starts of each group (default: {CASES})")
    add(
        "--slow",
        type=int,
        default=SLOW,
        help=f"of these for elastix and ANTs, the first so many (default: {SLOW})",
    )
    add("--groups", default=",".join(RANGES), help=f"of {', '.join(RANGES)}")
    add("--presets", type=Path, help="a folder of trainings of your own, looked through whole")
    declared.add_data(parser, ("dkt31", "phantom"), "brains of dkt31, and the chest CT")
    declared.add_split(parser)


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs from the same starts with every method."""
    for name in ("cases", "slow"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name} must be positive. Received: {getattr(options, name)}")
    groups = [name.strip() for name in options.groups.split(",")]
    if any(group not in RANGES for group in groups):
        raise InputError(f"--groups takes {', '.join(RANGES)}. Received: {options.groups}")
    chosen = choose(options.methods, METHODS)
    from benchmarks.tables._agent_cases import cases, chest_available
    from tfreg.data import brain_volumes

    data = declared.source(options, "dkt31", brain_volumes.available)
    real = data != "phantom" and chest_available()
    about = "brains of Mindboggle-101" if data != "phantom" else "phantom brains"
    about += ", spines of phantom torsos" + (" and of one chest CT" if real else "")
    table = Table(
        name="agent",
        data=f"{about}, {options.split} split",
        protocol=(
            f"{options.cases} starts in each group, of elastix and ANTs the first {options.slow}, "
            "on which they are compared with others. The fixed image is a simulated cone-beam CT "
            "(`tfreg.data.cone_beam`: a cylinder for a field of view, noise, streaks, cupping, "
            "another scale) about a random place, turned at random; of brains in another contrast "
            "besides, a random curve through their intensities. The moving image is the whole "
            "scan, whose header is off by up to so many mm and degrees per axis (`spine 150`: 150 "
            "mm along the body, 30 mm and 30 degrees else). No subject was trained on; `spine ct`: "
            "one real chest CT, by machine labels, on which nothing was trained. `tre`: mean "
            "distance in mm of places on the surface of the labels (cortex; vertebrae) within the "
            "field of view, `10 %` and `90 %` its percentiles over starts; `success`: share below "
            "two voxels of the fixed image (brains 4 mm, spines 6 mm), `success_8mm`: below a "
            "voxel of the agent, `success_10mm`; an error counts as a failure; `steps`: of the "
            "walk; `seconds`: one registration, warm. `masked`: sees the field of view, which the "
            "agents see as well. elastix: rigid, NCC (`mi`: Mattes), 4 levels of 500 iterations "
            "with 4096 new samples each; ANTs: Rigid, Mattes, its own schedule, from the headers. "
            "`tfreg rigid search` begins with the global search. `+ refine`: 80 steps on the "
            "masked NCC from the agent's answer. `wide`: trained at twice the range. `difference`, "
            "`raw`: the input and the values of the paper, else as `plus`. `regression`: the same "
            "network finds the pose in one step. `dqn`: Q-learning. What each was trained with is "
            "named below."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed, "cases": options.cases, "slow": options.slow},
        layout="groups",
    )
    errors: dict[str, dict[str, np.ndarray]] = {}
    paths: dict[str, Any] = {}
    starts: dict[str, np.ndarray] = {}
    shown: dict[str, Any] = {}
    for group in groups:
        if "ct" in group.split() and not real:
            table.notes.append(f"{group}: left out, the chest CT is not there.")
            continue
        found = list(cases(group, options.cases, options.seed, options.split, data))
        starts[group], shown[group] = np.array([case.start for case in found]), found[0]
        errors[group] = _measure(table, group, chosen, options, found, paths)
        _compare(table, group, errors[group], options)
    _figures(table, errors, starts, paths, shown)
    return table


def contenders(kind: str = "brain", folder: Path | None = None) -> list[Any]:
    """The lines of the table for brains or spines.

    Args:
        kind: ``"brain"`` or ``"spine"``.
        folder: of presets of one's own, which come before those of the zoo.
    """
    from benchmarks.methods.walkers import InSpace, Walker, ants, elastix
    from tfreg.transforms import Affine

    known = presets(folder)
    still = Affine.identity(3)
    walkers = (
        Walker(name, known.get(f"agent-{kind}{suffix}"), refine)
        for name, (suffix, refine) in AGENTS.items()
    )
    return [
        InSpace("none", transform=None, initial=still),
        InSpace("centre of mass", transform=None, initial="mass"),
        *(elastix(masked, metric) for metric in ("ncc", "mi") for masked in (False, True)),
        *(ants(masked) for masked in (False, True)),
        InSpace("tfreg rigid"),
        InSpace("tfreg rigid masked", masked=True),
        InSpace("tfreg rigid search", masked=True, initial="search"),
        *walkers,
    ]


def presets(folder: Path | None = None) -> dict[str, str | Path]:
    """All presets of agents by name, in the zoo or anywhere in a folder."""
    import zoo

    found: dict[str, str | Path] = {name: name for name in zoo.list_presets("registration")}
    if folder is not None:
        found |= {path.stem: path for path in sorted(folder.glob("**/presets/*.json"))}
    return {name: preset for name, preset in found.items() if name.startswith("agent-")}


def _measure(
    table: Table,
    group: str,
    chosen: Sequence[str],
    options: argparse.Namespace,
    found: Sequence[Any],
    paths: dict[str, Any],
) -> dict[str, np.ndarray]:
    """Adds the rows of a group; answers the errors of each method."""
    import zoo

    errors, kind = {}, group.split()[0]
    for method in contenders(kind, options.presets):
        if method.name not in chosen:
            continue
        reason = method.unavailable()
        if reason is not None:
            note = f"{method.name}: {kind}, {reason}"
            table.notes += [note] if note not in table.notes else []
            continue
        preset = getattr(method, "preset", None)
        if preset is not None:
            note = f"{method.name}: {zoo.describe(preset).training['command']}"
            table.notes += [note] if note not in table.notes else []
        some = found[: options.slow] if method.name in SLOWER else found
        errors[method.name] = _run(table, method, group, some, paths)
    return errors


def _run(
    table: Table, method: Any, group: str, cases: Sequence[Any], paths: dict[str, Any]
) -> np.ndarray:
    from tqdm import tqdm

    from benchmarks.methods.walkers import Found
    from benchmarks.methods.worker import WorkerError

    answers, failures = [], []
    try:
        for case in tqdm([cases[0], *cases], desc=f"{group}, {method.name}"):  # the first warms
            try:
                answers.append(method.register(case))
            except (InputError, WorkerError) as error:
                failures.append(str(error))
                answers.append(Found(np.full_like(case.points, np.nan), float("nan")))
    finally:
        method.close()
    if failures:
        table.notes.append(f"{method.name}: {len(failures)} errors on {group}. {failures[0]}")
    answers = answers[1:]
    errors = np.array([case.error(a.points) for case, a in zip(cases, answers, strict=True)])
    if method.name == "agent plus":
        paths[group] = [(case, a) for case, a in zip(cases, answers, strict=True)][:8]
    limit = 2 * cases[0].voxel
    values = {
        "tre": errors[np.isfinite(errors)],
        "success": 100.0 * (errors < limit),
        "success_8mm": 100.0 * (errors < 8),
        "success_10mm": 100.0 * (errors < 10),
        "steps": [a.steps for a in answers if np.isfinite(a.steps)],
        "seconds": [a.seconds for a in answers if np.isfinite(a.seconds)],
    }
    for metric, numbers in values.items():
        if len(numbers):
            table.rows.append(Row.of(method.name, group, metric, _UNITS.get(metric, "1"), numbers))
    for share in (10, 90) if np.isfinite(errors).any() else ():
        value = [float(np.nanpercentile(errors, share))]
        table.rows.append(Row.of(method.name, group, f"tre {share} %", "mm", value))
    # What failed is as far off as can be.
    return np.where(np.isfinite(errors), errors, np.inf)


def _compare(
    table: Table, group: str, errors: dict[str, np.ndarray], options: argparse.Namespace
) -> None:
    """Success of all methods beside some, each on the cases that both registered."""
    success = {name: 100.0 * (found < 8) for name, found in errors.items()}
    for reference in [name for name in _REFERENCES if name in success]:
        for name in success:
            both = {key: success[key] for key in (reference, name)}
            shared = min(map(len, both.values()))
            table.differences += paired(
                {key: values[:shared] for key, values in both.items()},
                reference,
                [str(k) for k in range(shared)],
                f"success_8mm, {group}",
                "%",
                resampled="start",
                seed=options.seed,
            )


def _figures(
    table: Table,
    errors: dict[str, dict[str, np.ndarray]],
    starts: dict[str, np.ndarray],
    paths: dict[str, Any],
    cases: dict[str, Any],
) -> None:
    from benchmarks.figures.walks import capture, pictures, walks

    if cases:
        table.figures["cases.png"] = partial(pictures, cases)
    shown = (*_CURVES, "agent plus", "agent plus + refine")
    for kind in ("brain", "spine"):
        own = [group for group in errors if group.split()[0] == kind]
        curves = {
            name: (
                np.concatenate(
                    [starts[g][: len(errors[g][name])] for g in own if name in errors[g]]
                ),
                np.concatenate([errors[g][name] for g in own if name in errors[g]]),
            )
            for name in shown
            if any(name in errors[g] for g in own)
        }
        if curves:
            table.figures[f"capture-{kind}.png"] = partial(capture, curves)
    if paths:
        table.figures["paths.png"] = partial(walks, paths)
