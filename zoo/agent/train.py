"""Training agents: what the recipes of brains and spines share."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from tfreg.devices import alone
from tfreg.errors import InputError
from tfreg.registration import Preprocessing
from tfreg.registration.images import PERCENTILES
from zoo import recipes
from zoo.agent import METHOD
from zoo.agent.dqn import Replay
from zoo.agent.lessons import NEARER, TARGETS, States
from zoo.agent.model import Agent
from zoo.agent.observation import INPUTS
from zoo.agent.scenes import Scenes
from zoo.agent.subjects import KINDS, SPACING, Subjects, subjects
from zoo.agent.walk import Stage
from zoo.halves import halve, rounded
from zoo.presets import Preset
from zoo.writing import read_log

VARIANTS = ("plus", "paper")
LEARNERS = ("greedy", "dqn", "regression")
HELD_OUT = 256
FINE = 6.0  # mm and degrees that a coarse stage leaves, and a fine one is trained on
_HOW = {"plus": "channels", "paper": "difference"}
_TARGET = {"plus": "centred", "paper": "raw"}


class Agents(recipes.Recipe):
    """An agent, stage after stage; ``--iterations`` are those of each stage.

    Attributes:
        kind: of :data:`zoo.agent.subjects.KINDS`.
        coarse: the first stage of each variant.
        fine: the second one.
    """

    method = METHOD
    iterations, batch, learning_rate = 1000, 32, 1e-3
    whole_step = False  # convolutions with gradients are many times slower compiled
    kind: ClassVar[str]
    coarse: ClassVar[dict[str, Stage]]
    fine: ClassVar[dict[str, Stage]]

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add(
            "--variant",
            choices=VARIANTS,
            default=VARIANTS[0],
            help="paper: steps of 1 mm and 1 degree, the difference image, values as they are, the "
            "fixed image as it was scanned (default: plus, see zoo/agent/README.md)",
        )
        add("--how", choices=INPUTS, help="what the network sees (default: the variant's)")
        add("--target", choices=TARGETS, help="values of actions (default: the variant's)")
        add(
            "--learner",
            choices=LEARNERS,
            default=LEARNERS[0],
            help="greedy: exact values; dqn: Q-learning with a replay memory; regression: the "
            "offset in one step",
        )
        add("--stages", type=int, choices=(1, 2), default=1, help="2: a fine one after the coarse")
        add(
            "--reach",
            type=float,
            default=1.0,
            help="times the range of the starts that are trained on (default: 1; 2: 60 mm, 60 deg)",
        )
        add("--subjects", type=int, help="the first so many (default: all of the split)")

    def check(self, settings: dict[str, Any]) -> None:
        if not 0 < settings["reach"] < float("inf"):
            raise InputError(f"--reach must be positive. Received: {settings['reach']}")
        if settings["subjects"] is not None and settings["subjects"] < 1:
            raise InputError(f"--subjects must be positive. Received: {settings['subjects']}")
        if settings["batch"] > HELD_OUT or HELD_OUT % settings["batch"]:
            raise InputError(f"--batch must divide {HELD_OUT}. Received: {settings['batch']}")
        if settings["target"] is not None and settings["learner"] != "greedy":
            raise InputError(
                "--target is of --learner greedy: the others have their own. "
                f"Received: --target {settings['target']} --learner {settings['learner']}"
            )

    def preset_name(self, settings: dict[str, Any]) -> str:
        """Such as ``agent-brain-plus``; ``agent-brain`` is the paper's."""
        name = self.name if settings["variant"] == "paper" else f"{self.name}-plus"
        if settings["data"] != next(iter(self.sources)):
            name += f"-{settings['data']}"
        for key, default in (
            ("how", _HOW[settings["variant"]]),
            ("target", _TARGET[settings["variant"]]),
            ("learner", LEARNERS[0]),
        ):
            value = settings[key]
            name += "" if value in (None, default) else f"-{value}"
        name += "-two-stages" if settings["stages"] == 2 else ""
        return name + ("" if settings["reach"] == 1 else f"-reach-{settings['reach']:g}")

    def prepare(self, settings: dict[str, Any], folder: Path) -> recipes.Training:
        chosen = self._stages(settings)
        spacing = min(SPACING, chosen[-1].spacing)
        known = [self._subjects(split, settings, spacing) for split in ("train", "validation")]
        model = Agent(
            [asdict(stage) for stage in chosen],
            how=settings["how"] or _HOW[settings["variant"]],
            voxel_size=(spacing,) * 3,
        )
        model.build()
        lessons = self._lessons(known[0], chosen[0], 0, settings)
        return recipes.Training(
            model,
            lessons,
            self._held_out(known[1], chosen[0], 0, settings),
            self._summary(settings),
            Preprocessing(
                known[0].volumes.shape[1:],
                spacing=(spacing,) * 3,
                percentiles=PERCENTILES,
                covers="field of view",
            ),
            f"{len(known[0])} subjects, deformed and posed at random",
            sample="states",
        )

    def fit(
        self,
        training: recipes.Training,
        settings: dict[str, Any],
        folder: Path,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int | str = "auto",
    ) -> dict[str, Any]:
        """Trains stage after stage; answers a curve of each."""
        model, curves = training.model, {}
        for index, stage in enumerate(model.stages):
            network, place = model.networks[index], Path(folder) / f"stage-{index + 1}"
            lessons, held_out = training.batches, training.held_out
            if index:
                known = [
                    self._subjects(split, settings, model.voxel_size[0])
                    for split in ("train", "validation")
                ]
                lessons = self._lessons(known[0], stage, index, settings)
                held_out = self._held_out(known[1], stage, index, settings)
            if settings["learner"] == "dqn":
                lessons = Replay(lessons, network, settings["iterations"])
            self.compile(network, settings)
            own = {**settings, "stage": index + 1}
            recipes.minimise(network, lessons, held_out, own, place, callbacks, verbose)
            curves[f"stage {index + 1}"] = read_log(place, network.metric)
        self.compile(model, settings)  # the preset names the optimiser
        # The score is that of the weights as they are written.
        model.set_weights(rounded(model.get_weights()))
        inputs, targets = training.batches.split(training.held_out)
        with alone():
            used = recipes.twin(model)  # in float32, as a preset is used
            value = float(np.mean(used.score(inputs, targets, settings["batch"])))
        curves["first stage as written"] = {
            "iteration": [settings["iterations"]],
            model.metric: [round(value, 4)],
        }
        return curves

    def train(self, *args: Any, **kwargs: Any) -> Preset:
        """Trains a model and writes it as a preset, in half precision."""
        return halve(super().train(*args, **kwargs))

    def _stages(self, settings: dict[str, Any]) -> list[Stage]:
        variant, learner = settings["variant"], settings["learner"]
        found = [self.coarse[variant]]
        if settings["stages"] == 2:
            found.append(self.fine[variant])
        if learner == "regression":
            spans = [self._ranges(index, settings) for index in range(len(found))]
            found = [
                Stage(stage.size, stage.spacing, stage.step, ranges=tuple(span))
                for stage, span in zip(found, spans, strict=True)
            ]
        return found

    def _ranges(self, index: int, settings: dict[str, Any]) -> list[float]:
        if index:
            return [FINE] * 6
        return [settings["reach"] * value for value in KINDS[self.kind].ranges]

    def _subjects(self, split: str, settings: dict[str, Any], spacing: float) -> Subjects:
        return subjects(self.kind, split, settings["data"], spacing, settings["subjects"])

    def _lessons(
        self,
        found: Subjects,
        stage: Stage,
        index: int,
        settings: dict[str, Any],
        batch: int | None = None,
        seed: int | None = None,
    ) -> States:
        plus = settings["variant"] == "plus"
        how = settings["how"] or _HOW[settings["variant"]]
        # Q-learning finds values as they are, which its validation holds it to.
        own = "raw" if settings["learner"] == "dqn" else _TARGET[settings["variant"]]
        target = settings["target"] or own
        # Beyond the usual range as many states lie within it as without.
        nearer = NEARER if settings["reach"] == 1 else (*NEARER, 1 / settings["reach"])
        return States(
            Scenes(found, stage.size, stage.spacing, how, posed=plus),
            self._ranges(index, settings),
            stage.step,
            settings["batch"] if batch is None else batch,
            settings["seed"] if seed is None else seed,
            None if settings["learner"] == "regression" else target,
            nearer=nearer if plus else (1.0, 1 / 3),
            walked=plus and settings["learner"] != "regression",
        )

    def _held_out(
        self, found: Subjects, stage: Stage, index: int, settings: dict[str, Any]
    ) -> dict[str, np.ndarray]:
        """States of the validation split, the same whatever is trained."""
        size = min(HELD_OUT, 32)
        lessons = self._lessons(found, stage, index, settings, batch=size, seed=2**20)
        parts = [lessons.batch(k) for k in range(HELD_OUT // size)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _summary(self, settings: dict[str, Any]) -> str:
        what = "brain MRI" if self.kind == "brain" else "the spine, CT to cone-beam CT"
        how = "by steps" if settings["learner"] != "regression" else "in one step"
        return f"Rigid registration of {what} {how}, {settings['variant']}"
