"""DIRNet on MNIST: NCC and time of ten networks (section 3.1 of the paper) beside elastix.

Without MNIST the table runs on phantom digits, with the one network that was trained on those.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import figures
from benchmarks import options as declared
from benchmarks import pairs as data_sets
from benchmarks.harness import Table
from benchmarks.measurement import Measurement
from benchmarks.methods.contender import Contender, pick
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.nothing import Nothing
from benchmarks.methods.per_group import PerGroup
from benchmarks.methods.preset import Preset
from tfreg.data import digits, mnist
from tfreg.viz import new_figure
from zoo.dirnet import METHOD

PAPER = METHOD.numbers["dirnet-mnist"]
REFINE = 100  # steps; chosen on validation pairs
BATCH = 256
_ELASTIX = (
    "NCC, 4 px grid, 2 levels, full sampling, linear final interpolation, 1 thread, RandomSeed 1"
)
DIGITS = [str(digit) for digit in range(10)]
NETWORKS = {"dirnet": 0, "dirnet + refine": REFINE}
COLUMNS = {
    "ncc": "mean ± sd",
    "folding": "mean",
    "seconds": "median",
    "seconds_batched": "median",
    "seconds_cold": "median",
    "peak_mib": "median",
}


def contenders(data: str = "mnist") -> list[Contender]:
    """The lines of the table: a network per digit on MNIST, one for all on phantom digits."""
    return [
        Nothing(),
        *(
            Elastix(f"elastix 2x{count}", Settings(count, 4, threads=1), in_voxels=True)
            for count in (100, 2000)
        ),
        *(
            PerGroup(name, {d: Preset(name, _preset(data, d), refine) for d in DIGITS})
            for name, refine in NETWORKS.items()
        ),
    ]


def _preset(data: str, digit: str) -> str:
    return f"dirnet-mnist-{digit}" if data == "mnist" else "dirnet-phantom"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    declared.add_pairs(parser, 30, "test pairs per digit")
    declared.add_data(parser, ("mnist", "phantom"), "MNIST", "phantom digits")


def run(options: argparse.Namespace) -> Table:
    """Registers the same pairs with every method and collects the rows."""
    data = declared.source(options, "mnist", mnist.available)
    chosen = pick(options.methods, contenders(data))
    names = [contender.name for contender in chosen]
    table = Table(
        name="dirnet-mnist",
        data="MNIST test split" if data == "mnist" else "phantom digits",
        protocol=(
            f"{options.pairs} random pairs of the same digit per digit, 28x28 pixels, the same for "
            "every method; all displacements judged by one evaluator (linear warp, NCC over the "
            "whole image, share of pixels where the map folds). `seconds`: one pair at a time, "
            f"warm; `seconds_batched`: per pair, in batches of {BATCH}; `seconds_cold`: from a "
            "fresh process to the first answer."
        ),
        columns=COLUMNS,
        settings={
            "pairs per digit": options.pairs,
            "seed": options.seed,
            **({"refine": f"{REFINE} steps"} if "dirnet + refine" in names else {}),
            **({"elastix": _ELASTIX} if any("elastix" in name for name in names) else {}),
        },
    )
    pairs = data_sets.digits(data, options.pairs, options.seed)
    measurement = Measurement(table, pairs, batch=BATCH, cold=True)
    measurement.run_all(chosen)
    if data == "phantom":
        table.notes.append("Phantom digits: the paper's values do not apply.")
    elif "dirnet" in names:
        _add_paper(table)
        table.figures["learning-curves.png"] = _learning_curves
    if set(NETWORKS) & set(names):
        limit = None if options.pairs >= 30 else BATCH  # all other test digits, as in the paper
        table.figures["mean-images.png"] = lambda path: _mean_images(data, limit, path)
    measurement.pareto("ncc", "speed.png")
    return table


def _add_paper(table: Table) -> None:
    """The paper's last value of each digit beside ours, and their mean."""
    printed = {str(digit): ncc[-1] for digit, ncc in PAPER["ncc"].items()}
    printed["all"] = round(float(np.mean(list(printed.values()))), 4)
    for index, row in enumerate(table.rows):
        if (row.method, row.metric) == ("dirnet", "ncc"):
            table.rows[index] = replace(row, paper=printed[row.group])
    table.notes.append(
        "paper: NCC on its validation set after 5,000 iterations, read from the vector "
        "graphics of its Fig. 2; it gives no number for elastix on MNIST."
    )


def _mean_images(data: str, limit: int | None, path: Path) -> None:
    """The paper's Fig. 4: one random test digit is fixed, the others are registered to it."""
    from benchmarks.methods.networks import Network

    figure, axes = new_figure(4, 10, 1.0)
    rng = np.random.default_rng(0)
    titles = ("mean of moving", "fixed", "mean of moved", "after refine")
    for digit in range(10):
        images = digits.load("test", data, digit)[0] / 255.0
        chosen = int(rng.integers(len(images)))
        moving = np.delete(images, chosen, axis=0)[:limit]
        fixed = np.broadcast_to(images[chosen], moving.shape)
        columns = [moving.mean(axis=0), images[chosen]]
        for refine in (0, REFINE):
            answer, _ = Network(_preset(data, str(digit)), refine).register(fixed, moving)
            columns.append(answer.moved.mean(axis=0))
        for row, image in enumerate(columns):
            axes[row, digit].imshow(image, cmap="gray", vmin=0, vmax=1)
            if digit == 0:
                axes[row, 0].set_ylabel(titles[row], fontsize=7)
    figure.savefig(path, dpi=200)


def _learning_curves(path: Path) -> None:
    """The paper's Fig. 2 with ours: NCC on validation pairs while training."""
    panels = [
        figures.Panel(f"digit {digit}", f"dirnet-mnist-{digit}", PAPER["iterations"], ncc)
        for digit, ncc in PAPER["ncc"].items()
    ]
    labels = ("ours", "paper, read from its Fig. 2")
    levels = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    figures.learning_curves(panels, (2, 5), (0, 2500, 5000), levels, labels, path)
