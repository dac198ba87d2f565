"""The recipe of the principal components, runnable as ``tfreg train sae-pca``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfreg.devices import alone
from tfreg.errors import InputError
from tfreg.features.principal import principal
from zoo import recipes
from zoo.patch_recipes import PatchRecipe
from zoo.sae import METHOD
from zoo.sae.pca import PatchPCA


class Components(PatchRecipe):
    """Nothing is iterated: ``--iterations`` is how many batches of patches are looked at."""

    name = "sae-pca"
    method = METHOD
    iterations, learning_rate = 400, 1e-3
    about = "principal components"

    def check(self, settings: dict[str, Any]) -> None:
        """Refuses options of an optimiser and of layers, which it has not."""
        usual = {"learning_rate": self.learning_rate, "schedule": "cosine"}
        for name, value in usual.items():
            if settings[name] != value:
                raise InputError(
                    f"--{name.replace('_', '-')} is that of an optimiser, of which components need "
                    f"none. Received: {settings[name]}"
                )
        if settings.get("bfloat16"):
            raise InputError("--bfloat16 is for layers that learn. Received: --bfloat16")

    def model(self, settings: dict[str, Any]) -> PatchPCA:
        model = PatchPCA()
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
        """Takes the components of all batches together; the curve has one point."""
        model, length = training.model, training.model.size**training.model.ndim
        batches = (
            training.batches.batch(step)["images"].reshape(-1, length)
            for step in range(settings["iterations"])
        )
        model.use(principal(batches, model.components))
        inputs, _ = training.batches.split(training.held_out)
        with alone():
            score = round(float(np.mean(model.score(inputs))), 4)
        return {"iteration": [settings["iterations"]], "ncc": [score]}


RECIPE = Components()
