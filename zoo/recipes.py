"""What the recipes of all methods share: a training, its options, and the preset that it leaves."""

import argparse
import importlib.util
import json
import platform
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfreg import __version__, losses
from tfreg.data import PairSampler
from tfreg.errors import InputError
from tfreg.training import STEPS_PER_EPOCH, check_steps, fit
from zoo.presets import Preset, sha256_of

SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class About:
    """What a preset says of itself.

    Attributes:
        name: of the preset.
        summary: one line.
        paper, data, licence: where it comes from, and the licence of the weights.
        command: the name of the recipe, as ``tfreg train`` takes it.
        preprocessing: what happens to the images, and the size trained on.
        sample: what the score is the mean of: pairs, or patches of them.
    """

    name: str
    summary: str
    paper: str
    data: str
    licence: str
    command: str
    preprocessing: dict[str, Any]
    sample: str = "pairs"


def train(
    model: keras.Model,
    pairs: PairSampler,
    held_out: dict[str, np.ndarray],
    settings: dict[str, Any],
    folder: Path,
    about: About,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> Preset:
    """Trains a model on pairs with Adam, and writes it as a preset.

    Args:
        model: built.
        pairs: where batches come from.
        held_out: the batch on which the loss is taken after every 100 iterations.
        settings: all options of the recipe, with those of :func:`settings_of`; with the network and
            the number of images they identify the training.
        folder: checkpoint, log and preset go here; a training that is there is continued.
        about: what the preset says of itself.
        callbacks: further callbacks.
        verbose: as in ``keras.Model.fit``.

    Returns:
        The preset; its files are ``<folder>/presets/<name>.json`` and beside it.

    Raises:
        InputError: if the iterations are no multiple of 100, or the checkpoint is unusable.
    """
    minimise(model, pairs, held_out, settings, folder, callbacks, verbose)
    return write(model, held_out, settings, Path(folder), about, read_log(folder))


def minimise(
    model: keras.Model,
    pairs: PairSampler,
    held_out: dict[str, np.ndarray],
    settings: dict[str, Any],
    folder: Path,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
    whole_step: bool = True,
) -> None:
    """:func:`train` without the preset.

    ``whole_step`` compiles a training step as a whole, which takes half the time for 2-D images;
    3-D convolutions are several times slower so.
    """
    iterations = settings["iterations"]
    # What a checkpoint is the checkpoint of: also the network and the number of images. As the
    # JSON file has it: tuples are lists there.
    identity = json.loads(
        json.dumps({**settings, "network": config_of(model), "images": len(pairs.images)})
    )
    rate: Any = settings["learning_rate"]
    if settings["schedule"] == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, iterations)
    # Keras does without XLA where TensorFlow is to be deterministic; JAX has nothing but XLA.
    whole_step = whole_step or keras.config.backend() != "tensorflow"
    jit_compile = whole_step and not settings["deterministic"]
    model.compile(keras.optimizers.Adam(rate), jit_compile=jit_compile)
    fit(
        model,
        pairs.dataset if keras.config.backend() == "tensorflow" else pairs.tuples,
        iterations,
        folder,
        identity,
        validation=(held_out, None),
        callbacks=callbacks,
        verbose=verbose,
    )


def write(
    model: Any,
    held_out: dict[str, Any],
    settings: dict[str, Any],
    folder: Path,
    about: About,
    curve: dict[str, Any],
) -> Preset:
    """Writes a trained model as a preset.

    Args:
        model, held_out, settings, folder, about: as in :func:`train`.
        curve: the learning curve.
    """
    moved = model.predict(held_out, batch_size=settings["batch"], verbose=0)["moved"]
    mask = held_out.get("mask")
    values = keras.ops.convert_to_numpy(losses.ncc(held_out["fixed"], moved, mask))
    weights = folder / "weights" / f"{about.name}.weights.h5"
    for path in (weights, folder / "presets" / "x"):
        path.parent.mkdir(parents=True, exist_ok=True)
    # A fresh copy, so that the file holds the weights alone and not the optimiser's state.
    config = config_of(model)
    clean = type(model)(**config)
    clean.build()
    clean.set_weights(model.get_weights())
    clean.save_weights(weights)
    options = {key: value for key, value in settings.items() if value is not None}
    preset = Preset(
        name=about.name,
        format=1,
        summary=about.summary,
        architecture={"class": type(model).__name__, "config": config},
        preprocessing=about.preprocessing,
        provenance={
            "paper": about.paper,
            "data": about.data,
            "tfreg": __version__,
            "keras": keras.__version__,
            "backend": keras.config.backend(),
            "python": platform.python_version(),
        },
        licence=about.licence,
        training={
            "command": _command(about.command, options),
            **settings,
            "optimiser": "Adam",
            "curve": curve,
        },
        score={
            "metric": "ncc",
            "value": round(float(np.mean(values)), 4),
            "data": f"{len(values)} random {about.sample} of the validation split"
            + (", within the mask" if mask is not None else ""),
        },
        sha256=sha256_of(weights),
        path=folder / "presets" / f"{about.name}.json",
    )
    preset.write()
    return preset


