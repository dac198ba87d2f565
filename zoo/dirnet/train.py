"""The recipes that made the presets of DIRNet, runnable as ``tfreg train dirnet-mnist``."""

import argparse
import functools
import platform
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfreg import __version__, losses
from tfreg.data import PairSampler, mnist, phantoms
from tfreg.errors import InputError
from tfreg.training import check_steps, fit
from zoo.dirnet.model import DIRNet
from zoo.presets import Preset, sha256_of

ARCHITECTURE = {"poolings": 2, "kernels": 16, "convolutions": 6, "boundary": "zero"}
BATCH = 32  # paper, section 3
LEARNING_RATE = 3e-3
VALIDATION_PAIRS = 500
PHANTOM_SEEDS = {"train": 1, "validation": 2, "test": 3}


def digits(data: str, split: str, digit: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of one split, of one digit or (``None``) of all.

    Args:
        data: ``"mnist"`` or ``"phantom"``.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        digit: 0 to 9, or ``None``.
    """
    if data == "phantom":
        images, labels = _phantom_digits(split)
    elif data == "mnist":
        images, labels = mnist.load(split)
    else:
        raise InputError(f"data must be mnist or phantom. Received: {data}")
    keep = np.ones(len(labels), bool) if digit is None else labels == digit
    return images[keep], labels[keep]


@functools.lru_cache
def _phantom_digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Drawn once: a table asks for them digit by digit."""
    phantom = phantoms.digits(4000 if split == "train" else 1000, seed=PHANTOM_SEEDS[split])
    return phantom.images, phantom.labels


def train(
    name: str,
    folder: Path,
    data: str,
    digit: int | None,
    iterations: int,
    learning_rate: float,
    schedule: str,
    seed: int,
    verbose: int | str = "auto",
) -> Preset:
    """Trains one DIRNet on random pairs of the same digit, and writes it as a preset.

    Section 3.1 of the paper: a network per digit, 5,000 iterations of 32 random pairs, Adam. The
    paper does not state a learning rate.

    Args:
        name: name of the preset.
        folder: checkpoint, log and preset go here; a training that is there is continued.
        data: ``"mnist"`` or ``"phantom"``.
        digit: the digit, or ``None`` for one network for all.
        iterations: number of iterations.
        learning_rate: that of Adam at the start.
        schedule: ``"cosine"`` (decay to zero) or ``"constant"``.
        seed: of the weights and of the pairs.
        verbose: as in ``keras.Model.fit``.

    Returns:
        The preset; its files are ``<folder>/presets/<name>.json`` and beside it.
    """
    check_steps(iterations)
    recipe = {
        "data": data,
        "digit": digit,
        "iterations": iterations,
        "batch": BATCH,
        "optimiser": "Adam",
        "learning_rate": learning_rate,
        "schedule": schedule,
        "seed": seed,
    }
    keras.utils.set_random_seed(seed)
    sampler = PairSampler(*digits(data, "train", digit), BATCH, seed, scale=1 / 255)
    held_out = PairSampler(
        *digits(data, "validation", digit), VALIDATION_PAIRS, seed=0, scale=1 / 255
    ).batch(0)
    model = DIRNet(**ARCHITECTURE)
    model.build()
    model.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(learning_rate, iterations)
            if schedule == "cosine"
            else learning_rate
        ),
        jit_compile=True,  # images of 28 pixels: measured twice as fast as the graph
    )
    tensorflow = keras.config.backend() == "tensorflow"
    fit(
        model,
        sampler.dataset if tensorflow else sampler.tuples,
        iterations,
        folder,
        recipe,
        validation=(held_out, None),
        verbose=verbose,
    )
    return _write_preset(name, Path(folder), model, recipe, held_out)


