"""The recipe of ``dlir-hippocampus``, runnable as ``tfreg train dlir-hippocampus``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.data import PairSampler, hippocampus
from zoo.dlir import stages
from zoo.presets import Preset

# More kernels where they are cheap: shapes of different people differ more than those of one.
KERNELS = (16, 32, 64)
STAGES = (
    {"kind": "affine"},
    {"kind": "deformable", "spacing": (8, 8, 8), "kernels": KERNELS},
    {"kind": "deformable", "spacing": (4, 4, 4), "kernels": KERNELS},
)
SPACING = (1.0, 1.0, 1.0)
VALIDATION_PAIRS = 24
_DATA = {
    "decathlon": "Medical Segmentation Decathlon, Task04 (Antonelli et al., Nature Communications "
    "13, 2022; Simpson et al., arXiv:1902.09063)",
    "phantom": "phantom hippocampi of tfreg.data.hippocampus",
}
_LICENCES = {"decathlon": "CC BY-SA 4.0", "phantom": "Apache-2.0"}


def train(
    name: str,
    folder: Path,
    settings: dict[str, Any],
    callbacks: Sequence[Any] = (),
    verbose: Any = "auto",
) -> Preset:
    """Trains on random pairs of two subjects; see :func:`zoo.dlir.stages.train`.

    Args:
        name: name of the preset.
        folder: checkpoints, logs and preset go here; a training that is there is continued.
        settings: ``data`` and those of :func:`zoo.dlir.stages.settings_of`.
        callbacks, verbose: as in :func:`zoo.recipes.train`.
    """
    data = settings["data"]
    training, validation = (hippocampus.subjects(part, data) for part in ("train", "validation"))
    pairs = sampler(training.images, settings["batch"], settings["seed"])
    held_out = sampler(validation.images, VALIDATION_PAIRS, 0).batch(0)
    about = stages.about(
        name,
        "DLIR (affine, 8 mm, 4 mm) between the hippocampi of two subjects, T1 MRI",
        f"{_DATA[data]}: {len(training.images)} volumes",
        _LICENCES[data],
        "dlir-hippocampus",
        {"size": list(training.images.shape[1:]), "spacing": list(SPACING)},
    )
    return stages.train(
        *(name, folder, settings, STAGES, pairs, held_out, about, SPACING, callbacks, verbose)
    )


def sampler(images: np.ndarray, batch: int, seed: int) -> PairSampler:
    """Random pairs of two subjects."""
    return PairSampler(images, np.zeros(len(images), int), batch, seed, scale=1 / 255)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``tfreg train dlir-hippocampus``."""
    stages.add_arguments(parser, iterations=3000, batch=4, sources=tuple(_DATA))


def run(options: argparse.Namespace) -> None:
    """Runs ``tfreg train dlir-hippocampus``."""
    stages.run(options, "dlir-hippocampus", train)
