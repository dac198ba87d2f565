"""The recipe that made the cine MRI presets of DIRNet, runnable as ``tfreg train dirnet-cine``."""

import argparse
import platform
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfreg import __version__, losses
from tfreg.data import PairSampler, cine
from tfreg.errors import InputError
from tfreg.training import check_steps, fit
from zoo.dirnet.model import VARIANTS, DIRNet, variant
from zoo.dirnet.train import read_log
from zoo.presets import Preset, sha256_of

BATCH = 32  # paper, section 3
LEARNING_RATE = 1e-3
VALIDATION_PAIRS = 200
DATA = {"all": cine.SOURCES, "cc0": ("sunnybrook",)}
_CITATIONS = {
    "sunnybrook": "Sunnybrook Cardiac Data (Radau et al., The MIDAS Journal 2009)",
    "acdc": "ACDC (Bernard et al., IEEE TMI 37(11), 2018)",
}


def train(
    name: str,
    folder: Path,
    kind: str,
    data: str,
    iterations: int,
    learning_rate: float,
    schedule: str,
    seed: int,
    verbose: int | str = "auto",
) -> Preset:
    """Trains one variant on random ordered pairs of time points of one slice.

    Section 3.2 of the paper: at least 10,000 iterations of 32 random pairs, Adam; the rate is not
    stated.

    Args:
        name: name of the preset.
        folder: checkpoint, log and preset go here; a training that is there is continued.
        kind: a variant of Table 1, ``"bl"`` to ``"c2"``.
        data: ``"all"`` (Sunnybrook and ACDC) or ``"cc0"`` (Sunnybrook alone).
        iterations: number of iterations.
        learning_rate: that of Adam at the start.
        schedule: ``"cosine"`` (decay to zero) or ``"constant"``.
        seed: of the weights and of the pairs.
        verbose: as in ``keras.Model.fit``.
    """
    check_steps(iterations)
    recipe = {
        "variant": kind,
        "data": data,
        "iterations": iterations,
        "batch": BATCH,
        "optimiser": "Adam",
        "learning_rate": learning_rate,
        "schedule": schedule,
        "seed": seed,
    }
    keras.utils.set_random_seed(seed)
    pairs, held_out = (
        PairSampler(images, slices, size, seed=pairs_seed)
        for (images, slices, _), size, pairs_seed in (
            (cine.frames("train", DATA[data]), BATCH, seed),
            (cine.frames("validation", DATA[data]), VALIDATION_PAIRS, 0),
        )
    )
    model = variant(kind, (cine.SIZE, cine.SIZE))
    model.build()
    rate: Any = learning_rate
    if schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, iterations)
    # Convolutions of this size are faster in TensorFlow's ordinary graph.
    jit = keras.config.backend() != "tensorflow"
    model.compile(keras.optimizers.Adam(rate), jit_compile=jit)
    batches = pairs.tuples if jit else pairs.dataset
    held_out = held_out.batch(0)
    fit(model, batches, iterations, folder, recipe, validation=(held_out, None), verbose=verbose)
    return _write_preset(name, Path(folder), model, recipe, held_out)


def _write_preset(
    name: str, folder: Path, model: DIRNet, recipe: dict[str, Any], held_out: dict[str, Any]
) -> Preset:
    moved = model.predict(held_out, batch_size=BATCH, verbose=0)["moved"]
    similarity = losses.ncc(held_out["fixed"], moved)
    score = float(np.mean(keras.ops.convert_to_numpy(similarity)))
    weights = folder / "weights" / f"{name}.weights.h5"
    for path in (weights, folder / "presets" / "x"):
        path.parent.mkdir(parents=True, exist_ok=True)
    # A fresh copy, so that the file holds the weights alone and not the optimiser's state.
    clean = DIRNet.from_config({**model.get_config(), "name": "dirnet"})
    clean.build()
    clean.set_weights(model.get_weights())
    clean.save_weights(weights)
    sources = DATA[recipe["data"]]
    config = {key: value for key, value in model.get_config().items() if key != "name"}
    preset = Preset(
        name=name,
        format=1,
        summary=f"DIRNet {recipe['variant'].upper()} for cardiac cine MRI, short axis",
        architecture={"class": "DIRNet", "config": config},
        preprocessing={"intensity": "each image to [0, 1]", "size": [cine.SIZE, cine.SIZE]},
        provenance={
            "paper": "de Vos et al., DLMIA 2017, doi:10.1007/978-3-319-67558-9_24",
            "data": " and ".join(_CITATIONS[source] for source in sources),
            "tfreg": __version__,
            "keras": keras.__version__,
            "backend": keras.config.backend(),
            "python": platform.python_version(),
        },
        licence="CC0 1.0" if recipe["data"] == "cc0" else "CC BY-NC-SA 4.0",
        training={"command": _command(recipe), **recipe, "curve": read_log(folder)},
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
    keys = ("variant", "data", "iterations", "learning_rate", "schedule", "seed")
    words = [f"--{key.replace('_', '-')} {recipe[key]}" for key in keys]
    return " ".join(["tfreg train dirnet-cine", *words])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``tfreg train dirnet-cine``."""
    parser.add_argument("--variant", choices=tuple(VARIANTS), default="bl", help="of Table 1")
    parser.add_argument(
        "--data",
        choices=tuple(DATA),
        default="all",
        help="all: Sunnybrook and ACDC; cc0: the former",
    )
    parser.add_argument("--iterations", type=int, default=10_000, help="default: 10000")
    parser.add_argument("--learning-rate", type=float, default=LEARNING_RATE)
    parser.add_argument("--schedule", choices=("cosine", "constant"), default="cosine")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="folder (default: runs/<name>); an unfinished run continues")


def run(options: argparse.Namespace) -> None:
    """Runs ``tfreg train dirnet-cine``."""
    if not options.learning_rate > 0:
        raise InputError(f"--learning-rate must be positive. Received: {options.learning_rate}")
    if options.seed < 0:
        raise InputError(f"--seed must not be negative. Received: {options.seed}")
    name = f"dirnet-cine-{options.variant}" + ("-cc0" if options.data == "cc0" else "")
    folder = Path(options.out or Path("runs") / name)
    preset = train(
        name,
        folder,
        options.variant,
        options.data,
        options.iterations,
        options.learning_rate,
        options.schedule,
        options.seed,
    )
    print(f"{name}: validation NCC {preset.score['value']:.4f}, written to {folder}")
