"""The recipe of DIRNet's presets for digits, runnable as ``tfreg train dirnet-mnist``."""

import argparse
from pathlib import Path
from typing import Any

from tfreg.data import PairSampler, digits
from tfreg.errors import InputError
from tfreg.registration import Preprocessing
from zoo.dirnet import METHOD
from zoo.dirnet.model import DIRNet
from zoo.recipes import Recipe, Training, each

ARCHITECTURE = {"poolings": 2, "kernels": 16, "convolutions": 6, "boundary": "zero"}
VALIDATION_PAIRS = 500


class Digits(Recipe):
    """One DIRNet for one digit, or for all.

    Section 3.1 of the paper: a network per digit, 5,000 iterations of 32 random pairs, Adam. The
    paper does not state a learning rate.
    """

    name = "dirnet-mnist"
    method = METHOD
    sources = each(digits.SOURCES)
    iterations, batch, learning_rate = 5000, 32, 3e-3

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--digit", type=int, help="the digit to train for (default: all)")

    def check(self, settings: dict[str, Any]) -> None:
        if settings["digit"] is not None and settings["digit"] not in range(10):
            raise InputError(f"--digit must be 0 to 9. Received: {settings['digit']}")

    def preset_name(self, settings: dict[str, Any]) -> str:
        digit = settings["digit"]
        return f"dirnet-{settings['data']}" + ("" if digit is None else f"-{digit}")

    def prepare(self, settings: dict[str, Any], folder: Path) -> Training:
        data, digit = settings["data"], settings["digit"]
        training, validation = (digits.load(s, data, digit) for s in ("train", "validation"))
        model = DIRNet(**ARCHITECTURE)
        model.build()
        which = "all digits" if digit is None else f"the digit {digit}"
        return Training(
            model,
            PairSampler(*training, settings["batch"], settings["seed"], scale=1 / 255),
            PairSampler(*validation, VALIDATION_PAIRS, scale=1 / 255).batch(0),
            f"DIRNet for {which} of 28x28 pixels, trained on {digits.SOURCES[data].name}",
            Preprocessing((28, 28)),
            f"{len(training.images)} images",
        )


RECIPE = Digits()
