"""The recipe of the network, runnable as ``tfreg train fusion``."""

from pathlib import Path
from typing import Any

import keras

from tfreg.data import photographs
from tfreg.models import Model
from tfreg.registration import Preprocessing
from zoo.fusion import METHOD
from zoo.fusion.data import Patches
from zoo.fusion.model import PATCH, FusionNetwork
from zoo.recipes import Recipe, Training

VALIDATION_PAIRS = 1000
MOMENTUM = 0.9
DECAY = 5e-4  # of the weights, added to the gradient; by momentum it acts ten times as strongly


class Focus(Recipe):
    """Gradient descent with momentum on pairs of patches, each in both orders.

    64 pairs are 128 examples. The rate falls along a cosine, but for ``--schedule constant``.
    """

    name = "fusion"
    method = METHOD
    sources = photographs.SOURCES
    iterations, batch, learning_rate = 4_000, 64, 1e-2

    def preset_name(self, settings: dict[str, Any]) -> str:
        return "fusion-cnn" if settings["data"] == "natural" else "fusion-cnn-phantom"

    def prepare(self, settings: dict[str, Any], folder: Path) -> Training:
        training, validation = (
            photographs.load(split, settings["data"]) for split in photographs.SPLITS
        )
        model = FusionNetwork()
        model.build()
        on = "natural photographs" if settings["data"] == "natural" else "phantom textures"
        return Training(
            model,
            Patches(training, settings["batch"], settings["seed"]),
            Patches(validation, VALIDATION_PAIRS).batch(0),
            f"weighs two aligned images by what is sharp in them; learnt from {on}",
            Preprocessing((PATCH, PATCH)),
            f"{len(training)} images",
            sample="pairs of patches",
        )

    def compile(self, model: Model, settings: dict[str, Any]) -> None:
        rate: Any = settings["learning_rate"]
        if settings["schedule"] == "cosine":
            rate = keras.optimizers.schedules.CosineDecay(rate, settings["iterations"])
        optimiser = keras.optimizers.SGD(
            rate, momentum=MOMENTUM, weight_decay=DECAY / (1 - MOMENTUM)
        )
        model.compile(optimiser, jit_compile=keras.config.backend() != "tensorflow")


RECIPE = Focus()
