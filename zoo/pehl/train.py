"""The recipe of PEHL's presets, runnable as ``tfreg train pehl``.

One training is one zone, or several zones one after the other: its points, then the regressors of
the three groups, each on what those before leave.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfreg.devices import alone
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
from zoo.presets import Preset, describe
from zoo.writing import read_log

PAIRS, HELD_OUT, STARTS = 6000, 256, 64
_BEYOND = 0.95  # of the errors that a group leaves, the next groups are trained to stand
FRONTAL = (0, 0)


class Zone(recipes.Recipe):
    """One zone of one object, or several; ``--iterations`` are those of each group."""

    name = "pehl"
    method = METHOD
    sources = SOURCES
    iterations, batch, learning_rate = 900, paper.BATCH, 1e-3
    whole_step = False  # convolutions with gradients are many times slower compiled

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add(
            "--zone",
            type=int,
            nargs="+",
            default=list(FRONTAL),
            metavar="N",
            help="t_alpha and t_beta in steps of 20 degrees (default: 0 0, the frontal zone); of "
            "several, such as 0 0 1 0 -1 0 0 1 0 -1, each gets a preset, and those that are done "
            "are left alone",
        )
        add(
            "--pairs",
            type=int,
            default=PAIRS,
            help=f"poses with an offset, of each group (default: {PAIRS}; paper: {paper.PAIRS})",
        )
        add("--global-residual", action="store_true", help="one region covers the object")
        add("--together", action="store_true", help="one network finds all six parameters")
        add(
            "--whole-space",
            action="store_true",
            help="no zones: networks for all rotations, of one region (paper: 500000 pairs)",
        )
        add(
            "--paper-schedule",
            action="store_true",
            help="SGD with momentum and a learning rate that falls as in the paper, every group "
            "from random weights, offsets of its Table I; its numbers are --learning-rate "
            f"{paper.LEARNING_RATE} --iterations {paper.ITERATIONS} --pairs {paper.PAIRS}",
        )

    def check(self, settings: dict[str, Any]) -> None:
        zone = list(settings["zone"])
        if len(zone) % 2 or not all(-9 <= index < 9 for index in zone):
            raise InputError(f"--zone must be pairs of numbers from -9 to 8. Received: {zone}")
        if len(set(zones_of(settings))) < len(zone) // 2:
            raise InputError(f"--zone must name each zone once. Received: {zone}")
        if settings["whole_space"] and (zone != list(FRONTAL) or settings["together"]):
            raise InputError("--whole-space takes neither --zone nor --together.")
        if settings["pairs"] < CHUNK or settings["pairs"] % CHUNK:
            raise InputError(
                f"--pairs must be a positive multiple of {CHUNK}. Received: {settings['pairs']}"
            )

    def policy(self, settings: dict[str, Any]) -> str:
        """Its regressors are trained one by one, each as a twin in the precision asked for."""
        return "float32"

    def preset_name(self, settings: dict[str, Any]) -> str:
        """Such as ``pehl-implant-0-0``; ``m`` for minus. Several zones share what is before."""
        name = f"pehl-{settings['data']}"
        if settings["whole_space"]:
            return f"{name}-all-without-psp"
        zones = zones_of(settings)
        if len(zones) == 1:
            name += "".join(f"-{index}" for index in zones[0]).replace("--", "-m")
        without = "-without-lir" if settings["global_residual"] else ""
        without += "-without-hpr" if settings["together"] else ""
        return f"{name}{without}" + ("-paper" if settings["paper_schedule"] else "")

    def prepare(self, settings: dict[str, Any], folder: Path) -> recipes.Training:
        folder = Path(folder)
        _claim(folder, settings)
        thing = load(settings["data"])
        architecture, share = _architecture(thing, settings, folder)
        model = PEHL(**architecture)
        model.build()
        held_out = starts(model, thing, STARTS, settings["seed"])
        where = "all rotations" if model.zone is None else "the zone {}, {}".format(*model.zone)
        return recipes.Training(
            model,
            Starts(held_out, settings["batch"], settings["seed"]),
            held_out,
            f"PEHL for {where} of a {settings['data']}, trained on synthetic X-rays",
            Preprocessing(
                thing.volume.array.shape,
                spacing=thing.volume.geometry.spacing[::-1],
                intensity_range=model.intensity_range,
            ),
            f"{settings['pairs']} pairs of a pose and an offset for each group"
            + ("" if share is None else f"; points of which {share:.0%} is of one depth"),
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
            near = not settings["paper_schedule"]
            pairs = Pairs(model, group, thing, spans[group], *made, near=near)
            held_out = pairs.held_out(HELD_OUT)
            regressor = model.regressors[group]
            if group and not settings["paper_schedule"]:
                # What edges look like, the first group has learned.
                for layer, known in zip(regressor.shared, model.regressors[0].shared, strict=True):
                    layer.set_weights(known.get_weights())
            learner = in_bfloat16(regressor) if settings["bfloat16"] else regressor
            self.compile(learner, settings)
            if _done(place) < settings["iterations"]:
                pairs.prepare()
            own = {**settings, "group": group + 1, "spans": spans[group].tolist()}
            recipes.minimise(learner, pairs, held_out, own, place, callbacks, verbose)
            regressor.set_weights(learner.get_weights())
            curves[f"group {group + 1}"] = read_log(place, regressor.metric)
            pairs.discard()
            reach = _kept(place / "left.json", partial(_left, regressor, held_out))
            # The paper's ranges are those of its Table I, whatever is left.
            for later in [] if settings["paper_schedule"] else spans[group + 1 :]:
                index = list(parameters)
                later[index] = np.maximum(later[index], reach)
        self.compile(model, settings)  # the preset names the optimiser
        # The score is that of the weights as they are written.
        model.set_weights(rounded(model.get_weights()))
        inputs, true = training.batches.split(training.held_out)
        with alone():
            value = float(np.mean(model.score(inputs, true, settings["batch"])))
        curves["registration"] = {
            "iteration": [settings["iterations"]],
            model.metric: [round(value, 4)],
        }
        return curves

    def train(
        self,
        settings: dict[str, Any],
        folder: Path,
        name: str | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int | str = "auto",
    ) -> Preset:
        """Trains every zone that is asked for; several have a folder and a preset each.

        Of several it answers the last one's preset.
        """
        self.check(settings)
        zones, presets = zones_of(settings), []
        for zone in zones:
            one = {**settings, "zone": list(zone)}
            own = self.preset_name(one)
            place = Path(folder) / own if len(zones) > 1 else Path(folder)
            own = own if name is None or len(zones) > 1 else name
            preset = _finished(place, own, one)
            if preset is None:
                preset = halve(super().train(one, place, own, callbacks, verbose))
            presets.append(preset)
        return presets[-1]


def zones_of(settings: dict[str, Any]) -> list[tuple[int, int]]:
    """The zones that are asked for."""
    zone = list(settings["zone"])
    return list(zip(zone[::2], zone[1::2], strict=True))


def in_bfloat16(regressor: Regressor) -> Regressor:
    """The same network with the same weights, which computes with half of the bits."""
    return recipes.twin(regressor, "mixed_bfloat16")


@keras.saving.register_keras_serializable(package="tfreg")
class Inverse(keras.optimizers.schedules.LearningRateSchedule):
    """``rate (1 + 0.0001 i)^-0.75`` at step i."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, step: Any) -> Any:
        return self.rate * (1 + 1e-4 * keras.ops.cast(step, "float32")) ** -0.75

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate}


