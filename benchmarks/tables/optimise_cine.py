"""Registration without a network on cardiac cine MRI, beside elastix, greedy and ANTs."""

import argparse

from benchmarks import options as declared
from benchmarks import pairs as data_sets
from benchmarks import protocol
from benchmarks.harness import Table
from benchmarks.measurement import Measurement
from benchmarks.methods.ants import ants
from benchmarks.methods.contender import pick
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.greedy import greedy
from benchmarks.methods.instance import instances
from benchmarks.methods.nothing import Nothing
from tfreg.data import cine

BATCH = 64
CONTENDERS = [
    Nothing(),
    *(
        Elastix(
            f"elastix {spacing} px x{count}",
            Settings(count, spacing, samples=2048),
            in_voxels=True,
        )
        for spacing, count in ((16, 500), (8, 500), (8, 2000), (4, 500), (4, 2000))
    ),
    Elastix("elastix default", Settings(default=True), in_voxels=True),
    greedy(),
    ants(),
    *instances("fast", "default", "accurate"),
]
COLUMNS = {
    "dice": "mean ± sd",
    "ncc": "mean",
    "folding": "mean",
    "seconds": "median",
    "seconds_batched": "median",
    "compile": "median",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser)
    declared.add_split(parser)
    declared.add_data(parser, ("acdc", "phantom"), "ACDC", "phantom hearts")


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    contenders = pick(options.methods, CONTENDERS)
    data = declared.source(options, "acdc", lambda: cine.available(("acdc",)))
    pairs = data_sets.cine(options.split, data, options.seed, options.pairs)
    about = "ACDC" if data == "acdc" else "phantom hearts"
    table = Table(
        name="optimise-cine",
        data=f"{about}, {options.split} split",
        protocol=(
            f"{len(pairs)} registrations: end diastole and end systole of every slice that shows "
            "the myocardium in both, each to the other, 128x128; the same for every method. Every "
            "method hands over a displacement, one evaluator warps: Dice of the myocardium (linear "
            "warp of its mask, threshold 1/2), NCC of the images, share of pixels where the map "
            "folds. `seconds`: one pair at a time, warm, on all cores; `seconds_batched`: per pair "
            f"in batches of {BATCH}; `compile`: once per size of image, not in `seconds`. Settings "
            "of tfreg were chosen on validation patients and phantoms. elastix with NCC has no "
            "penalty on folding; its default and tfreg have one on bending."
        ),
        columns=COLUMNS,
        settings={
            "pairs": len(pairs),
            "seed": options.seed,
            "elastix": (
                f"NCC, 2 levels, 2048 new random samples per iteration, {protocol.RANDOM}; "
                "`default`: its own map for B-splines"
            ),
            "others": protocol.TOOLS,
        },
    )
    measurement = Measurement(table, pairs, labels={"dice": 2}, batch=BATCH)
    measurement.run_all(contenders)
    measurement.pareto("dice")
    measurement.compare("dice", ("elastix *", "greedy"))
    return table
