"""DLIR on chest CT: a row per stage, beside elastix, others and the paper's DIR-Lab."""

import argparse
from dataclasses import replace
from typing import Any

from benchmarks import figures, protocol, volumes
from benchmarks import options as declared
from benchmarks.harness import Table
from benchmarks.measurement import Measurement
from benchmarks.methods.ants import ants
from benchmarks.methods.contender import Contender, pick
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.greedy import greedy
from benchmarks.methods.instance import AFFINE_FIRST, instances, of_task
from benchmarks.methods.nothing import Nothing
from benchmarks.methods.preset import Preset
from benchmarks.methods.stages import REFINE, about, stages
from benchmarks.pairs import Pair
from tfreg.data import lung_pair
from zoo.dlir import METHOD

PAPER = METHOD.numbers["dlir-chest-ct"]
PRESET = "dlir-chest-ct"
# Further trainings of its recipe, by what was asked for; each has rows where the zoo has it.
VARIANTS = ("copd-vary", "copd-vary-lncc", "copd-vary-mind", "cts-copd-vary-lncc")
# The preset refines within both masks, on local NCC. That it is better here than NCC was chosen on
# validation pairs of `tfreg.data.breathing`: the density of a lung changes as it breathes.
SIMILARITY = "LNCC"
# Chosen on validation pairs of `tfreg.data.breathing`: less, and the lung's border is off.
WEIGHT = 0.3
COLUMNS = {
    "tre": "mean ± sd",
    "tre_median": "mean",
    "tre_trimmed": "mean",
    "tre p95": "mean",
    "error": "mean ± sd",
    "error p95": "mean",
    "error voxels": "mean",
    "error p95 voxels": "mean",
    "folding": "mean",
    "seconds": "median",
    "compile": "median",
}
_ABOUT = {
    "ct": "lung CT, baseline and follow-up",
    "phantom": "phantom thoraxes that breathe, true displacements",
    "deformed": "a real chest CT made to breathe, true displacements",
    "dirlab": "DIR-Lab 4DCT, extreme phases",
}
# There is one real CT with labels: what breathes for the test has breathed for the training.
_SEEN = (
    " The network was trained on other breaths of this very patient's CT, so its rows are no test "
    "on a new patient."
)
_MEASURES = {
    "tre": "`tre`: distance of the landmarks in mm, mean ± SD over all of them; `tre_median`, "
    "`tre_trimmed` (the mean without the worst landmark) and the 95th percentile, means over pairs",
    "error": "`error`: distance from the true displacement over the voxels of the lung, its mean "
    "and 95th percentile, in mm and in voxels, mean over pairs",
}


def contenders(data: str = "ct") -> list[Contender]:
    """The lines of the table."""
    network = stages(PRESET, data)
    preset = network[0].preset
    return [
        Nothing(),
        # From far a fifth level helps the coarse grid (lung pair).
        *(_elastix(*given) for given in ((20, 500, 5), (20, 2000, 5), (10, 500, 4), (10, 2000, 4))),
        Elastix("elastix default", Settings(default=True, affine=True)),
        _elastix(10, 2000, 4, confined=True),
        greedy(affine=True),
        greedy(affine=True, within=True),
        ants(affine=True),
        ants(affine=True, within=True),
        *network,
        Preset("dlir + refine fast", preset, "fast"),
        Preset("dlir + refine NCC", preset, REFINE, similarity="ncc"),
        *(row for variant in variants() for row in stages(*_variant(variant, data))),
        *_instances(),
        *_instances(" confined", weight=WEIGHT, confine=True),
        *instances("accurate", transform=AFFINE_FIRST),
        of_task("lung-ct"),
    ]


def variants() -> list[str]:
    """The further trainings that the zoo has."""
    import zoo

    there = zoo.list_presets()
    return [variant for variant in VARIANTS if f"{PRESET}-{variant}" in there]


def _variant(variant: str, data: str) -> tuple[str, str, str]:
    """What :func:`stages` takes: the rows are named ``dlir VARIANT ...``."""
    return f"{PRESET}-{variant}", data, f"dlir {variant}"


def seen(preset: str, data: str) -> bool:
    """Whether a network has learned from the very pair that is registered: then it is no test."""
    import zoo

    return data == "ct" and lung_pair.SOURCE.name in zoo.describe(preset).provenance["data"]


def _elastix(spacing: int, count: int, levels: int, confined: bool = False) -> Elastix:
    settings = Settings(count, spacing, levels=levels, samples=5000, affine=True)
    name = f"elastix {spacing} mm x{count}{' confined' * confined}"
    return Elastix(name, settings, confined=confined)


