"""What the tables of DLIR share: a row per stage, the options, what is said, and outlines."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import zoo
from benchmarks import evaluate
from benchmarks.harness import Table, choose
from benchmarks.methods.elastix import Settings
from benchmarks.pairs import Pair
from benchmarks.tables.optimise import THREADS, TOOL_SETTINGS, Measurement, pareto
from tfreg.errors import InputError
from tfreg.viz import new_figure

REFINE = "default"
DEFAULT = {"elastix default": Settings(default=True, affine=True)}
SURFACES = (
    "`hd95` (95th percentile of the distances from one surface to the other, the larger of both "
    "directions) and `msd` (their mean, of both directions)"
)
WARPS = (
    "Every method hands over a displacement, and one evaluator warps the labels (linear, threshold "
    "1/2)."
)
SECONDS = (
    "`seconds`: one pair at a time, warm, on all cores; `compile`: once per size of image, not in "
    "`seconds`."
)
OURS = {
    f"tfreg {setting}": {"transform": ("affine", "bspline"), "pyramid": setting}
    for setting in ("fast", "default")
}


SIMILARITIES = {"ncc": "NCC", "lncc": "LNCC"}


def stages(deformable: int) -> dict[str, tuple]:
    """Refinement and number of stages by the name of the row.

    Args:
        deformable: number of deformable stages; an affine one is the first.

    Example:

    >>> from benchmarks.tables import dlir
    >>> list(dlir.stages(2))
    ['dlir affine', 'dlir + stage 1', 'dlir + stage 2', 'dlir + refine']
    """
    rows: dict[str, tuple] = {"dlir affine": (0, 1)}
    rows |= {f"dlir + stage {k}": (0, k + 1) for k in range(1, deformable + 1)}
    return {**rows, "dlir + refine": (REFINE, deformable + 1)}


def add_arguments(
    parser: argparse.ArgumentParser, data: Sequence[str], real: str, pairs: int | None = None
) -> None:
    """Declares the options that the tables have in common.

    Args:
        parser: of the table.
        data: what ``--data`` takes beside ``auto``.
        real: what ``auto`` takes where it is found.
        pairs: default of ``--pairs``.
    """
    parser.add_argument(
        "--pairs",
        type=int,
        default=pairs,
        help=f"registrations at most (default: {pairs or 'all'})",
    )
    parser.add_argument(
        "--data",
        choices=("auto", *data),
        default="auto",
        help=f"auto: {real} where it is found, else phantoms",
    )


def add_split(parser: argparse.ArgumentParser) -> None:
    """Declares ``--split``, of data sets that have one."""
    parser.add_argument(
        "--split",
        choices=("test", "validation"),
        default="test",
        help="validation: for choosing settings (default: test)",
    )


def check(options: argparse.Namespace) -> None:
    """Raises ``InputError`` on a number of registrations that is none."""
    if options.pairs is not None and options.pairs < 1:
        raise InputError(f"--pairs must be positive. Received: {options.pairs}")


def preset_for(name: str, data: str) -> str:
    """The preset that was trained on phantoms, for phantoms, where there is one."""
    own = f"{name}-phantom"
    return own if data == "phantom" and own in zoo.list_presets() else name


def settings(
    options: argparse.Namespace, pairs: list[Pair], elastix: str, similarity: str = "ncc"
) -> dict[str, Any]:
    """What decides the numbers, for the last lines of a table; the refinement's similarity."""
    return {
        "pairs": len(pairs),
        "seed": options.seed,
        "refine": f"{REFINE} B-spline, {SIMILARITIES[similarity]} and bending energy, from the "
        "network's answer",
        "elastix": f"affine, then B-spline, NCC, {elastix} new random samples per iteration, "
        f"{THREADS} threads, RandomSeed 1, its time that of the registration alone, ITK loaded "
        "before; `default`: its own maps",
        "others": TOOL_SETTINGS,
    }


