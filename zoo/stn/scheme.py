"""What the recipes of all scenes share: data, schedules, and which weights are kept."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from tfreg.data import digits
from tfreg.errors import InputError
from tfreg.models import Model
from tfreg.registration import Preprocessing
from tfreg.steps import STEPS_PER_EPOCH
from zoo.halves import halve, rounded
from zoo.presets import Preset
from zoo.recipes import Recipe, Training, each
from zoo.stn import METHOD
from zoo.stn.data import Scenes, load
from zoo.stn.data import held_out as scenes_of
from zoo.stn.networks import name_of, network, transforms
from zoo.stn.optimiser import papers, steady

PAPER = {"iterations": 150_000, "learning_rate": 0.01, "schedule": "constant"}
CANDIDATES = 1000  # iterations from one to the next


class Scheme(Recipe):
    """A spatial transformer network, or a base network, for one kind of scene.

    Batches of 256; Adam with decay and a cut gradient, whose rate rises during 500 iterations and
    falls to zero along a cosine: 0.004 for convolutions and half of it for fully connected
    networks, half of either for the transformers. Of the weights after every 1,000th iteration of
    the last quarter, those are kept that are best on the held-out scenes.
    """

    method = METHOD
    sources = each(digits.SOURCES)
    iterations, batch, learning_rate = 20_000, 256, 4e-3
    whole_step = False
    models: Sequence[str]

    def kind(self, settings: dict[str, Any]) -> str:
        """Which scenes."""
        raise NotImplementedError

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--model", choices=self.models, default=self.models[0])
        parser.add_argument("--transform", help="of the transformers (default: the first)")
        parser.add_argument(
            "--paper-schedule",
            action=_PaperSchedule,
            nargs=0,
            default=False,
            help="150,000 iterations of gradient descent, rate 0.01, a tenth after each third",
        )

    def check(self, settings: dict[str, Any]) -> None:
        if settings["paper_schedule"] and settings["schedule"] != PAPER["schedule"]:
            raise InputError(
                "--paper-schedule is a schedule of its own. "
                f"Received: --schedule {settings['schedule']}"
            )
        choices, given = transforms(self.kind(settings)), settings["transform"]
        if given is not None and settings["model"] in ("fcn", "cnn"):
            raise InputError(
                f"{settings['model']} has no transformer. Received: --transform {given}"
            )
        if given not in (None, *choices):
            raise InputError(f"--transform must be one of {', '.join(choices)}. Received: {given}")

    def transform(self, settings: dict[str, Any]) -> str | None:
        """Of the transformers, if there are any."""
        if settings["model"] in ("fcn", "cnn"):
            return None
        return settings["transform"] or transforms(self.kind(settings))[0]

    def preset_name(self, settings: dict[str, Any]) -> str:
        return name_of(
            settings["data"], self.kind(settings), settings["model"], self.transform(settings)
        )

    def prepare(self, settings: dict[str, Any], folder: Path) -> Training:
        kind, data = self.kind(settings), settings["data"]
        transform = self.transform(settings)
        training = load("train", data)
        images, labels = scenes_of(kind, "validation", data)
        model = network(kind, settings["model"], transform)
        return Training(
            model,
            Scenes(kind, training, settings["batch"], settings["seed"]),
            {"images": images / 255, "labels": labels},
            summary(kind, settings["model"], transform, data),
            Preprocessing(model.size),
            f"{len(training.labels)} images, distorted anew for every batch",
            sample="scenes",
        )

    def compile(self, model: Model, settings: dict[str, Any]) -> None:
        rate, iterations = settings["learning_rate"], settings["iterations"]
        if settings["paper_schedule"]:
            optimiser = papers(rate, iterations)
        else:
            slow = [v for t in model.transformers for v in t.trainable_variables]
            rate = rate / 2 if model.base == "fcn" else rate
            optimiser = steady(rate, iterations, settings["schedule"], slow)
        # Compiling these steps as a whole makes them four times slower on a processor.
        model.compile(optimiser, jit_compile=keras.config.backend() != "tensorflow")

    def fit(
        self,
        training: Training,
        settings: dict[str, Any],
        folder: Path,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int | str = "auto",
    ) -> dict[str, Any]:
        candidates = Candidates(folder, settings["iterations"])
        curve = super().fit(training, settings, folder, [candidates, *callbacks], verbose)
        candidates.restore_best(training.model, dict(zip(*curve.values(), strict=True)))
        # The score is that of the weights as they are written.
        training.model.set_weights(rounded(training.model.get_weights()))
        return curve

    def train(self, settings: dict[str, Any], folder: Path, *args: Any, **kwargs: Any) -> Preset:
        return halve(super().train(settings, folder, *args, **kwargs))


def summary(kind: str, model: str, transform: str | None, data: str) -> str:
    """What a preset says of itself.

    Example:

    >>> from zoo.stn.scheme import summary
    >>> summary("rts", "st-cnn", "tps", "mnist")
    'ST-CNN (tps) for digits under distortion RTS, trained on MNIST'
    """
    words = model.upper().replace("X", "x") + (f" ({transform})" if transform else "")
    shown = {"clutter": "digits among clutter", "addition": "the sum of two digits"}
    scenes = shown.get(kind, f"digits under distortion {kind.upper()}")
    return f"{words} for {scenes}, trained on {digits.SOURCES[data].name}"


class Candidates(keras.callbacks.Callback):
    """Keeps the weights of the last quarter of a training, one set per 1,000 iterations.

    They lie in the folder until the best is chosen, so that an interrupted training has them.
    """

    def __init__(self, folder: Path, iterations: int) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.iterations = iterations

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        step = STEPS_PER_EPOCH * (epoch + 1)
        last = step == self.iterations
        if last or (step > 0.75 * self.iterations and step % CANDIDATES == 0):
            self._path(step).parent.mkdir(parents=True, exist_ok=True)
            self.model.save_weights(self._path(step), overwrite=True)

    def restore_best(self, model: keras.Model, accuracy: dict[int, float]) -> None:
        """Loads the weights with the highest accuracy, of equal ones the last."""
        steps = [step for step in accuracy if self._path(step).exists()]
        best = max(steps, key=lambda step: (accuracy[step], step))
        model.load_weights(self._path(best))

    def _path(self, step: int) -> Path:
        return self.folder / "candidates" / f"{step}.weights.h5"


class _PaperSchedule(argparse.Action):
    """Sets what the paper's schedule consists of, unless it was given."""

    def __call__(self, parser: Any, namespace: Any, *_: Any) -> None:
        setattr(namespace, self.dest, True)
        for name, value in PAPER.items():
            if getattr(namespace, name) == parser.get_default(name):
                setattr(namespace, name, value)
