"""The recipe of the stacked autoencoder, runnable as ``tfreg train sae``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from zoo import recipes
from zoo.patch_recipes import PatchRecipe
from zoo.sae import METHOD
from zoo.sae.model import StackedAutoencoder
from zoo.writing import read_log


class Patches(PatchRecipe):
    """Greedily, one layer after the other, then all of them as a whole; ``--iterations`` each."""

    name = "sae"
    method = METHOD
    iterations, learning_rate = 2000, 3e-3
    about = "codes of a stacked autoencoder"

    def model(self, settings: dict[str, Any]) -> StackedAutoencoder:
        model = StackedAutoencoder()
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
        """Trains each layer in a folder of its own, and answers a curve for each."""
        model, curves = training.model, {}
        stages = {f"layer {k + 1}": k for k in range(len(model.encoders))}
        for name, layer in {**stages, "whole": None}.items():
            model.learn(layer)
            self.compile(model, settings)
            own, place = {**settings, "learning": name}, folder / name.replace(" ", "-")
            batches, held_out = training.batches, training.held_out
            recipes.minimise(model, batches, held_out, own, place, callbacks, verbose)
            curves[name] = read_log(place, model.metric)
        return curves


RECIPE = Patches()