def _left(regressor: Regressor, held_out: dict[str, np.ndarray]) -> list[float]:
    """What the group's parameters are off by, in 95 % of held-out pairs, in mm and degrees."""
    with alone():
        found = regressor.predict(held_out["residuals"], verbose=0)
    reach = np.quantile(np.abs(found - held_out["offsets"]), _BEYOND, axis=0)
    return (reach * regressor.ranges).tolist()


def _claim(folder: Path, settings: dict[str, Any]) -> None:
    """Raises ``InputError`` where another training has begun in a folder."""
    known = _kept(folder / "training.json", lambda: settings)
    changed = [key for key in {*known, *settings} if known.get(key) != settings.get(key)]
    if changed:
        raise InputError(
            f"{folder} holds a training with another {', '.join(sorted(changed))}; choose another "
            "folder, or delete it to start anew."
        )


def _finished(folder: Path, name: str, settings: dict[str, Any]) -> Preset | None:
    """The preset of a training that is done, if its settings are the same."""
    path = folder / "presets" / f"{name}.json"
    if not path.is_file():
        return None
    preset = describe(path)
    same = all(preset.training.get(key) == value for key, value in settings.items())
    return preset if same else None


def _done(folder: Path) -> int:
    """Iterations of a training that is there."""
    path = folder / "checkpoint.json"
    return json.loads(path.read_text(encoding="utf-8"))["step"] if path.exists() else 0


def _kept(path: Path, make: Callable[[], Any]) -> Any:
    """What a file holds; made where there is none, so that a training goes on with the same."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(make()), encoding="utf-8")
        partial.replace(path)
    return json.loads(path.read_text(encoding="utf-8"))


def _architecture(
    thing: Thing, settings: dict[str, Any], folder: Path
) -> tuple[dict[str, Any], float | None]:
    """The arguments of :class:`PEHL`, and the share of depth asked of its points.

    The points are kept in the folder.
    """
    groups = TOGETHER if settings["together"] else GROUPS
    ranges = [[row[k] for k in group] for row, group in zip(paper.OFFSETS, groups, strict=False)]
    common = {
        "zone": None if settings["whole_space"] else tuple(settings["zone"]),
        "groups": groups,
        "ranges": ranges,
        "attenuates": thing.attenuates,
        "intensity_range": thing.intensity_range,
    }
    if settings["global_residual"] or settings["whole_space"]:
        one = {"points": [[0.0, 0.0, 0.0]], "width": 1.05 * thing.size, "local": False}
        return {**common, **one}, None

    def made() -> dict[str, Any]:
        points, width, share = points_of(thing, common["zone"], settings["seed"])
        return {"points": points.round(3).tolist(), "width": width, "share": share}

    known = _kept(folder / "points.json", made)
    return {**common, "points": known["points"], "width": known["width"]}, known["share"]


RECIPE = Zone()