def config_of(model: keras.Model) -> dict[str, Any]:
    """What makes the model again, its name apart."""
    return {key: value for key, value in model.get_config().items() if key != "name"}


def _command(recipe: str, options: dict[str, Any]) -> str:
    words = [f"tfreg train {recipe}"]
    for key, value in options.items():
        flag = f"--{key.replace('_', '-')}"
        if isinstance(value, bool):
            words += [flag] if value else []
        else:
            words.append(f"{flag} {shlex.quote(str(value))}")
    return " ".join(words)


def read_log(folder: Path) -> dict[str, list[float]]:
    """The learning curve of a training: iterations and validation NCC."""
    lines = (Path(folder) / "log.csv").read_text(encoding="utf-8").splitlines()
    header = lines[0].split(",")
    rows = [dict(zip(header, line.split(","), strict=True)) for line in lines[1:]]
    return {
        "iteration": [STEPS_PER_EPOCH * (int(row["epoch"]) + 1) for row in rows],
        # The loss is -NCC, unless the model shows the NCC apart from it.
        "ncc": [round(float(row.get("val_ncc") or -float(row["val_loss"])), 4) for row in rows],
    }


def add_arguments(
    parser: argparse.ArgumentParser, iterations: int, learning_rate: float, batch: int
) -> None:
    """Declares the options that all recipes have."""
    add = parser.add_argument
    add("--iterations", type=int, default=iterations, help=f"default: {iterations}")
    add("--batch", type=int, default=batch, help=f"pairs per iteration (default: {batch})")
    add("--learning-rate", type=float, default=learning_rate, help=f"default: {learning_rate:g}")
    add("--schedule", choices=SCHEDULES, default="cosine", help="cosine: falls to zero")
    add("--seed", type=int, default=0, help="of the weights and of the pairs (default: 0)")
    add("--out", help="folder (default: runs/<name>); an unfinished run continues")
    add("--deterministic", action="store_true", help="the same numbers every time, slower")
    add("--tensorboard", metavar="FOLDER", help="write curves for TensorBoard there")


def settings_of(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """The options that identify a training, checked; ``names`` are the recipe's own."""
    if not options.learning_rate > 0:
        raise InputError(f"--learning-rate must be positive. Received: {options.learning_rate}")
    for name in ("iterations", "batch"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name} must be positive. Received: {getattr(options, name)}")
    if options.seed < 0:
        raise InputError(f"--seed must not be negative. Received: {options.seed}")
    check_steps(options.iterations)
    common = ("iterations", "batch", "learning_rate", "schedule", "seed", "deterministic")
    return {name: getattr(options, name) for name in (*names, *common)}


def run(
    options: argparse.Namespace, name: str, start: Callable[[Path, Sequence[Any]], Preset]
) -> None:
    """Runs a recipe from the command line.

    Args:
        options: of :func:`add_arguments`.
        name: of the preset.
        start: takes the folder and further callbacks, and trains.
    """
    if options.deterministic:
        if keras.config.backend() != "tensorflow":
            raise InputError(
                "--deterministic is TensorFlow's; set KERAS_BACKEND=tensorflow. "
                f"Received: KERAS_BACKEND={keras.config.backend()}"
            )
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    callbacks = []
    if options.tensorboard:
        if importlib.util.find_spec("tensorboard") is None:
            raise InputError('--tensorboard needs: pip install "tfreg[tensorboard]"')
        callbacks.append(keras.callbacks.TensorBoard(options.tensorboard))
    folder = Path(options.out or Path("runs") / name)
    preset = start(folder, callbacks)
    print(f"{name}: validation NCC {preset.score['value']:.4f}, written to {folder}")