def _write_preset(
    name: str, folder: Path, model: DIRNet, recipe: dict[str, Any], held_out: dict[str, Any]
) -> Preset:
    moved = model(held_out, training=False)["moved"]
    score = float(np.mean(keras.ops.convert_to_numpy(losses.ncc(held_out["fixed"], moved))))
    weights = folder / "weights" / f"{name}.weights.h5"
    for path in (weights, folder / "presets" / "x"):
        path.parent.mkdir(parents=True, exist_ok=True)
    # A fresh copy, so that the file holds the weights alone and not the optimiser's state.
    clean = DIRNet(**ARCHITECTURE)
    clean.build()
    clean.set_weights(model.get_weights())
    clean.save_weights(weights)
    digit = "all digits" if recipe["digit"] is None else f"the digit {recipe['digit']}"
    source = {
        "mnist": "MNIST (LeCun, Cortes and Burges, 1998), 50,000 of the training images",
        "phantom": "phantom digits of tfreg.data.phantoms",
    }[recipe["data"]]
    preset = Preset(
        name=name,
        format=1,
        summary=f"DIRNet for {digit} of 28x28 pixels, trained on {source.split(',')[0]}",
        architecture={"class": "DIRNet", "config": ARCHITECTURE},
        preprocessing={"intensity": "each image to [0, 1]", "size": [28, 28]},
        provenance={
            "paper": "de Vos et al., DLMIA 2017, doi:10.1007/978-3-319-67558-9_24",
            "data": source,
            "tfreg": __version__,
            "keras": keras.__version__,
            "backend": keras.config.backend(),
            "python": platform.python_version(),
        },
        licence="CC BY-SA 3.0" if recipe["data"] == "mnist" else "Apache-2.0",
        training={
            "command": _command(recipe),
            **recipe,
            "curve": read_log(folder),
        },
        score={
            "metric": "ncc",
            "value": round(score, 4),
            "data": f"{VALIDATION_PAIRS} random pairs of the validation split",
        },
        sha256=sha256_of(weights),
        path=folder / "presets" / f"{name}.json",
    )
    preset.write()
    return preset


def _command(recipe: dict[str, Any]) -> str:
    keys = ("data", "digit", "iterations", "learning_rate", "schedule", "seed")
    words = [f"--{k.replace('_', '-')} {recipe[k]}" for k in keys if recipe[k] is not None]
    return " ".join(["tfreg train dirnet-mnist", *words])


def read_log(folder: Path) -> dict[str, list[float]]:
    """The learning curve of a training: iterations and validation NCC."""
    lines = (Path(folder) / "log.csv").read_text(encoding="utf-8").splitlines()
    header = lines[0].split(",")
    epoch, value = header.index("epoch"), header.index("val_loss")
    rows = [line.split(",") for line in lines[1:]]
    return {
        "iteration": [100 * (int(row[epoch]) + 1) for row in rows],
        "ncc": [round(-float(row[value]), 4) for row in rows],
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``tfreg train dirnet-mnist``."""
    parser.add_argument("--digit", type=int, help="the digit to train for, 0 to 9 (default: all)")
    parser.add_argument("--data", choices=("mnist", "phantom"), default="mnist")
    parser.add_argument("--iterations", type=int, default=5000, help="default: 5000, as the paper")
    parser.add_argument("--learning-rate", type=float, default=LEARNING_RATE)
    parser.add_argument("--schedule", choices=("cosine", "constant"), default="cosine")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="folder (default: runs/<name>); an unfinished run continues")


def run(options: argparse.Namespace) -> None:
    """Runs ``tfreg train dirnet-mnist``."""
    if options.digit is not None and not 0 <= options.digit <= 9:
        raise InputError(f"--digit must be 0 to 9. Received: {options.digit}")
    if not options.learning_rate > 0:
        raise InputError(f"--learning-rate must be positive. Received: {options.learning_rate}")
    if options.seed < 0:
        raise InputError(f"--seed must not be negative. Received: {options.seed}")
    name = f"dirnet-{options.data}" + ("" if options.digit is None else f"-{options.digit}")
    folder = Path(options.out or Path("runs") / name)
    preset = train(
        name,
        folder,
        options.data,
        options.digit,
        options.iterations,
        options.learning_rate,
        options.schedule,
        options.seed,
    )
    print(f"{name}: validation NCC {preset.score['value']:.4f}, written to {folder}")
