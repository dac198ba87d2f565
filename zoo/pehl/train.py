"""The recipe of PEHL's presets, runnable as ``tfreg train pehl``.

One training is one zone: its points, then the regressors of the three groups, one after the other.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfreg.errors import InputError
from tfreg.registration import Preprocessing
from zoo import recipes
from zoo.halves import halve, rounded
from zoo.pehl import METHOD, paper
from zoo.pehl.choice import points_of
from zoo.pehl.model import GROUPS, PEHL, TOGETHER
from zoo.pehl.network import Regressor
from zoo.pehl.objects import SOURCES, Thing, load
from zoo.pehl.pairs import CHUNK, Pairs, Starts, starts
from zoo.presets import Preset
from zoo.writing import read_log

PAIRS, HELD_OUT, STARTS = 6000, 256, 64
_BEYOND = 0.95  # of the errors that a group leaves, the next groups are trained to stand


class Zone(recipes.Recipe):
    """One zone of one object; ``--iterations`` are those of each group."""

    name = "pehl"
    method = METHOD
    sources = SOURCES
    iterations, batch, learning_rate = 2000, paper.BATCH, 1e-3
    whole_step = False  # convolutions with gradients are many times slower compiled

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add(
            "--zone",
            type=int,
            nargs=2,
            default=(0, 0),
            metavar=("ALPHA", "BETA"),
            help="in steps of 20 degrees (default: 0 0, the frontal zone)",
        )
        add(
            "--pairs",
            type=int,
            default=PAIRS,
            help=f"poses with an offset, of each group (default: {PAIRS}; paper: {paper.PAIRS})",
        )
        add(
            "--bfloat16",
            action="store_true",
            help="train with half of the bits in the layers, faster where the processor knows them",
        )
        add("--global-residual", action="store_true", help="one region covers the object")
        add("--together", action="store_true", help="one network finds all six parameters")
        add(
            "--paper-schedule",
            action="store_true",
            help="SGD with momentum and a learning rate that falls as in the paper; its own are "
            f"--learning-rate {paper.LEARNING_RATE} --iterations {paper.ITERATIONS} "
            f"--pairs {paper.PAIRS}",
        )

    def check(self, settings: dict[str, Any]) -> None:
        zone = settings["zone"]
        if not all(-9 <= index < 9 for index in zone):
            raise InputError(f"--zone must be two numbers from -9 to 8. Received: {zone}")
        if settings["pairs"] < CHUNK or settings["pairs"] % CHUNK:
            raise InputError(
                f"--pairs must be a positive multiple of {CHUNK}. Received: {settings['pairs']}"
            )

    def preset_name(self, settings: dict[str, Any]) -> str:
        """Such as ``pehl-implant-0-0``; ``m`` for minus."""
        zone = "-".join(str(index).replace("-", "m") for index in settings["zone"])
        without = "-without-lir" if settings["global_residual"] else ""
        without += "-without-hpr" if settings["together"] else ""
        return f"pehl-{settings['data']}-{zone}{without}"

    def prepare(self, settings: dict[str, Any], folder: Path) -> recipes.Training:
        thing = load(settings["data"])
        model = PEHL(**_architecture(thing, settings, Path(folder)))
        model.build()
        held_out = starts(model, thing, STARTS, settings["seed"])
        zone = "{}, {}".format(*settings["zone"])
        return recipes.Training(
            model,
            Starts(held_out, settings["batch"], settings["seed"]),
            held_out,
            f"PEHL for the zone {zone} of a {settings['data']}, trained on synthetic X-rays",
            Preprocessing(thing.volume.array.shape, intensity_range=model.intensity_range),
            f"{settings['pairs']} pairs of a pose and an offset for each group",
            sample="starts",
        )

    def compile(self, model: Any, settings: dict[str, Any]) -> None:
        if not settings["paper_schedule"]:
            return super().compile(model, settings)
        # kappa_i = 0.0025 (1 + 0.0001 i)^-0.75; weight decay is a part of the gradient.
        rate = Inverse(settings["learning_rate"])
        for variable in model.trainable_variables:
            if variable.name == "kernel":
                variable.regularizer = keras.regularizers.L2(paper.DECAY / 2)
        model.compile(keras.optimizers.SGD(rate, momentum=paper.MOMENTUM), jit_compile=False)
        return None

    def fit(
        self,
        training: recipes.Training,
        settings: dict[str, Any],
        folder: Path,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int | str = "auto",
    ) -> dict[str, Any]:
        """Trains group after group, each on what those before leave; answers a curve of each."""
        model, thing = training.model, load(settings["data"])
        spans = [np.array(row) for row in paper.OFFSETS[: len(model.groups)]]
        curves = {}
        for group, parameters in enumerate(model.groups):
            place = Path(folder) / f"group-{group + 1}"
            made = (settings["pairs"], place / "pairs", settings["batch"], settings["seed"])
            pairs = Pairs(model, group, thing, spans[group], *made)
            residuals, offsets = pairs.chunk(2**20, HELD_OUT)
            held_out = {"residuals": residuals.astype("float32"), "offsets": offsets}
            regressor = model.regressors[group]
            learner = in_bfloat16(regressor) if settings["bfloat16"] else regressor
            self.compile(learner, settings)
            if _done(place) < settings["iterations"]:
                pairs.prepare()
            own = {**settings, "group": group + 1, "spans": spans[group].tolist()}
            recipes.minimise(learner, pairs, held_out, own, place, callbacks, verbose)
            regressor.set_weights(learner.get_weights())
            curves[f"group {group + 1}"] = read_log(place, regressor.metric)
            pairs.discard()
            left = regressor.predict(held_out["residuals"], verbose=0) - offsets
            reach = np.quantile(np.abs(left), _BEYOND, axis=0) * model.ranges[group]
            for later in spans[group + 1 :]:
                index = list(parameters)
                later[index] = np.maximum(later[index], reach)
        self.compile(model, settings)  # the preset names the optimiser
        # The score is that of the weights as they are written.
        model.set_weights(rounded(model.get_weights()))
        inputs, true = training.batches.split(training.held_out)
        value = float(np.mean(model.score(inputs, true, settings["batch"])))
        curves["registration"] = {
            "iteration": [settings["iterations"]],
            model.metric: [round(value, 4)],
        }
        return curves

    def train(self, settings: dict[str, Any], folder: Path, *args: Any, **kwargs: Any) -> Preset:
        settings = {**settings, "zone": list(settings["zone"])}
        return halve(super().train(settings, folder, *args, **kwargs))


def in_bfloat16(regressor: Regressor) -> Regressor:
    """The same network with the same weights, which computes with half of the bits."""
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        twin = Regressor.from_config({**regressor.get_config(), "name": f"{regressor.name}_half"})
        twin.build()
    finally:
        keras.config.set_dtype_policy(before)
    twin.set_weights(regressor.get_weights())
    return twin


@keras.saving.register_keras_serializable(package="tfreg")
class Inverse(keras.optimizers.schedules.LearningRateSchedule):
    """``rate (1 + 0.0001 i)^-0.75`` at step i."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, step: Any) -> Any:
        return self.rate * (1 + 1e-4 * keras.ops.cast(step, "float32")) ** -0.75

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate}