def run(
    options: argparse.Namespace,
    measurement: Measurement,
    known: Sequence[str],
    preset: str,
    rows: dict[str, tuple],
) -> dict[str, list[np.ndarray]]:
    """Measures every method that can run; answers the displacements of each.

    Args:
        options: of the table.
        measurement: without its networks.
        known: the methods of the table.
        preset: the network.
        rows: of :func:`stages`.
    """
    measurement.networks = {name: (preset, *row) for name, row in rows.items()}
    table, fields = measurement.table, {}
    methods = choose(options.methods, known)
    wanted = [method for method in methods if method in rows]
    there = preset in zoo.list_presets()
    if wanted:
        missing = f"left out, there is no preset {preset}."
        table.notes.append(_about(preset, list(rows)) if there else f"dlir: {missing}")
    for method in methods:
        if method in wanted and not there:
            continue
        found = measurement.run(method)
        if found:
            fields[method] = found
    measured = [(row.metric, row.method) for row in table.rows]
    metric = next((m for m in table.columns if any(m == known for known, _ in measured)), "")
    if len({method for known, method in measured if known == metric}) > 1:
        table.figures["pareto.png"] = lambda path: pareto(table, metric, path)
    return fields


def run_on_labels(
    options: argparse.Namespace,
    measurement: Measurement,
    known: Sequence[str],
    preset: str,
    rows: dict[str, tuple],
    outlined: Sequence[int],
) -> Table:
    """:func:`run`, with a figure of outlines; answers the table.

    Args:
        options, measurement, known, preset, rows: of :func:`run`.
        outlined: the labels to outline.
    """
    fields = run(options, measurement, known, preset, rows)
    if fields:
        measurement.table.figures["outlines.png"] = lambda path: outlines(
            measurement, fields, outlined, path
        )
    return measurement.table


def _about(preset: str, rows: list[str]) -> str:
    """What the network was trained on, and what each of its stages gains on validation pairs."""
    found = zoo.describe(preset)
    curve = found.training.get("curve", {})
    gains = [
        f"{name.removeprefix('dlir ')} {curve[key]['ncc'][-1]:.4f}"
        for key, name in ((f"stage {k + 1}", name) for k, name in enumerate(rows))
        if key in curve
    ]
    said = f"; NCC on validation pairs: {', '.join(gains)}" if gains else ""
    return f"dlir: {preset}, trained on {found.provenance['data']}{said}."


def outlines(
    measurement: Measurement,
    fields: dict[str, list[np.ndarray]],
    labels: Sequence[int],
    path: Path,
) -> None:
    """Best, median and worst registration: labels of the fixed and of the moved image by method."""
    shown = [m for m in fields if m == "none" or m.startswith("dlir")] or list(fields)
    values = {method: measurement.values[method]["dice"] for method in shown}
    order = np.argsort(np.nan_to_num(values[shown[-1]]))
    # One or two registrations have no median apart from the best and the worst.
    places = {"worst": order[0], "median": order[len(order) // 2], "best": order[-1]}
    names = {int(index): name for name, index in places.items()}
    chosen = dict(reversed(names.items()))
    figure, axes = new_figure(len(chosen), len(shown), 2.4)
    for row, (index, name) in enumerate(chosen.items()):
        pair = measurement.pairs[index]
        where = np.argwhere(np.isin(pair.fixed_labels, labels))
        box = (
            int(where[:, 0].mean()),
            *(slice(max(a - 10, 0), b + 11) for a, b in zip(*_range(where[:, 1:]), strict=True)),
        )
        for axis, method in zip(axes[row], shown, strict=True):
            axis.imshow(pair.fixed[box], cmap="gray")
            for label in labels:
                mask = (pair.moving_labels == label).astype("float32")
                _outline(axis, (pair.fixed_labels == label)[box], "tab:cyan")
                _outline(axis, evaluate.warp(mask, fields[method][index])[box], "tab:orange")
            axis.set_title(f"{method}, Dice {values[method][index]:.3f}", fontsize=7)
        axes[row, 0].set_ylabel(f"{name}\n{pair.name}", fontsize=6)
    figure.suptitle("labels of the fixed (blue) and of the moved image (orange)", fontsize=9)
    figure.savefig(path, dpi=130)


def _range(where: np.ndarray) -> tuple[list[int], list[int]]:
    return where.min(axis=0).tolist(), where.max(axis=0).tolist()


def _outline(axis: Any, mask: np.ndarray, colour: str) -> None:
    if mask.min() < 0.5 < mask.max():
        axis.contour(mask, [0.5], colors=colour, linewidths=0.9)
