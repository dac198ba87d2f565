"""Training DLIR: one stage after the other, or jointly; shared by its recipes."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfreg.errors import InputError
from zoo import recipes
from zoo.dlir.deformable import DeformableConvNet
from zoo.dlir.model import ACCUMULATIONS, DLIR, PAPER
from zoo.presets import Preset

# alpha of eq. (1). The paper has 0.05, of an energy whose units are not known; ours is in cells of
# the control grid, where validation pairs of hippocampi were better with less.
BENDING_WEIGHT = 0.02
LEARNING_RATE = 3e-3


def train(
    name: str,
    folder: Path,
    settings: dict[str, Any],
    stages: Sequence[dict[str, Any]],
    pairs: Any,
    held_out: dict[str, np.ndarray],
    about: recipes.About,
    voxel_size: Sequence[float] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
    intensity_range: Sequence[float] | None = None,
) -> Preset:
    """Trains the stages, each with those before it frozen, and writes the preset.

    Args:
        name: of the preset.
        folder: a folder per stage goes here, and the preset; a training that is there continues.
        settings: those of all recipes with ``data``, ``bending_weight``, ``accumulate`` and
            ``joint``; ``iterations`` are those of each stage.
        stages: of :class:`DLIR`.
        pairs: where batches come from, as :class:`tfreg.data.PairSampler`.
        held_out: the batch on which the loss is taken after every 100 iterations.
        about: what the preset says of itself.
        voxel_size, intensity_range: of :class:`DLIR`.
        callbacks, verbose: as in :func:`zoo.recipes.train`.
    """
    keras.utils.set_random_seed(settings["seed"])
    ndim = held_out["fixed"].ndim - 2
    model = DLIR(
        ndim,
        stages,
        accumulate=settings["accumulate"],
        bending_weight=settings["bending_weight"],
        joint=settings["joint"],
        voxel_size=voxel_size,
        intensity_range=intensity_range,
        name=name.replace("-", "_"),
    )
    model.build()
    curves = {}
    counts = (len(stages),) if settings["joint"] else range(1, len(stages) + 1)
    for count in counts:
        model.use_stages(count)
        if not settings["joint"]:
            inherit(model, count - 1)
        own = {**settings, "stage": count}
        place = Path(folder) / f"stage-{count}"
        recipes.minimise(
            model, pairs, held_out, own, place, callbacks, verbose, whole_step=ndim == 2
        )
        curves[f"stage {count}"] = recipes.read_log(place)
    for network in model.networks:
        network.trainable = True
    return recipes.write(model, held_out, settings, Path(folder), about, curves)


def inherit(model: DLIR, index: int) -> None:
    """Starts a deformable stage from the convolutions of the deformable stage before it.

    They have learned to see what two images differ in; the output starts at zero all the same.
    A convolution takes the weights of its namesake, where that has its shape: the first of the 1x1
    convolutions those of the first, however many poolings come before.
    """
    before, network = (model.networks[k] if k >= 0 else None for k in (index - 1, index))
    if not isinstance(before, DeformableConvNet) or not isinstance(network, DeformableConvNet):
        return
    known = {old.name: old.get_weights() for old in before.convolutions}
    for new in network.convolutions:
        weights = known.get(new.name, [])
        if [w.shape for w in weights] == [w.shape for w in new.get_weights()]:
            new.set_weights(weights)


def add_arguments(
    parser: argparse.ArgumentParser,
    iterations: int,
    batch: int,
    sources: Sequence[str],
    bending_weight: float = BENDING_WEIGHT,
) -> None:
    """Declares the options that all recipes of DLIR have; the first source is the default."""
    add = parser.add_argument
    add("--data", choices=sources, default=sources[0], help="phantom: needs no files")
    add(
        "--bending-weight",
        type=float,
        default=bending_weight,
        help=f"alpha of the deformable stages (default: {bending_weight:g})",
    )
    add("--accumulate", choices=ACCUMULATIONS, default="compose", help="add: as in the paper")
    add("--joint", action="store_true", help="all stages learn at once, on the sum of their losses")
    recipes.add_arguments(parser, iterations, LEARNING_RATE, batch)


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """The options that identify a training, checked."""
    if not 0 <= options.bending_weight < float("inf"):
        raise InputError(f"--bending-weight must be 0 or more. Received: {options.bending_weight}")
    return recipes.settings_of(options, ("data", "bending_weight", "accumulate", "joint"))


def run(options: argparse.Namespace, name: str, train: Callable) -> None:
    """Runs a recipe of DLIR from the command line."""
    settings = settings_of(options)
    name = f"{name}-phantom" if options.data == "phantom" else name
    recipes.run(options, name, lambda folder, more: train(name, folder, settings, more))


def about(
    name: str,
    summary: str,
    data: str,
    licence: str,
    command: str,
    preprocessing: dict[str, Any],
    sample: str = "pairs",
) -> recipes.About:
    """What a preset of DLIR says of itself."""
    intensity = {"intensity": "each image to [0, 1]", **preprocessing}
    return recipes.About(name, summary, PAPER, data, licence, command, intensity, sample)