def _done(folder: Path) -> int:
    """Iterations of a training that is there."""
    path = folder / "checkpoint.json"
    return json.loads(path.read_text(encoding="utf-8"))["step"] if path.exists() else 0


def _architecture(thing: Thing, settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The arguments of :class:`PEHL`; its points are kept in the folder."""
    zone = tuple(settings["zone"])
    groups = TOGETHER if settings["together"] else GROUPS
    ranges = [[row[k] for k in group] for row, group in zip(paper.OFFSETS, groups, strict=False)]
    common = {
        "zone": zone,
        "groups": groups,
        "ranges": ranges,
        "attenuates": thing.attenuates,
        "intensity_range": thing.intensity_range,
    }
    if settings["global_residual"]:
        return {**common, "points": [[0.0, 0.0, 0.0]], "width": 1.05 * thing.size, "local": False}
    path = folder / "points.json"
    if not path.exists():
        points, width, share = points_of(thing, zone, settings["seed"])
        folder.mkdir(parents=True, exist_ok=True)
        kept = {"points": points.round(3).tolist(), "width": width, "share": share}
        path.write_text(json.dumps(kept), encoding="utf-8")
    kept = json.loads(path.read_text(encoding="utf-8"))
    return {**common, "points": kept["points"], "width": kept["width"]}


RECIPE = Zone()
