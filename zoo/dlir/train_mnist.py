"""The recipe of ``dlir-mnist``, a small model for learning, runnable as ``tfreg train dlir-mnist``.

TorchIR's tutorial stacks the same kinds of stages for the digit 9; here one model takes any digit.
"""

from pathlib import Path
from typing import Any

from tfreg.data import PairSampler, digits
from tfreg.registration import Preprocessing
from zoo.dlir.stages import Stages
from zoo.recipes import Training, each

VALIDATION_PAIRS = 500


class Digits(Stages):
    """Random pairs of two images of the same digit."""

    name = "dlir-mnist"
    sources = each(digits.SOURCES)
    iterations, batch = 2000, 32
    stages = (
        {"kind": "affine", "convolutions": 4},
        {"kind": "deformable", "spacing": (8, 8)},
        {"kind": "deformable", "spacing": (4, 4)},
    )

    def prepare(self, settings: dict[str, Any], folder: Path) -> Training:
        training, validation = (
            digits.load(split, settings["data"]) for split in ("train", "validation")
        )
        preprocessing = Preprocessing((28, 28))
        return Training(
            self.model(settings, preprocessing),
            PairSampler(*training, settings["batch"], settings["seed"], scale=1 / 255),
            PairSampler(*validation, VALIDATION_PAIRS, scale=1 / 255).batch(0),
            "DLIR (affine, 8 px, 4 px) for any digit of MNIST, a model to learn with",
            preprocessing,
            f"{len(training.images)} images",
        )


RECIPE = Digits()
