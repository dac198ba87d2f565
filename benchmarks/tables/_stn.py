"""What the tables of spatial transformer networks share: error rates, time, and where they look."""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

import zoo
from benchmarks import options as declared
from benchmarks.harness import Row, Table, choose
from benchmarks.measurement import timed
from benchmarks.tables import _stn_figures as figures
from tfreg import ops
from tfreg.data import mnist
from tfreg.errors import InputError
from zoo.stn.data import held_out
from zoo.stn.networks import name_of, network
from zoo.stn.train_mnist import RECIPE

BATCH = 256
COLUMNS = {
    "error": "mean",
    "error_paper": "mean",
    "error_low": "mean",
    "error_high": "mean",
    "error_seeds": "mean",
    "parameters": "mean",
    "seconds": "median",
}
_STEP = {"iterations": 1000, "learning_rate": 4e-3, "schedule": "cosine", "paper_schedule": False}
_QUANTILE = 1.959964  # of the normal distribution, for 95 %
PROTOCOL = (
    "Every network classifies the same {count} scenes of test digits through `classify`; the "
    "distortions are drawn once, by seed. `error`: share of wrong labels; `error_low`, "
    "`error_high`: Wilson's 95 % interval; `error_paper`: the paper's, the mean of three networks; "
    "`error_seeds`: mean of our networks of several seeds, from the record of their training "
    "in the preset (`training.seeds`), of which the preset is the one with the lowest error on the "
    "validation split; `parameters` in thousands; `seconds`: a batch of 256, warm."
)


class Network(NamedTuple):
    """A line of a table: what it is called, and which preset it is."""

    method: str
    model: str
    transform: str | None


def networks(models: Sequence[str], transforms: Sequence[str]) -> list[Network]:
    """The lines of a table: base networks, and each other one with every transform."""
    bases = [Network(model, model, None) for model in models if model in ("fcn", "cnn")]
    return bases + [
        Network(f"{model} {transform}", model, transform)
        for model in models
        if model not in ("fcn", "cnn")
        for transform in transforms
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of these tables."""
    parser.add_argument("--images", type=int, help="test digits (default: all)")
    declared.add_data(parser, ("mnist", "phantom"), "MNIST", "phantom digits")


def table(
    name: str,
    options: argparse.Namespace,
    lines: Sequence[Network],
    groups: Mapping[str, str],
    paper: Mapping[str, Mapping[str, float]],
) -> Table:
    """Classifies the scenes of every group with every network.

    Args:
        name: of the table.
        options: of the command.
        lines: the networks.
        groups: the kind of scene of each group.
        paper: its errors in %, by method and kind of scene.
    """
    if options.images is not None and options.images < 1:
        raise InputError(f"--images must be positive. Received: {options.images}")
    data = declared.source(options, "mnist", mnist.available)
    chosen = choose(options.methods, [line.method for line in lines])
    scenes = {
        kind: held_out(kind, "test", data, options.images, options.seed) for kind in groups.values()
    }
    count = len(next(iter(scenes.values()))[1])
    made = Table(
        name=name,
        data="MNIST test split" if data == "mnist" else "phantom digits",
        protocol=PROTOCOL.format(count=f"{count:,}"),
        columns=COLUMNS,
        settings={"images": count, "seed": options.seed},
        layout="groups",
    )
    if data == "phantom":
        made.notes.append("The networks were trained on MNIST; the paper's values do not apply.")
        paper = {}
    for line in lines:
        if line.method in chosen:
            for group, kind in groups.items():
                known = paper.get(line.method, {}).get(kind)
                made.rows += _rows(line, group, kind, scenes[kind], known)
    images = {kind: images[: figures.COLUMNS] for kind, (images, _) in scenes.items()}
    made.figures["examples.png"] = lambda path: figures.examples(images, path)
    looked = [line for line in lines if line.method in chosen and line.transform]
    if looked:
        answers = {
            (kind, line.method): load(line, kind).classify(single(some[: figures.ROWS]))
            for kind, some in images.items()
            for line in looked
        }
        made.figures["grids.png"] = lambda path: figures.grids(images, answers, path)
    return made


def load(line: Network, kind: str) -> Any:
    """The network of a line for a kind of scene."""
    preset = name_of("mnist", kind, line.model, line.transform)
    return zoo.load(preset, task="classification")


def _rows(
    line: Network, group: str, kind: str, scenes: tuple[np.ndarray, ...], paper: float | None
) -> list[Row]:
    images, labels = single(scenes[0]), scenes[1]
    found = load(line, kind)
    wrong = found.classify(images).labels != labels
    low, high = wilson(int(wrong.sum()), len(wrong))
    batch = np.resize(images, (BATCH, *images.shape[1:]))
    seconds = timed(lambda: found.classify(batch))
    preset = zoo.describe(name_of("mnist", kind, line.model, line.transform))
    seeds = preset.training.get("seeds", {}).get("test_error", [])
    numbers = {
        "error": ("%", 100.0 * wrong),
        "error_low": ("%", [100 * low]),
        "error_high": ("%", [100 * high]),
        "parameters": ("k", [found.count_params() / 1000]),
        "seconds": ("s", seconds),
        **({"error_paper": ("%", [paper])} if paper is not None else {}),
        **({"error_seeds": ("%", seeds)} if len(seeds) > 1 else {}),
    }
    return [
        Row.of(line.method, group, metric, unit, values, paper if metric == "error" else None)
        for metric, (unit, values) in numbers.items()
    ]


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, 1927).

    Example:

    >>> from benchmarks.tables._stn import wilson
    >>> [round(end, 4) for end in wilson(70, 10_000)]
    [0.0055, 0.0088]
    """
    z = _QUANTILE**2 / count
    share = hits / count
    middle = (share + z / 2) / (1 + z)
    half = math.sqrt(z * share * (1 - share) + z**2 / 4) / (1 + z)
    return middle - half, middle + half


def cost(line: Network, group: str, kind: str) -> list[Row]:
    """Seconds of a training step of 256 scenes, and of one warp of these with its gradient."""
    images, labels = held_out(kind, "validation", "phantom", BATCH)
    images = images / 255
    model = network(kind, line.model, line.transform)
    RECIPE.compile(model, _STEP)
    runs: dict[str, Callable[[], Any]] = {"step": lambda: model.train_on_batch(images, labels)}
    if model.transformers:
        warp = model.transformers[0].warp
        traced = ops.graph(lambda x, u: ops.value_and_gradient(lambda v: warp(x, v), u))
        shift = np.full((*images.shape[:3], 2), 0.3, "float32")
        tensors = [keras.ops.convert_to_tensor(values) for values in (images, shift)]
        runs["warp"] = lambda: traced(*tensors)
    return [Row.of(line.method, group, metric, "s", timed(run)) for metric, run in runs.items()]


def single(images: np.ndarray) -> np.ndarray:
    """Images as ``classify`` takes them: no axis for one channel."""
    return images[..., 0] if images.shape[-1] == 1 else images
