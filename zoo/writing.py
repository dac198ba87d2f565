"""Writing a training as a preset: its weights, and the JSON file that says what they are."""

import contextlib
import os
import platform
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from tfreg import __version__
from tfreg.data.source import licence_of
from tfreg.errors import InputError
from tfreg.registration import Preprocessing
from tfreg.steps import STEPS_PER_EPOCH
from zoo.presets import FORMAT, STATED, Preset, sha256_of
from zoo.tasks import TASKS

if TYPE_CHECKING:
    from zoo.recipes import Recipe, Training


def write(
    training: "Training",
    recipe: "Recipe",
    settings: dict[str, Any],
    folder: Path,
    name: str,
    curve: dict[str, Any],
) -> Preset:
    """Writes a trained model as a preset.

    Args:
        training: whose model is trained.
        recipe: what made it.
        settings, folder, name: as in :meth:`zoo.recipes.Recipe.train`.
        curve: the learning curve.
    """
    model, held_out = training.model, training.held_out
    values = model.score(*training.batches.split(held_out), batch_size=settings["batch"])
    weights = folder / "weights" / f"{name}.weights.h5"
    for path in (weights, folder / "presets" / "x"):
        path.parent.mkdir(parents=True, exist_ok=True)
    # A fresh copy, so that the file holds the weights alone and not the optimiser's state.
    clean = type(model)(**config_of(model))
    clean.build()
    clean.set_weights(model.get_weights())
    _save(clean, weights)
    sources = recipe.sources_of(settings)
    preset = Preset(
        name=name,
        format=FORMAT,
        task=model.task,
        summary=training.summary,
        architecture={"class": type(model).__name__, "config": _unstated(training)},
        preprocessing=_stated(training),
        provenance={
            "paper": recipe.method.paper,
            "data": f"{'; '.join(map(str, sources))}: {training.counts}",
            "tfreg": __version__,
            "keras": keras.__version__,
            "backend": keras.config.backend(),
            "python": platform.python_version(),
        },
        licence=licence_of(sources),
        training={
            "command": command_of(recipe.name, settings),
            **settings,
            # What is computed at once was never compiled for a training.
            "optimiser": type(model.optimizer).__name__ if model.compiled else "none",
            "curve": curve,
        },
        score={
            "metric": model.metric,
            "value": round(float(np.mean(values)), 4),
            "data": f"{len(values)} random {training.sample} of the validation split"
            + (", within the mask" if "mask" in held_out else ""),
        },
        sha256=sha256_of(weights),
        path=folder / "presets" / f"{name}.json",
    )
    preset.write()
    return preset


def _save(model: keras.Model, weights: Path) -> None:
    """Writes the weights whole, or leaves what was there.

    Raises:
        InputError: if they cannot be written, or the disk is full.
    """
    partial = weights.with_name(f"partial-{weights.name}")
    try:
        model.save_weights(partial, overwrite=True)
        os.replace(partial, weights)
    except (OSError, RuntimeError, ValueError) as error:  # HDF5 has several for a full disk
        raise InputError(f"{weights} cannot be written: {' '.join(str(error).split())}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _stated(training: "Training") -> dict[str, Any]:
    """The preprocessing as a preset has it."""
    known = training.preprocessing
    found: dict[str, Any] = {"size": known.size, "intensity_range": known.intensity_range}
    if known.intensity_range is None:
        found["percentiles"] = known.percentiles
    usual = Preprocessing(known.size)
    for name in TASKS[training.model.task].images:
        if getattr(known, name) != getattr(usual, name):
            found[name] = getattr(known, name)
    return found


def _unstated(training: "Training") -> dict[str, Any]:
    """The model's configuration without what the preprocessing says, which it must agree with."""
    config = config_of(training.model)
    for name in [name for name in STATED if name in config]:
        own, stated = config.pop(name), getattr(training.preprocessing, name)
        if own != stated:
            raise ValueError(
                f"{name} of the model must be that of its preprocessing, {stated}. Received: {own}"
            )
    return config


def config_of(model: keras.Model) -> dict[str, Any]:
    """What makes the model again, its name apart."""
    return {key: value for key, value in model.get_config().items() if key != "name"}


def command_of(recipe: str, settings: Mapping[str, Any]) -> str:
    """What to type for a training of these settings."""
    words = [f"tfreg train {recipe}"]
    for key, value in settings.items():
        flag = f"--{key.replace('_', '-')}"
        if isinstance(value, bool):
            words += [flag] if value else []
        elif value is not None:
            several = value if isinstance(value, (list, tuple)) else [value]
            words += [flag, *(shlex.quote(str(one)) for one in several)]
    return " ".join(words)


def read_log(folder: Path, metric: str) -> dict[str, list[float]]:
    """The learning curve of a training: iterations, and the metric on held-out data."""
    lines = (Path(folder) / "log.csv").read_text(encoding="utf-8").splitlines()
    header = lines[0].split(",")
    rows = [dict(zip(header, line.split(","), strict=True)) for line in lines[1:]]
    return {
        "iteration": [STEPS_PER_EPOCH * (int(row["epoch"]) + 1) for row in rows],
        metric: [round(float(row[f"val_{metric}"]), 4) for row in rows],
    }
