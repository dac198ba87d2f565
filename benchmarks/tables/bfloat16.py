"""Mixed precision: what `--bfloat16` costs in accuracy, and gains in time, for several recipes."""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.harness import Row, Table, choose
from tfreg.errors import InputError

RECIPES = ("dirnet-mnist", "dlir-mnist", "stn-mnist", "fusion")
POLICIES = {"float32": False, "bfloat16": True}
METHODS = tuple(f"{recipe} {policy}" for recipe in RECIPES for policy in POLICIES)
COLUMNS = {"score": "mean ± sd", "step": "median"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    add = parser.add_argument
    add("--iterations", type=int, default=1000, help="of a training (default: 1000)")
    add("--seeds", type=int, default=3, help="trainings of each (default: 3)")
    add("--batch", type=int, default=32, help="items each (default: 32)")


def run(options: argparse.Namespace) -> Table:
    """Trains every recipe in both precisions, from the same weights on the same batches."""
    from tfreg.steps import check_steps

    methods = choose(options.methods, METHODS)
    check_steps(options.iterations)
    for name in ("seeds", "batch"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name} must be positive. Received: {getattr(options, name)}")
    table = Table(
        name="bfloat16",
        data="the phantoms of each recipe",
        protocol=(
            f"{options.iterations} iterations of each recipe on its phantoms, batches of "
            f"{options.batch}, in float32 and in mixed bfloat16 from the same weights on the same "
            "batches, of which the validation score is taken in float32, as a preset is used. Its "
            f"SD is that of {options.seeds} seeds. `step`: seconds of a training step, the median "
            "of the epochs after the first; processors without instructions for bfloat16 convert."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed, "iterations": options.iterations, "batch": options.batch},
    )
    found: dict[str, list[float]] = {}
    for method in methods:
        recipe, policy = method.rsplit(" ", 1)
        scores, steps, metric = [], [], ""
        for seed in range(options.seed, options.seed + options.seeds):
            score, seconds = _trained(recipe, POLICIES[policy], seed, options)
            scores.append(score["value"])
            metric, steps = score["metric"], steps + seconds
        found[method] = scores
        table.rows.append(Row.of(method, "all", "score", "1", scores))
        table.rows.append(Row.of(method, "all", "step", "s", steps))
        table.notes.append(f"{method}: its score is {metric}")
    for recipe in RECIPES:
        pair = [found.get(f"{recipe} {policy}") for policy in POLICIES]
        if all(pair):
            cost = np.subtract(*pair)
            table.notes.append(
                f"{recipe}: float32 minus bfloat16, of the same seeds: {cost.mean():+.4f} "
                f"({cost.min():+.4f} to {cost.max():+.4f})"
            )
    return table


class _Clock(keras.callbacks.Callback):
    """Seconds of a step, of each epoch but the first, which compiles."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._begin, self._last, self._steps, self._epochs = 0.0, 0.0, 0, 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch == 0:
            self._begin = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._steps = batch + 1
        self._last = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._epochs:
            self.seconds.append((self._last - self._begin) / self._steps)
        self._epochs += 1


def _trained(
    name: str, half: bool, seed: int, options: argparse.Namespace
) -> tuple[dict[str, Any], list[float]]:
    from tfreg.cli import train
    from zoo import methods

    recipe = methods.recipe(name)
    words = ["--data", "phantom", "--iterations", str(options.iterations)]
    words += ["--batch", str(options.batch), "--seed", str(seed), *(["--bfloat16"] * half)]
    settings = train.settings_of(train.parser_of(recipe).parse_args(words))
    recipe.check(settings)
    clock = _Clock()
    with tempfile.TemporaryDirectory() as place:
        preset = recipe.train(settings, Path(place), None, [clock], verbose=0)
    return preset.score, clock.seconds
