"""The recipe of ``trial-digits``, runnable as ``tfreg train trial-digits``."""

from pathlib import Path
from typing import Any

import numpy as np

from tfreg.data import Array, Batches, digits
from tfreg.registration import Preprocessing
from trial import METHOD
from trial.model import TrialNet
from zoo.recipes import Recipe, Training, each

VALIDATION_IMAGES = 500


class Digits(Recipe):
    """One network for all digits."""

    name = "trial-digits"
    method = METHOD
    sources = each({"phantom": digits.SOURCES["phantom"]})
    iterations, batch, learning_rate = 600, 32, 1e-2

    def preset_name(self, settings: dict[str, Any]) -> str:
        return self.name

    def prepare(self, settings: dict[str, Any], folder: Path) -> Training:
        training, validation = (
            digits.load(split, settings["data"]) for split in ("train", "validation")
        )
        model = TrialNet([str(digit) for digit in range(10)])
        model.build()
        return Training(
            model,
            Labelled(*training, settings["batch"], settings["seed"]),
            Labelled(*validation, VALIDATION_IMAGES).batch(0),
            "two convolutions for phantom digits",
            Preprocessing((28, 28)),
            f"{len(training.images)} images",
            sample="images",
        )


class Labelled(Batches):
    """Random images with their labels."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, size: int, seed: int = 0) -> None:
        arrays = {"images": Array((28, 28, 1)), "labels": Array((), "int64")}
        super().__init__(size, seed, arrays, targets=("labels",), count=len(images))
        self.images, self.labels = images, labels

    def batch(self, step: int) -> dict[str, np.ndarray]:
        chosen = np.random.default_rng([self.seed, step]).integers(self.count, size=self.batch_size)
        images = self.images[chosen, ..., None].astype("float32") / 255
        return {"images": images, "labels": self.labels[chosen].astype("int64")}


RECIPE = Digits()
