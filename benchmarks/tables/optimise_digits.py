"""Registration without a network on MNIST, beside elastix."""

import argparse

import numpy as np

from benchmarks.harness import Table, choose
from benchmarks.methods.elastix import Settings
from benchmarks.pairs import Pair
from benchmarks.tables.optimise import OURS, THREADS, Measurement, pareto
from tfreg.data import PairSampler, digits, mnist
from tfreg.errors import InputError

BATCH = 256
ELASTIX = {
    f"elastix {spacing} px x{iterations}": Settings(iterations, spacing)
    for spacing, iterations in ((4, 100), (4, 500), (4, 2000), (8, 500), (2, 500))
}
METHODS = ("none", *ELASTIX, *OURS)
COLUMNS = {
    "ncc": "mean ± sd",
    "folding": "mean",
    "seconds": "median",
    "seconds_batched": "median",
    "compile": "median",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    parser.add_argument("--pairs", type=int, default=10, help="test pairs per digit (default: 10)")
    parser.add_argument(
        "--data",
        choices=("auto", "mnist", "phantom"),
        default="auto",
        help="auto: MNIST where it is found, else phantom digits",
    )


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    if options.pairs < 1:
        raise InputError(f"--pairs must be positive. Received: {options.pairs}")
    methods = choose(options.methods, METHODS)
    data = options.data
    if data == "auto":
        data = "mnist" if mnist.available() else "phantom"
    pairs = []
    for digit in range(10):
        images, labels = digits.load("test", data, digit)
        batch = PairSampler(images, labels, options.pairs, options.seed, scale=1 / 255).batch(0)
        for index in range(options.pairs):
            fixed, moving = (np.asarray(batch[k][index, ..., 0]) for k in ("fixed", "moving"))
            pairs.append(Pair(f"digit {digit}, pair {index}", fixed, moving, (1.0, 1.0)))
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
            "elastix": f"NCC, 2 levels, every pixel, {THREADS} threads, RandomSeed 1",
        },
    )
    measurement = Measurement(table, pairs, ELASTIX, batch=BATCH, in_voxels=True)
    for method in methods:
        measurement.run(method)
    if len(methods) > 1:
        table.figures["pareto.png"] = lambda path: pareto(table, "ncc", path)
    return table
