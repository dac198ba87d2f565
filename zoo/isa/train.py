"""The recipe of independent subspace analysis, runnable as ``tfreg train isa``."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfreg.errors import InputError
from tfreg.features.principal import principal
from zoo import recipes
from zoo.isa import METHOD
from zoo.isa.model import StackedISA
from zoo.patch_recipes import PatchRecipe
from zoo.writing import read_log

WHITENED = 200  # batches whose principal components whiten


class Patches(PatchRecipe):
    """One layer after the other; ``--iterations`` each."""

    name = "isa"
    method = METHOD
    iterations, learning_rate = 2000, 1e-2
    about = "pooled responses of independent subspace analysis"

    def check(self, settings: dict[str, Any]) -> None:
        if settings.get("bfloat16"):
            raise InputError(
                "--bfloat16 is not for subspaces, whose filters are kept orthonormal. "
                "Received: --bfloat16"
            )

    def model(self, settings: dict[str, Any]) -> StackedISA:
        model = StackedISA()
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
        """Whitens what a layer sees, then trains it, in a folder of its own; a curve for each."""
        model, curves = training.model, {}
        for layer, subspaces in enumerate(model.subspaces):
            name = f"layer {layer + 1}"
            subspaces.use(principal(_seen(training, layer), subspaces.filters))
            model.learn(layer)
            self.compile(model, settings)
            own, place = {**settings, "learning": name}, folder / name.replace(" ", "-")
            batches, held_out = training.batches, training.held_out
            recipes.minimise(model, batches, held_out, own, place, callbacks, verbose)
            curves[name] = read_log(place, model.metric)
        return curves


def _seen(training: recipes.Training, layer: int) -> Iterator[np.ndarray]:
    """What a layer sees of the patches of many batches."""
    for step in range(WHITENED):
        patches = training.batches.batch(step)["images"]
        yield keras.ops.convert_to_numpy(training.model.seen(patches, layer))


RECIPE = Patches()
