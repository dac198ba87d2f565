"""What tables of LDDMM and Quicksilver share: their rows, and how near answers come to LDDMM's."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import evaluate
from benchmarks.harness import Row, Table
from benchmarks.judge import unit_of
from benchmarks.methods.contender import Answer, Contender
from benchmarks.methods.instance import Instance
from benchmarks.methods.preset import Preset
from benchmarks.paired import DRAWS
from benchmarks.pairs import Pair
from tfreg import metrics
from tfreg.registration import Level, Pyramid

LO = "lo"
SAMPLES = 50
REFINE = 5
DENSE = 7  # voxels from one patch to the next, half of the paper's
FIXED_STEPS = 50  # of the paper's optimisation
SHOWN = ("none", LO, "lp", "lpc", "lp + refine")
PERCENTILES = (0.3, 5, 25, 50, 75, 95, 99.7)
COLUMNS = {
    "mse_ratio": "mean ± sd",
    "error_to_lo": "median",
    "gap_closed": "mean",
    "evaluations": "mean",
    "uncertainty": "median",
    "diffeomorphic": "mean",
    "least_determinant": "mean",
    "folding": "mean",
    "seconds": "median",
    "compile": "median",
}
PROTOCOL = (
    "`mse_ratio`: mean square difference of the fixed and the moved image over that before; "
    "`error_to_lo`: median, over the voxels of a pair that either image shows, of the distance to "
    "the displacement of `lo`; percentiles of that distance in the notes are of all voxels of all "
    "pairs, as the paper's; "
    "`gap_closed`: what `lpc` wins back of what `lp` loses to `lo`, of the means of the table's "
    "first column; `evaluations`: of the energy and its gradient, at most, on all levels; "
    "`uncertainty`: rank correlation, over the same voxels, of the variance that `lpp` predicts "
    "with its distance to `lo`; `diffeomorphic`: share of pairs with "
    "det J > 0 in every voxel; `dense`: patches every "
    f"{DENSE} voxels in the place of 14, their middles counting most."
)


def optimisations(recipe: str) -> list[Contender]:
    """LDDMM by L-BFGS, from which momenta are learned, and by the paper's number of fixed steps.

    Args:
        recipe: whose momenta these are.
    """
    from zoo import methods

    levels = methods.recipe(recipe).lo
    weight = levels.levels[-1].weight
    steps = Level(
        steps=FIXED_STEPS, learning_rate=0.2, decay=1.0, weight=weight, optimiser="descent"
    )
    options = {"transform": "lddmm", "similarity": "mse"}
    return [
        Instance(LO, pyramid=levels, **options),
        Instance("lo 50 iterations", pyramid=Pyramid((steps,)), **options),
    ]


def predictions(preset: str, folder: str | None = None) -> list[Preset]:
    """A preset alone, corrected, with denser patches, sampled and refined.

    Args:
        preset: name of the preset.
        folder: of a training, whose preset is taken; ``None``: that of the zoo.
    """
    name = partial(own, folder)
    return [
        Preset("lp", name(preset)),
        Preset("lpc", name(preset), correct=True),
        Preset("lp dense", name(preset), stride=DENSE),
        Preset("lpc dense", name(preset), correct=True, stride=DENSE),
        Sampled("lpp", name(f"{preset}-lpp"), samples=SAMPLES),
        Preset("lp + refine", name(preset), REFINE),
    ]


def own(folder: str | None, preset: str) -> str:
    """A preset of the zoo, or the file of one in the folder of trainings."""
    return preset if folder is None else str(Path(folder) / "presets" / f"{preset}.json")


def add_presets(parser: argparse.ArgumentParser) -> None:
    """Declares ``--presets``."""
    parser.add_argument(
        "--presets",
        metavar="FOLDER",
        help="take lp, lpc, lpp, ... from this folder of a training (default: of the zoo)",
    )


class Sampled(Preset):
    """A preset of the probabilistic version, which keeps the variances that it answers.

    Attributes:
        variances: ``(*spatial)`` of each pair registered so far, voxels squared.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.variances: list[np.ndarray] = []

    def register(self, pair: Pair) -> Answer:
        """Registers one pair, as a user does."""
        found, seconds = self._loaded().register(pair.fixed, pair.moving)
        self.variances.append(found.details["variance"])
        return Answer(found.displacement, seconds)


