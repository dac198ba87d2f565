"""The recipe of ``dlir-mnist``, a small model for learning, runnable as ``tfreg train dlir-mnist``.

TorchIR's tutorial stacks the same kinds of stages for the digit 9; here one model takes any digit.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfreg.data import PairSampler
from zoo.dirnet.train import digits
from zoo.dlir import stages
from zoo.presets import Preset

STAGES = (
    {"kind": "affine", "convolutions": 4},
    {"kind": "deformable", "spacing": (8, 8)},
    {"kind": "deformable", "spacing": (4, 4)},
)
VALIDATION_PAIRS = 500
_DATA = {
    "mnist": "MNIST (LeCun, Cortes and Burges, 1998)",
    "phantom": "phantom digits of tfreg.data.phantoms",
}
_LICENCES = {"mnist": "CC BY-SA 3.0", "phantom": "Apache-2.0"}


def train(
    name: str,
    folder: Path,
    settings: dict[str, Any],
    callbacks: Sequence[Any] = (),
    verbose: Any = "auto",
) -> Preset:
    """Trains on random pairs of two images of the same digit.

    Args:
        name: name of the preset.
        folder: checkpoints, logs and preset go here; a training that is there is continued.
        settings: ``data`` and those of :func:`zoo.dlir.stages.settings_of`.
        callbacks, verbose: as in :func:`zoo.recipes.train`.
    """
    data = settings["data"]
    (images, labels), validation = (digits(data, part, None) for part in ("train", "validation"))
    pairs = PairSampler(images, labels, settings["batch"], settings["seed"], scale=1 / 255)
    held_out = PairSampler(*validation, VALIDATION_PAIRS, scale=1 / 255).batch(0)
    about = stages.about(
        name,
        "DLIR (affine, 8 px, 4 px) for any digit of MNIST, a model to learn with",
        f"{_DATA[data]}: {len(images)} images",
        _LICENCES[data],
        "dlir-mnist",
        {"size": [28, 28]},
    )
    return stages.train(
        *(name, folder, settings, STAGES, pairs, held_out, about, None, callbacks, verbose)
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``tfreg train dlir-mnist``."""
    stages.add_arguments(parser, iterations=2000, batch=32, sources=tuple(_DATA))


def run(options: argparse.Namespace) -> None:
    """Runs ``tfreg train dlir-mnist``."""
    stages.run(options, "dlir-mnist", train)