def _instances(suffix: str = "", **options: Any) -> list[Contender]:
    return [
        contender
        for similarity, named in (("ncc", ""), ("lncc", " LNCC"))
        for contender in instances(
            "fast",
            "default",
            suffix=named + suffix,
            transform=AFFINE_FIRST,
            similarity=similarity,
            **options,
        )
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser)
    declared.add_data(parser, tuple(_ABOUT), "the lung pair")


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    data = declared.source(options, "ct", lung_pair.available)
    chosen = pick(options.methods, contenders(data))
    refused = [one for one in chosen if isinstance(one, Preset) and _refused(one, data)]
    chosen = [one for one in chosen if one not in refused]
    pairs = volumes.chests(data, options.seed, options.pairs)
    measures = [text for metric, text in _MEASURES.items() if _has(pairs[0], metric)]
    masked = " gets the mask of the fixed lung" * (pairs[0].fixed_mask is not None)
    centred = " starts where the centroids of the lung masks coincide" * (data == "ct")
    given = [text for text in (masked, centred) if text]
    table = Table(
        name="dlir-chest-ct",
        data=_ABOUT[data],
        protocol=(
            f"{len(pairs)} pair{'s' * (len(pairs) > 1)}, the first "
            f"{'x'.join(map(str, pairs[0].fixed.shape))} voxels of "
            f"{' x '.join(f'{s:.4g}' for s in pairs[0].spacing)} mm"
            + (f"; every method{' and'.join(given)}" if given else "")
            + " (`none` is the start). `confined`, and the refinement of the network: with the "
            "masks of both lungs, outside of which all has one intensity; without a network with "
            f"weight {WEIGHT:g} of the bending energy. `tfreg lung-ct` is the setting for this "
            "task, with both masks too. `dlir + refine` is on local NCC, as "
            "validation pairs asked (`fast`: by the fast schedule), `dlir + refine NCC` on NCC as "
            "elastix. The network alone takes no mask, and sees voxels of the size that it was "
            "trained on; `seconds` has the way there and back. All but `none` register affinely "
            "first. "
            f"{'; '.join(measures)}; `folding`: share of the voxels of the lung "
            f"where the map folds. {protocol.SECONDS}{_SEEN * (data == 'deformed')}"
        ),
        columns=COLUMNS,
        settings=protocol.of_stages(
            len(pairs), options.seed, "4 or (20 mm) 5 levels, 5000", SIMILARITY
        ),
    )
    if len(pairs) > 1:
        pairs = [replace(pair, group=pair.name) for pair in pairs]
    measurement = Measurement(table, pairs, keep=1)
    table.notes += about(stages(PRESET, data), chosen)
    for variant in variants():
        table.notes += about(stages(*_variant(variant, data)), chosen)
    table.notes += [f"{one.name}: left out, its network has seen this pair." for one in refused]
    fields = measurement.run_all(chosen)
    if len(pairs) == 1 and _has(pairs[0], "tre"):
        measurement.compare("tre", ("elastix *", "ANTs SyN"))
    measurement.pareto(next(metric for metric in _MEASURES if _has(pairs[0], metric)))
    if data == "dirlab":
        add_paper(table, last(data))
    shown = {method: found[0] for method, found in fields.items() if _shown(method)}
    if shown:
        table.figures["coronal.png"] = lambda path: figures.coronal(pairs[0], shown, path)
    return table


def last(data: str) -> str:
    """The line of all stages without refinement: what the paper's numbers are of."""
    return stages(PRESET, data)[-2].name


def _refused(one: Preset, data: str) -> bool:
    return one.unavailable() is None and seen(one.preset, data)


def _has(pair: Pair, metric: str) -> bool:
    return {"tre": pair.fixed_points, "error": pair.truth}[metric] is not None


def _shown(method: str) -> bool:
    others = ("none", "elastix 10 mm x2000", "tfreg default")
    network = method.startswith("dlir") and "refine " not in method
    return method in others or (network and not any(variant in method for variant in VARIANTS))


def add_paper(table: Table, last: str) -> None:
    """What was printed of the paper, case by case: before, and of all stages."""
    before = {"none": 0, last: 1}
    for index, row in enumerate(table.rows):
        known = PAPER["error"].get(row.group)
        # By case the table has one column for the paper, which is of the network.
        if known is None or row.metric != "tre" or row.method not in before:
            continue
        if row.method == last or row.group == "all":
            mean, sd = known[before[row.method]]
            table.rows[index] = replace(row, paper=mean, paper_sd=sd)
    table.notes.append(
        "paper: mean ± SD of DLIR as two later papers print it [S] (Hering et al., MedIA 72, 2021, "
        "Table 5), 300 landmarks per case; the paper itself was not at hand."
    )