class Remapped:
    """A contender that sees the fixed image in another contrast, as of another modality.

    Args:
        name: of the line.
        contender: what registers.
    """

    def __init__(self, name: str, contender: Contender) -> None:
        self.name = name
        self.ours = contender.ours
        self._contender = contender
        for what in ("unavailable", "close"):
            setattr(self, what, getattr(contender, what))

    def warm(self, pair: Pair) -> float | None:
        """As the contender."""
        return self._contender.warm(_remapped(pair))

    def register(self, pair: Pair) -> Answer:
        """Registers one pair."""
        return self._contender.register(_remapped(pair))


def _remapped(pair: Pair) -> Pair:
    from tfreg.registration.images import unit_range
    from zoo.quicksilver.learning import remapped

    # Of the range in which networks have learned it.
    return replace(pair, fixed=remapped(unit_range(pair.fixed[None, ..., None])[0, ..., 0]))


def add_evaluations(table: Table, pairs: Sequence[Pair], recipe: str, methods: Any) -> None:
    """Adds how often the energy is evaluated.

    Args:
        table: that has the other rows.
        pairs: of the table.
        recipe: whose LDDMM ``lo`` is.
        methods: names of those that ran.
    """
    from zoo import methods as of_zoo

    # Each level begins with one.
    counts = {LO: sum(level.steps + 1 for level in of_zoo.recipe(recipe).lo.levels)}
    counts |= {"lo 50 iterations": FIXED_STEPS + 1, "lp + refine": REFINE + 1}
    counts |= dict.fromkeys(("lp", "lpc", "lp dense", "lpc dense", "lpp"), 0)
    for method, count in counts.items():
        if method in methods:
            _add(table, pairs, method, "evaluations", [float(count)])


