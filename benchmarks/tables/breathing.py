"""Thoraxes that breathe, with noise and the true displacement: MIND beside NCC, and others."""

import argparse
from dataclasses import replace

from benchmarks import options as declared
from benchmarks import protocol, volumes
from benchmarks.harness import Table
from benchmarks.measurement import Measurement
from benchmarks.methods import convexadam as convexadam_module
from benchmarks.methods.contender import Contender, pick
from benchmarks.methods.convexadam import convexadam
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.greedy import greedy
from benchmarks.methods.instance import AFFINE_FIRST, instances, of_task
from benchmarks.methods.nothing import Nothing
from benchmarks.pairs import noisy
from tfreg.data import breathing, lung_motion

PAIRS = 2
NOISE = 50.0  # HU
BENDING = 1.0  # weight beside NCC, that of elastix' own default map
LIMITS = breathing.LOWEST, breathing.HIGHEST
COLUMNS = {
    "error": "mean ± sd",
    "error p95": "mean",
    "error voxels": "mean",
    "folding": "mean",
    "seconds": "median",
    "compile": "median",
}
_SIMILARITIES = {
    "": "ncc",
    " LNCC": "lncc",
    " MIND": "mind",
    " MIND + LNCC": {"mind": 1, "lncc": 1},
}


def contenders() -> list[Contender]:
    """The lines of the table."""
    elastix = [
        Elastix(
            f"elastix 10 mm x{count}{' bending' * bool(bending)}{' confined' * confined}",
            Settings(count, 10, levels=4, samples=5000, affine=True, bending=bending),
            confined=confined,
        )
        for count, bending, confined in (
            (500, 0, False),
            (500, 0, True),
            (500, BENDING, True),
        )
    ]
    return [
        Nothing(),
        *elastix,
        greedy(affine=True),
        greedy(affine=True, within=True),
        convexadam(affine=True),
        *instances("fast", transform=AFFINE_FIRST),
        *(
            one
            for name, similarity in _SIMILARITIES.items()
            for one in instances(
                "default", suffix=name, transform=AFFINE_FIRST, similarity=similarity
            )
        ),
        *instances("accurate", transform=AFFINE_FIRST),
        *(
            one
            for weight in (1.0, 3.0)
            for one in instances(
                "default",
                suffix=f" confined {weight:g}",
                transform=AFFINE_FIRST,
                confine=True,
                weight=weight,
            )
        ),
        of_task("lung-ct"),
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser, PAIRS, "pairs of each group")
    declared.add_data(
        parser,
        ("all", "phantom"),
        "phantoms, and a real CT that breathes,",
        "phantoms only",
    )


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""

    def there() -> bool:
        return breathing.available("ct") and lung_motion.available()

    data = declared.source(options, "all", there)
    chosen = pick(options.methods, contenders())
    sources = ("phantom", "deformed", "patients") if data == "all" else ("phantom",)
    pairs = [
        noisy(replace(pair, group=source), NOISE, options.seed, LIMITS)
        for source in sources
        for pair in volumes.chests(source, options.seed, options.pairs)
    ]
    real = (
        ", of a real CT (LIDC-IDRI-0001) made to breathe (`deformed`), and of that CT moved as the "
        "lungs of two patients of DIR-Lab COPDgene move (`patients`)"
    ) * (len(sources) > 1)
    table = Table(
        name="breathing",
        data="thoraxes that breathe, true displacements",
        protocol=(
            f"{options.pairs} pairs of each group, of phantoms{real}: "
            f"{'x'.join(map(str, pairs[0].fixed.shape))} voxels of "
            f"{' x '.join(f'{s:.4g}' for s in pairs[0].spacing)} mm, each a breath of the sizes of "
            "DIR-Lab 4DCT, but for `patients`, with the motion of patients who held their breath, "
            f"with noise of {NOISE:g} HU on both images. Every method gets the mask "
            "of the fixed lung; `confined`, `tfreg lung-ct` and convexAdam that of the moving one "
            "too; `bending`: with a penalty on the bending energy, of the weight of elastix' own "
            f"default map, {BENDING:g}. All but `none` register affinely first. The number of a "
            "line of tfreg is its weight of the bending energy, else 0.1. `error`: distance from "
            "the true displacement over the voxels of the lung, its mean and 95th percentile, mean "
            "over pairs; `folding`: share of the voxels of the lung where the map folds. "
            f"{protocol.SECONDS}"
        ),
        columns=COLUMNS,
        settings={
            "pairs": options.pairs,
            "seed": options.seed,
            "elastix": f"NCC, 4 levels, 5000 new random samples per iteration, {protocol.RANDOM}",
            "others": f"{protocol.GREEDY}; {convexadam_module.ABOUT}",
        },
    )
    measurement = Measurement(table, pairs, keep=1)
    measurement.run_all(chosen)
    measurement.pareto("error")
    return table
