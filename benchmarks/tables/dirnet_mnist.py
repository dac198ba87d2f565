"""DIRNet on MNIST (section 3.1 of the paper) beside elastix, on the same pairs.

Without MNIST the table runs on phantom digits, with the one network that was trained on those.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import evaluate
from benchmarks.harness import Row, Table, choose
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.networks import Network, cold_start
from benchmarks.methods.worker import WorkerError
from tfreg.data import PairSampler, digits, mnist
from tfreg.errors import InputError
from tfreg.viz import new_figure
from zoo import describe
from zoo.dirnet import METHOD

PAPER = METHOD.numbers["dirnet-mnist"]

REFINE = 100  # steps; chosen on validation pairs
BATCH = 256
ELASTIX = {"elastix 2x100": 100, "elastix 2x2000": 2000}
_ELASTIX = (
    "NCC, 4 px grid, 2 levels, full sampling, linear final interpolation, 1 thread, RandomSeed 1"
)
METHODS = ("none", *ELASTIX, "dirnet", "dirnet + refine")
COLUMNS = {
    "ncc": "mean ± sd",
    "folding": "mean",
    "seconds": "median",
    "seconds_batched": "median",
    "seconds_cold": "median",
    "peak_mib": "median",
}
UNITS = {
    "ncc": "1",
    "folding": "%",
    "seconds": "s",
    "seconds_batched": "s",
    "seconds_cold": "s",
    "peak_mib": "MiB",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    parser.add_argument("--pairs", type=int, default=30, help="test pairs per digit (default: 30)")
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
    pairs = {d: _pairs(data, d, options.pairs, options.seed) for d in range(10)}
    about = "MNIST test split" if data == "mnist" else "phantom digits"
    table = Table(
        name="dirnet-mnist",
        data=about,
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
            **({"refine": f"{REFINE} steps"} if "dirnet + refine" in methods else {}),
            **({"elastix": _ELASTIX} if set(ELASTIX) & set(methods) else {}),
        },
    )
    if data == "mnist" and "dirnet" in methods:
        table.notes.append(
            "paper: NCC on its validation set after 5,000 iterations, read from the vector "
            "graphics of its Fig. 2; it gives no number for elastix on MNIST."
        )
    if data == "phantom":
        table.notes.append("Phantom digits: the paper's values do not apply.")
    for method in methods:
        _measure(table, method, data, pairs)
    if {"dirnet", "dirnet + refine"} & set(methods):
        limit = None if options.pairs >= 30 else 100  # all other test digits, as in the paper
        table.figures["mean-images.png"] = lambda path: _mean_images(data, limit, path)
    if data == "mnist" and "dirnet" in methods:
        table.figures["learning-curves.png"] = _learning_curves
    if {"ncc", "seconds"} <= {row.metric for row in table.rows} and len(methods) > 1:
        table.figures["speed.png"] = lambda path: _speed(table, path)
    return table


def preset_of(data: str, digit: int) -> str:
    """The network for a digit: its own on MNIST, one for all on phantom digits."""
    return f"dirnet-mnist-{digit}" if data == "mnist" else "dirnet-phantom"


def _pairs(data: str, digit: int, count: int, seed: int) -> dict[str, np.ndarray]:
    images, labels = digits.load("test", data, digit)
    batch = PairSampler(images, labels, count, seed, scale=1 / 255).batch(0)
    return {key: value[..., 0] for key, value in batch.items()}


def _measure(table: Table, method: str, data: str, pairs: dict[int, dict[str, Any]]) -> None:
    values: dict[str, dict[int, list[float]]] = {}

    def add(metric: str, digit: int, value: float) -> None:
        values.setdefault(metric, {}).setdefault(digit, []).append(value)

    def judge(digit: int, index: int, displacement: np.ndarray) -> None:
        fixed, moving = pairs[digit]["fixed"][index], pairs[digit]["moving"][index]
        add("ncc", digit, evaluate.ncc(fixed, evaluate.warp(moving, displacement)))
        add("folding", digit, evaluate.folding(displacement))

    if method == "none":
        for digit, pair in pairs.items():
            for index, fixed in enumerate(pair["fixed"]):
                judge(digit, index, np.zeros((*fixed.shape, 2)))
    elif method in ELASTIX:
        _measure_elastix(table, method, pairs, judge, add)
    else:
        _measure_network(method, data, pairs, judge, add)
    for metric, groups in values.items():
        everything = [v for group in groups.values() for v in group]
        network = method == "dirnet" and metric == "ncc" and data == "mnist"
        printed = {d: PAPER["ncc"][d][-1] if network else None for d in range(10)}
        mean = float(np.mean(list(printed.values()))) if network else None
        mean = None if mean is None else round(mean, 4)
        table.rows.append(Row.of(method, "all", metric, UNITS[metric], everything, mean))
        if metric in ("ncc", "folding", "seconds"):
            table.rows += [
                Row.of(method, str(d), metric, UNITS[metric], groups[d], printed[d]) for d in groups
            ]


def _measure_elastix(table: Table, method: str, pairs: dict, judge: Any, add: Any) -> None:
    from tqdm import tqdm

    elastix = Elastix(Settings(iterations=ELASTIX[method], spacing=4))
    todo = [(digit, index) for digit in pairs for index in range(len(pairs[digit]["fixed"]))]
    try:
        for digit, index in tqdm(todo, desc=method, unit="pair"):
            fixed, moving = pairs[digit]["fixed"][index], pairs[digit]["moving"][index]
            try:
                displacement, seconds, peak = elastix(fixed, moving)
            except WorkerError as error:
                table.notes.append(f"{method} failed on digit {digit}, pair {index}: {error}")
                continue
            if (digit, index) == todo[0]:
                add("seconds_cold", digit, elastix.cold_seconds)
                _, seconds, peak = elastix(fixed, moving)  # again, warm
            judge(digit, index, displacement)
            add("seconds", digit, seconds)
        add("peak_mib", digit, peak)
    finally:
        elastix.close()


def _measure_network(method: str, data: str, pairs: dict, judge: Any, add: Any) -> None:
    from tqdm import tqdm

    refine = REFINE if method.endswith("refine") else 0
    networks = {preset_of(data, digit): None for digit in pairs}
    for preset in networks:
        networks[preset] = Network(preset, refine)
    with tqdm(total=sum(len(p["fixed"]) for p in pairs.values()), desc=method, unit="pair") as bar:
        for digit, pair in pairs.items():
            network = networks[preset_of(data, digit)]
            for index, (fixed, moving) in enumerate(zip(*pair.values(), strict=True)):
                displacement, seconds = network(fixed, moving)
                judge(digit, index, displacement)
                add("seconds", digit, seconds)
                bar.update()
            # A full batch, the pairs repeated where there are fewer.
            index = np.arange(BATCH) % len(pair["fixed"])
            fixed, moving = pair["fixed"][index], pair["moving"][index]
            for _ in range(3):
                add("seconds_batched", digit, network(fixed, moving)[1] / BATCH)
    seconds, peak = cold_start(preset_of(data, 0), pairs[0]["fixed"].shape[1:], refine)
    add("seconds_cold", 0, seconds)
    add("peak_mib", 0, peak)


def _mean_images(data: str, limit: int | None, path: Path) -> None:
    """The paper's Fig. 4: one random test digit is fixed, the others are registered to it."""
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
            answer, _ = Network(preset_of(data, digit), refine).register(fixed, moving)
            columns.append(answer.moved.mean(axis=0))
        for row, image in enumerate(columns):
            axes[row, digit].imshow(image, cmap="gray", vmin=0, vmax=1)
            if digit == 0:
                axes[row, 0].set_ylabel(titles[row], fontsize=7)
    figure.savefig(path, dpi=200)