def add_uncertainty(
    table: Table,
    pairs: Sequence[Pair],
    fields: Mapping[str, Sequence[np.ndarray]],
    contenders: Sequence[Contender],
) -> None:
    """Adds how predicted variance goes with the distance to ``lo``, and draws both.

    Args:
        table: that has the other rows.
        pairs: of the table.
        fields: the displacements of every method, one per pair.
        contenders: that ran.
    """
    from scipy import stats

    from benchmarks.figures import uncertainty

    for one in contenders:
        if not isinstance(one, Sampled) or not {LO, one.name} <= set(fields):
            continue
        # The last ones: what warmed it up came before.
        variances = one.variances[-len(pairs) :]
        found = []
        for pair, variance, *both in zip(
            pairs, variances, fields[one.name], fields[LO], strict=True
        ):
            shown = _shown(pair)
            error = _distance(pair, *both)
            found.append(float(stats.spearmanr(variance.ravel()[shown], error[shown])[0]))
        _add(table, pairs, one.name, "uncertainty", found)
        index = int(np.argsort(found)[len(found) // 2])
        error = _distance(pairs[index], fields[one.name][index], fields[LO][index])
        table.figures["uncertainty.png"] = partial(
            uncertainty, pairs[index], variances[index], error.reshape(pairs[index].fixed.shape)
        )


def add_rows(
    table: Table, pairs: Sequence[Pair], fields: Mapping[str, Sequence[np.ndarray]]
) -> dict[str, list[float]]:
    """Adds what is measured on images and against LDDMM, notes percentiles, and draws grids.

    Args:
        table: that has the other rows.
        pairs: of the table.
        fields: the displacements of every method, one per pair.

    Returns:
        The ratios of mean square differences by method, one per pair.
    """
    ratios: dict[str, list[float]] = {}
    for method, found in fields.items():
        ratios[method] = [_ratio(*both) for both in zip(pairs, found, strict=True)]
        least = [_least_determinant(field) for field in found]
        _add(table, pairs, method, "mse_ratio", ratios[method])
        _add(table, pairs, method, "least_determinant", least)
        _add(table, pairs, method, "diffeomorphic", [100.0 * (value > 0) for value in least])
        if LO in fields and method != LO:
            errors = [_distance(p, a, b) for p, a, b in zip(pairs, found, fields[LO], strict=True)]
            medians = [np.median(e[_shown(p)]) for p, e in zip(pairs, errors, strict=True)]
            _add(table, pairs, method, "error_to_lo", [float(value) for value in medians])
            shown = np.percentile(np.concatenate(errors), PERCENTILES)
            numbers = ", ".join(
                f"{p:g} %: {value:.3f}" for p, value in zip(PERCENTILES, shown, strict=True)
            )
            table.notes.append(
                f"{method}: percentiles of the distance to `lo` in {pairs[0].unit}: {numbers}."
            )
    shown = {method: found for method, found in fields.items() if method in SHOWN}
    if LO in shown and set(shown) - {LO, "none"}:
        from benchmarks.figures import grids

        table.figures["grids.png"] = partial(grids, pairs, shown, LO)
    return ratios


def add_momenta(
    table: Table, pairs: Sequence[Pair], fields: Any, contenders: Sequence[Contender]
) -> None:
    """Draws the initial momenta of some methods, of the first pair.

    Args:
        table: that has the rows.
        pairs: of the table.
        fields: names of those that ran.
        contenders: of the table.
    """
    found = {}
    for one in contenders:
        if one.name in fields and one.name in (LO, "lp", "lpc", "lp + refine"):
            momentum = one.answer(pairs[0]).path.momentum
            found[one.name] = momentum.reshape(*pairs[0].fixed.shape, -1)
            one.close()
    if found:
        from benchmarks.figures import momenta

        table.figures["momenta.png"] = partial(momenta, pairs[0], found)


def add_target_overlap(
    table: Table,
    pairs: Sequence[Pair],
    fields: Mapping[str, Sequence[np.ndarray]],
    labels: Sequence[int],
) -> None:
    """Adds the overlap that the paper measures, the mean of some labels.

    Args:
        table: that has the other rows.
        pairs: of the table, with labels.
        fields: the displacements of every method, one per pair.
        labels: of which the mean is taken.
    """
    for method, found in fields.items():
        values = []
        for pair, field in zip(pairs, found, strict=True):
            overlaps = []
            for label in labels:
                moved = evaluate.warp((pair.moving_labels == label).astype("float32"), field) > 0.5
                fixed = (pair.fixed_labels == label).astype(int)
                overlaps.append(metrics.target_overlap(fixed, moved.astype(int), [1])[1])
            values.append(float(np.mean(overlaps)))
        _add(table, pairs, method, "target_overlap", values)


def add_gap(table: Table, pairs: Sequence[Pair], values: Mapping[str, Sequence[float]]) -> None:
    """Adds the share of the gap from ``lp`` to ``lo`` that ``lpc`` closes, where all three ran.

    Args:
        table: that has the other rows.
        pairs: of the table.
        values: of one metric, by method, one per pair.
    """
    if not {LO, "lp", "lpc"} <= set(values):
        return
    lo, lp, lpc = (np.asarray(values[name], float) for name in (LO, "lp", "lpc"))
    share = _share(lo.mean(), lp.mean(), lpc.mean())
    rows = np.random.default_rng(0).integers(len(lo), size=(DRAWS, len(lo)))
    drawn = _share(*(one[rows].mean(axis=1) for one in (lo, lp, lpc)))
    low, high = np.percentile(drawn, (2.5, 97.5))
    _add(table, pairs, "lpc", "gap_closed", [share])
    table.notes.append(
        f"lpc closes {share:.0f} % [{low:.0f}, {high:.0f}] of the gap from lp to lo; the interval "
        f"from {DRAWS} draws of the pairs."
    )


def _share(lo: np.ndarray, lp: np.ndarray, lpc: np.ndarray) -> np.ndarray:
    return 100 * (lpc - lp) / (lo - lp)


def _add(
    table: Table, pairs: Sequence[Pair], method: str, metric: str, values: Sequence[float]
) -> None:
    unit = unit_of(metric, pairs[0].unit)
    table.rows.append(Row.of(method, "all", metric, unit, values))


def _ratio(pair: Pair, field: np.ndarray) -> float:
    moved = evaluate.warp(pair.moving, field)
    before, after = (((image - pair.fixed) ** 2).mean() for image in (pair.moving, moved))
    return float(after / before)


def _least_determinant(field: np.ndarray) -> float:
    ndim = field.shape[-1]
    jacobian = np.stack(np.gradient(field, axis=tuple(range(ndim))), axis=-1)
    return float(np.linalg.det(jacobian + np.eye(ndim)).min())


def _shown(pair: Pair) -> np.ndarray:
    """Which voxels are not background in both images, flat."""
    return ((pair.fixed > 0) | (pair.moving > 0)).ravel()


def _distance(pair: Pair, field: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.linalg.norm((field - other) * np.array(pair.spacing), axis=-1).ravel()
