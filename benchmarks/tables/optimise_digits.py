"""Registration without a network on MNIST, beside elastix."""

import argparse
from dataclasses import replace

from benchmarks import options as declared
from benchmarks import pairs as data_sets
from benchmarks import protocol
from benchmarks.harness import Table
from benchmarks.measurement import Measurement
from benchmarks.methods.contender import pick
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.instance import instances
from benchmarks.methods.nothing import Nothing
from tfreg.data import mnist

BATCH = 256
CONTENDERS = [
    Nothing(),
    *(
        Elastix(f"elastix {spacing} px x{count}", Settings(count, spacing), in_voxels=True)
        for spacing, count in ((4, 100), (4, 500), (4, 2000), (8, 500), (2, 500))
    ),
    *instances("fast", "default", "accurate"),
]
COLUMNS = {
    "ncc": "mean ± sd",
    "folding": "mean",
    "seconds": "median",
    "seconds_batched": "median",
    "compile": "median",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser, 10, "test pairs per digit")
    declared.add_data(parser, ("mnist", "phantom"), "MNIST", "phantom digits")


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    contenders = pick(options.methods, CONTENDERS)
    data = declared.source(options, "mnist", mnist.available)
    # Without groups: the digits are one set here.
    pairs = [replace(p, group="") for p in data_sets.digits(data, options.pairs, options.seed)]
    table = Table(
        name="optimise-digits",
        data="MNIST test split" if data == "mnist" else "phantom digits",
        protocol=(
            f"{options.pairs} random pairs of the same digit per digit, 28x28 pixels, the same for "
            "every method; one evaluator (linear warp, NCC over the whole image, share of pixels "
            "where the map folds). `seconds`: one pair at a time, warm, on all cores; "
            f"`seconds_batched`: per pair in batches of {BATCH}; `compile`: once per size of "
            "image, not in `seconds`."
        ),
        columns=COLUMNS,
        settings={
            "pairs per digit": options.pairs,
            "seed": options.seed,
            "elastix": f"NCC, 2 levels, every pixel, {protocol.RANDOM}",
        },
    )
    measurement = Measurement(table, pairs, batch=BATCH)
    measurement.run_all(contenders)
    measurement.pareto("ncc")
    return table