def _learning_curves(path: Path) -> None:
    """The paper's Fig. 2 with ours: NCC on validation pairs while training."""
    figure, axes = new_figure(2, 5, 2.4)
    for digit, axis in enumerate(axes.flat):
        curve = describe(f"dirnet-mnist-{digit}").training["curve"]
        axis.plot(curve["iteration"], curve["ncc"], label="ours")
        axis.plot(
            PAPER["iterations"],
            PAPER["ncc"][digit],
            "o",
            color="black",
            markersize=3,
            label="paper, read from its Fig. 2",
        )
        axis.set_title(f"digit {digit}", fontsize=9)
        axis.set_xticks([0, 2500, 5000])
        axis.set_yticks([0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
        axis.tick_params(labelsize=7)
        axis.set_ylim(0.45, 1.0)
        axis.grid(alpha=0.3)
    axes[0, 0].legend(fontsize=6, loc="lower right")
    axes[1, 2].set_xlabel("iteration")
    axes[0, 0].set_ylabel("NCC")
    figure.savefig(path, dpi=130)


def _speed(table: Table, path: Path) -> None:
    """NCC against time per pair."""
    from matplotlib.ticker import AutoLocator, LogLocator

    figure, axes = new_figure(1, 1, 5.0)
    axis = axes[0, 0]
    cells = {(row.method, row.metric): row for row in table.rows if row.group == "all"}
    for method in dict.fromkeys(row.method for row in table.rows):
        for metric, marker in (("seconds", "o"), ("seconds_batched", "s")):
            if (method, metric) not in cells:
                continue
            x, y = cells[method, metric].median, cells[method, "ncc"].mean
            batched = metric == "seconds_batched"
            axis.semilogx(x, y, marker, color="tab:orange" if "elastix" in method else "tab:blue")
            name = f"{method}, batches of {BATCH}" if batched else method
            below = (-20, -12) if not batched else (-20, 7)
            axis.annotate(name, (x, y), xytext=below, textcoords="offset points", fontsize=7)
    if ("none", "ncc") in cells:
        axis.axhline(cells["none", "ncc"].mean, color="gray", label="no registration")
        axis.legend(fontsize=7, loc="center right")
    axis.set_xlabel("seconds per pair (log)")
    axis.set_ylabel("mean NCC")
    axis.set_title(table.data, fontsize=9)
    axis.margins(x=0.25)
    axis.xaxis.set_major_locator(LogLocator())
    axis.yaxis.set_major_locator(AutoLocator())
    axis.grid(alpha=0.3)
    figure.savefig(path, dpi=130)
