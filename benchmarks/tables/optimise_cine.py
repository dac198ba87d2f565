"""Registration without a network on cardiac cine MRI, beside elastix, greedy and ANTs."""

import argparse

from benchmarks import pairs as data_sets
from benchmarks.harness import Table, choose
from benchmarks.methods.elastix import Settings
from benchmarks.tables.optimise import OURS, THREADS, TOOL_SETTINGS, TOOLS, Measurement, pareto
from tfreg.data import cine
from tfreg.errors import InputError

BATCH = 64
ELASTIX = {
    **{
        f"elastix {spacing} px x{iterations}": Settings(iterations, spacing, samples=2048)
        for spacing, iterations in ((16, 500), (8, 500), (8, 2000), (4, 500), (4, 2000))
    },
    "elastix default": Settings(default=True),
}
METHODS = ("none", *ELASTIX, *TOOLS, *OURS)
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
    parser.add_argument(
        "--pairs", type=int, default=None, help="registrations at most (default: all)"
    )
    parser.add_argument(
        "--split",
        choices=("test", "validation"),
        default="test",
        help="validation: for choosing settings (default: test)",
    )
    parser.add_argument(
        "--data",
        choices=("auto", "acdc", "phantom"),
        default="auto",
        help="auto: ACDC where it is found, else phantom hearts",
    )


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    if options.pairs is not None and options.pairs < 1:
        raise InputError(f"--pairs must be positive. Received: {options.pairs}")
    methods = choose(options.methods, METHODS)
    data = options.data
    if data == "auto":
        data = "acdc" if cine.available(("acdc",)) else "phantom"
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
                f"NCC, 2 levels, 2048 new random samples per iteration, {THREADS} threads, "
                "RandomSeed 1; `default`: its own map for B-splines"
            ),
            "others": TOOL_SETTINGS,
        },
    )
    measurement = Measurement(
        table, pairs, ELASTIX, labels={"dice": 2}, batch=BATCH, in_voxels=True
    )
    for method in methods:
        measurement.run(method)
    if len(methods) > 1:
        table.figures["pareto.png"] = lambda path: pareto(table, "dice", path)
    return table
