"""The recipes that made the MNIST presets of DIRNet, runnable as ``tfreg train dirnet-mnist``."""

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfreg.data import PairSampler, mnist, phantoms
from tfreg.errors import InputError
from zoo import recipes
from zoo.dirnet.model import PAPER, DIRNet
from zoo.presets import Preset

ARCHITECTURE = {"poolings": 2, "kernels": 16, "convolutions": 6, "boundary": "zero"}
BATCH = 32  # paper, section 3
LEARNING_RATE = 3e-3
VALIDATION_PAIRS = 500
PHANTOM_SEEDS = {"train": 1, "validation": 2, "test": 3}
_SOURCES = {
    "mnist": "MNIST (LeCun, Cortes and Burges, 1998), 50,000 of the training images",
    "phantom": "phantom digits of tfreg.data.phantoms",
}
_LICENCES = {"mnist": "CC BY-SA 3.0", "phantom": "Apache-2.0"}


def digits(data: str, split: str, digit: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of one split, of one digit or (``None``) of all.

    Args:
        data: ``"mnist"`` or ``"phantom"``.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        digit: 0 to 9, or ``None``.
    """
    if data == "phantom":
        images, labels = _phantom_digits(split)
    elif data == "mnist":
        images, labels = mnist.load(split)
    else:
        raise InputError(f"data must be mnist or phantom. Received: {data}")
    keep = np.ones(len(labels), bool) if digit is None else labels == digit
    return images[keep], labels[keep]


@functools.lru_cache
def _phantom_digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Drawn once: a table asks for them digit by digit."""
    phantom = phantoms.digits(4000 if split == "train" else 1000, seed=PHANTOM_SEEDS[split])
    return phantom.images, phantom.labels


def train(
    name: str,
    folder: Path,
    settings: dict[str, Any],
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> Preset:
    """Trains one DIRNet on random pairs of the same digit, and writes it as a preset.

    Section 3.1 of the paper: a network per digit, 5,000 iterations of 32 random pairs, Adam. The
    paper does not state a learning rate.

    Args:
        name: name of the preset.
        folder: checkpoint, log and preset go here; a training that is there is continued.
        settings: ``data``, ``digit`` (``None``: one network for all), and those of all recipes.
        callbacks, verbose: as in :func:`zoo.recipes.train`.
    """
    data, digit, seed = settings["data"], settings["digit"], settings["seed"]
    keras.utils.set_random_seed(seed)
    pairs = PairSampler(*digits(data, "train", digit), settings["batch"], seed, scale=1 / 255)
    held_out = PairSampler(*digits(data, "validation", digit), VALIDATION_PAIRS, scale=1 / 255)
    model = DIRNet(**ARCHITECTURE)
    model.build()
    which = "all digits" if digit is None else f"the digit {digit}"
    about = recipes.About(
        name=name,
        summary=f"DIRNet for {which} of 28x28 pixels, trained on {_SOURCES[data].split(' (')[0]}",
        paper=PAPER,
        data=_SOURCES[data],
        licence=_LICENCES[data],
        command="dirnet-mnist",
        preprocessing={"intensity": "each image to [0, 1]", "size": [28, 28]},
    )
    return recipes.train(
        model, pairs, held_out.batch(0), settings, folder, about, callbacks, verbose
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``tfreg train dirnet-mnist``."""
    parser.add_argument("--digit", type=int, help="the digit to train for, 0 to 9 (default: all)")
    parser.add_argument("--data", choices=tuple(_SOURCES), default="mnist")
    recipes.add_arguments(parser, iterations=5000, learning_rate=LEARNING_RATE, batch=BATCH)


def run(options: argparse.Namespace) -> None:
    """Runs ``tfreg train dirnet-mnist``."""
    if options.digit is not None and not 0 <= options.digit <= 9:
        raise InputError(f"--digit must be 0 to 9. Received: {options.digit}")
    name = f"dirnet-{options.data}" + ("" if options.digit is None else f"-{options.digit}")
    settings = recipes.settings_of(options, ("data", "digit"))
    recipes.run(options, name, lambda folder, more: train(name, folder, settings, more))
