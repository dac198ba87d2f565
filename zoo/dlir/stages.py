"""Training DLIR: one stage after the other, or jointly; shared by its recipes."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras

from tfreg.errors import InputError
from tfreg.registration import Preprocessing
from zoo import recipes
from zoo.dlir import METHOD
from zoo.dlir.deformable import DeformableConvNet
from zoo.dlir.model import ACCUMULATIONS, DLIR
from zoo.writing import read_log

# alpha of eq. (1). The paper has 0.05, of an energy whose units are not known; ours is in cells of
# the control grid, where validation pairs of hippocampi were better with less.
BENDING_WEIGHT = 0.02


class Stages(recipes.Recipe):
    """A recipe that trains the stages, each with those before it frozen.

    ``--iterations`` are those of each stage.

    Attributes:
        stages: of :class:`DLIR`.
        options: further arguments of it.
    """

    method = METHOD
    learning_rate = 3e-3
    stages: ClassVar[Sequence[Mapping[str, Any]]]
    options: ClassVar[Mapping[str, Any]] = {}

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add(
            "--bending-weight",
            type=float,
            default=BENDING_WEIGHT,
            help=f"alpha of the deformable stages (default: {BENDING_WEIGHT:g})",
        )
        add("--accumulate", choices=ACCUMULATIONS, default="compose", help="add: as in the paper")
        add(
            "--joint",
            action="store_true",
            help="all stages learn at once, on the sum of their losses",
        )

    def check(self, settings: dict[str, Any]) -> None:
        weight = settings["bending_weight"]
        if not 0 <= weight < float("inf"):
            raise InputError(f"--bending-weight must be 0 or more. Received: {weight}")

    def model(self, settings: dict[str, Any], preprocessing: Preprocessing) -> DLIR:
        """The network, built."""
        model = DLIR(
            len(preprocessing.size),
            self.stages,
            accumulate=settings["accumulate"],
            bending_weight=settings["bending_weight"],
            joint=settings["joint"],
            similarity=settings.get("similarity", "ncc"),
            keep=settings.get("keep", "all"),
            voxel_size=preprocessing.voxel_size,
            intensity_range=preprocessing.intensity_range,
            percentiles=preprocessing.percentiles,
            **self.options,
        )
        model.build()
        return model

    def fit(
        self,
        training: recipes.Training,
        settings: dict[str, Any],
        folder: Path,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int | str = "auto",
    ) -> dict[str, Any]:
        """Trains in a folder per stage, and answers a curve per stage."""
        model, count = training.model, len(self.stages)
        curves = {}
        for active in (count,) if settings["joint"] else range(1, count + 1):
            model.use_stages(active)
            if not settings["joint"]:
                inherit(model, active - 1)
            self.compile(model, settings)
            own, place = {**settings, "stage": active}, folder / f"stage-{active}"
            batches, held_out = training.batches, training.held_out
            recipes.minimise(model, batches, held_out, own, place, callbacks, verbose)
            curves[f"stage {active}"] = read_log(place, model.metric)
        for network in model.networks:
            network.trainable = True
        return curves


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
