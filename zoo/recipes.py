"""What the recipes of all methods share: a training, from its settings to its preset."""

import argparse
import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from tfreg.data import Batches, Source
from tfreg.devices import alone, mirrored
from tfreg.models import Model
from tfreg.registration import Preprocessing
from tfreg.training import fit
from zoo.methods import Method
from zoo.presets import Preset
from zoo.writing import config_of, read_log, write


@dataclass(frozen=True)
class Training:
    """What a recipe makes of its settings.

    Attributes:
        model: built; its loss and the metric that it tracks are its own.
        batches: where batches come from.
        held_out: the batch on which loss and metric are taken after every 100 iterations.
        summary: what the preset says of itself, one line.
        preprocessing: the images trained on.
        counts: how many of what, such as ``"70 patients"``.
        sample: what the held-out batch consists of.
    """

    model: Model
    batches: Batches
    held_out: dict[str, np.ndarray]
    summary: str
    preprocessing: Preprocessing
    counts: str
    sample: str = "pairs"


def each(sources: Mapping[str, Source]) -> dict[str, tuple[Source]]:
    """The choices of ``--data`` where each is one source."""
    return {name: (source,) for name, source in sources.items()}


class Recipe:
    """A training that ``tfreg train`` runs; a module of a method calls its own ``RECIPE``.

    Attributes:
        name: as ``tfreg train`` takes it.
        method: whose it is.
        sources: the data sets behind each choice of ``--data``; the first choice is the default.
        iterations, batch, learning_rate: the defaults of these options.
        whole_step: compiles a training step as a whole, which takes half the time for 2-D images;
            3-D convolutions are several times slower so.
    """

    name: ClassVar[str]
    method: ClassVar[Method]
    sources: ClassVar[Mapping[str, Sequence[Source]]]
    iterations: ClassVar[int]
    batch: ClassVar[int]
    learning_rate: ClassVar[float]
    whole_step: ClassVar[bool] = True

    def prepare(self, settings: dict[str, Any], folder: Path) -> Training:
        """Reads the images and builds the model, whose seed is set.

        Args:
            settings: all options but ``out`` and ``tensorboard``.
            folder: where what is costly to make may be kept.

        Raises:
            InputError: on data that is not there.
        """
        raise NotImplementedError

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declares the options that no other recipe has."""

    def check(self, settings: dict[str, Any]) -> None:
        """Raises ``InputError`` on unusable values of those options."""

    def preset_name(self, settings: dict[str, Any]) -> str:
        """The name of the preset that a training leaves."""
        first = next(iter(self.sources))
        return self.name if settings["data"] == first else f"{self.name}-{settings['data']}"

    def sources_of(self, settings: dict[str, Any]) -> Sequence[Source]:
        """The data sets behind a training: those of ``--data``, and what else it is given."""
        return self.sources[settings["data"]]

    def policy(self, settings: dict[str, Any]) -> str:
        """The precision in which the model is made and trained, as Keras calls it."""
        return "mixed_bfloat16" if settings.get("bfloat16") else "float32"

    def compile(self, model: Model, settings: dict[str, Any]) -> None:
        """Gives the model its optimiser: Adam, along the schedule."""
        rate: Any = settings["learning_rate"]
        if settings["schedule"] == "cosine":
            rate = keras.optimizers.schedules.CosineDecay(rate, settings["iterations"])
        # Keras does without XLA where TensorFlow is to be deterministic; JAX has nothing but XLA.
        whole_step = self.whole_step or keras.config.backend() != "tensorflow"
        # Nor is a step compiled as a whole that runs on copies of the model.
        jit_compile = whole_step and not settings["deterministic"] and not mirrored()
        model.compile(keras.optimizers.Adam(rate), jit_compile=jit_compile)

    def fit(
        self,
        training: Training,
        settings: dict[str, Any],
        folder: Path,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int | str = "auto",
    ) -> dict[str, Any]:
        """Trains, and answers the learning curve.

        Args:
            training: of :meth:`prepare`.
            settings, folder, callbacks, verbose: as in :meth:`train`.
        """
        self.compile(training.model, settings)
        minimise(
            training.model,
            training.batches,
            training.held_out,
            settings,
            folder,
            callbacks,
            verbose,
        )
        return read_log(folder, training.model.metric)

    def train(
        self,
        settings: dict[str, Any],
        folder: Path,
        name: str | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int | str = "auto",
    ) -> Preset:
        """Trains a model and writes it as a preset.

        Args:
            settings: all options of the recipe; with the network and the number of images they
                identify the training.
            folder: checkpoint, log and preset go here; a training that is there is continued.
            name: of the preset; ``None``: the recipe's own.
            callbacks: further callbacks.
            verbose: as in ``keras.Model.fit``.

        Returns:
            The preset; its files are ``<folder>/presets/<name>.json`` and beside it.

        Raises:
            InputError: on an unusable value, data that is not there, iterations that are no
                multiple of 100, or an unusable checkpoint.
        """
        self.check(settings)
        folder = Path(folder)
        keras.utils.set_random_seed(settings["seed"])
        with precision(self.policy(settings)):
            training = self.prepare(settings, folder)
        half = training.model.dtype_policy.name != "float32"
        if half:  # that is how its layers learn; the preset says how they are to be used
            training.model.dtype_policy = keras.DTypePolicy("float32")
        curve = self.fit(training, settings, folder, callbacks, verbose)
        if half:  # the score is that of the network as it is used
            training = replace(training, model=twin(training.model))
        name = name or self.preset_name(settings)
        with alone():
            return write(training, self, settings, folder, name, curve)


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """What is made within computes so."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def twin(model: Any, policy: str = "float32") -> Any:
    """The same network with the same weights and optimiser, which computes in another precision."""
    config = {key: value for key, value in model.get_config().items() if key != "dtype"}
    with precision(policy):
        other = type(model).from_config(config)
        other.build()
    other.set_weights(model.get_weights())
    if model.compiled:
        other.compile(model.optimizer, jit_compile=model.jit_compile)
    return other


def minimise(
    model: Model,
    batches: Batches,
    held_out: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
    folder: Path,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> None:
    """Trains a compiled model for ``settings["iterations"]``, from its last checkpoint.

    Args:
        model: built and compiled.
        batches, held_out: of a :class:`Training`.
        settings, folder, callbacks, verbose: as in :meth:`Recipe.train`.
    """
    # What a checkpoint is the checkpoint of: also the network and the number of images. As the
    # JSON file has it: tuples are lists there.
    identity = json.loads(
        json.dumps({**settings, "network": config_of(model), "images": batches.count})
    )
    fit(
        model,
        batches.dataset if keras.config.backend() == "tensorflow" else batches.tuples,
        settings["iterations"],
        folder,
        identity,
        validation=batches.split(held_out),
        callbacks=callbacks,
        verbose=verbose,
    )
