"""The recipe of ``dlir-cine``, runnable as ``tfreg train dlir-cine``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.data import PairSampler, stacks
from zoo.dlir import stages
from zoo.presets import Preset

STAGES = (
    {"kind": "affine"},
    {"kind": "deformable", "spacing": (2, 16, 16)},
    {"kind": "deformable", "spacing": (1, 8, 8)},
    {"kind": "deformable", "spacing": (1, 4, 4)},
)
_DATA = {
    "acdc": "ACDC (Bernard et al., IEEE TMI 37(11), 2018)",
    "phantom": "phantom stacks of tfreg.data.ventricles",
}
_LICENCES = {"acdc": "CC BY-NC-SA 4.0", "phantom": "Apache-2.0"}


def train(
    name: str,
    folder: Path,
    settings: dict[str, Any],
    callbacks: Sequence[Any] = (),
    verbose: Any = "auto",
) -> Preset:
    """Trains on the ends of diastole and systole of whole stacks, in both directions.

    Args:
        name: name of the preset.
        folder: checkpoints, logs and preset go here; a training that is there is continued.
        settings: ``data`` and those of :func:`zoo.dlir.stages.settings_of`.
        callbacks, verbose: as in :func:`zoo.recipes.train`.
    """
    data = settings["data"]
    training, validation = (stacks.hearts(part, data) for part in ("train", "validation"))
    pairs = sampler(training, settings["batch"], settings["seed"], flips=True)
    held_out = sampler(validation, 2 * len(validation.names), 0).batch(0)
    size = list(training.diastole.shape[1:])
    spacing = tuple(float(s) for s in np.median(training.spacing, axis=0))
    # The prepared file lost the size of the pixels.
    known = training.unit == "mm"
    place = {"spacing": list(spacing)} if known else {"axes": "as stored"}
    about = stages.about(
        name,
        "DLIR (affine, 16 px, 8 px, 4 px) between end diastole and end systole, whole stacks of "
        "cardiac cine MRI",
        f"{_DATA[data]}: {len(training.names)} patients",
        _LICENCES[data],
        "dlir-cine",
        {"size": size, **place},
    )
    return stages.train(
        *(name, folder, settings, STAGES, pairs, held_out, about, spacing, callbacks, verbose)
    )


def sampler(hearts: stacks.Hearts, batch: int, seed: int, flips: bool = False) -> PairSampler:
    """Pairs of the two ends of one heart, in both directions, for training flipped at random."""
    images = np.concatenate([hearts.diastole, hearts.systole])
    patients = np.tile(np.arange(len(hearts.names)), 2)
    return PairSampler(images, patients, batch, seed, symmetries=flips)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``tfreg train dlir-cine``."""
    stages.add_arguments(parser, iterations=700, batch=4, sources=tuple(_DATA))


def run(options: argparse.Namespace) -> None:
    """Runs ``tfreg train dlir-cine``."""
    stages.run(options, "dlir-cine", train)
