"""The recipe that made the cine MRI presets of DIRNet, runnable as ``tfreg train dirnet-cine``."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from tfreg.data import PairSampler, cine
from zoo import recipes
from zoo.dirnet.model import IMPROVED, PAPER, VARIANTS, variant
from zoo.presets import Preset

BATCH = 32  # paper, section 3
LEARNING_RATE = 1e-2
VALIDATION_PAIRS = 256
DATA = {"all": ("sunnybrook", "acdc"), "cc0": ("sunnybrook",), "phantom": ("phantom",)}
_CITATIONS = {
    "sunnybrook": "Sunnybrook Cardiac Data (Radau et al., The MIDAS Journal 2009)",
    "acdc": "ACDC (Bernard et al., IEEE TMI 37(11), 2018)",
    "phantom": "phantom hearts of tfreg.data.bodies",
}
_LICENCES = {"all": "CC BY-NC-SA 4.0", "cc0": "CC0 1.0", "phantom": "Apache-2.0"}


def train(
    name: str,
    folder: Path,
    settings: dict[str, Any],
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> Preset:
    """Trains one variant on random ordered pairs of time points of one slice.

    Section 3.2 of the paper: at least 10,000 iterations of 32 random pairs, Adam; the rate is not
    stated.

    Args:
        name: name of the preset.
        folder: checkpoint, log and preset go here; a training that is there is continued.
        settings: ``variant`` (of Table 1, or ``plus``), ``data`` (of ``DATA``), ``symmetries``
            (``"yes"`` or ``"no"``: pairs flipped and transposed at random, which the paper does
            not), and those of all recipes.
        callbacks, verbose: as in :func:`zoo.recipes.train`.
    """
    kind, data = settings["variant"], settings["data"]
    keras.utils.set_random_seed(settings["seed"])
    training, pairs, held_out = samples(settings)
    model = variant(kind, (cine.SIZE, cine.SIZE))
    model.build()
    counts = f"{len(set(training.patients))} patients, {len(set(training.slices))} slices"
    about = recipes.About(
        name=name,
        summary=f"DIRNet {kind.upper()} for cardiac cine MRI, short axis, trained on "
        + {"all": "Sunnybrook and ACDC", "cc0": "Sunnybrook", "phantom": "phantoms"}[data],
        paper=PAPER,
        data="; ".join(_CITATIONS[source] for source in DATA[data]) + f": {counts}",
        licence=_LICENCES[data],
        command="dirnet-cine",
        preprocessing={"intensity": "each image to [0, 1]", "size": [cine.SIZE, cine.SIZE]},
    )
    return recipes.train(model, pairs, held_out, settings, folder, about, callbacks, verbose)


class Samples(NamedTuple):
    """The images of a training.

    Attributes:
        training: the time points that pairs are drawn from.
        pairs: draws them.
        held_out: one batch of pairs of validation patients.
    """

    training: cine.Frames
    pairs: PairSampler
    held_out: dict[str, np.ndarray]


def samples(
    settings: dict[str, Any], intensity: Callable[[np.ndarray], np.ndarray] | None = None
) -> Samples:
    """Reads the images of a training.

    Args:
        settings: of :func:`train`.
        intensity: a further scaling of each image, for trying one; they are in [0, 1].
    """
    sources = DATA[settings["data"]]
    training, validation = (cine.frames(split, sources) for split in ("train", "validation"))
    if intensity is not None:
        training, validation = (
            part._replace(images=np.stack([intensity(image) for image in part.images]))
            for part in (training, validation)
        )
    pairs = PairSampler(
        *(training.images, training.slices, settings["batch"], settings["seed"]),
        symmetries=settings["symmetries"] == "yes",
    )
    held_out = PairSampler(validation.images, validation.slices, VALIDATION_PAIRS)
    return Samples(training, pairs, held_out.batch(0))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``tfreg train dirnet-cine``."""
    parser.add_argument(
        "--variant", choices=(*VARIANTS, *IMPROVED), default="bl", help="of Table 1, or ours"
    )
    parser.add_argument(
        "--data",
        choices=tuple(DATA),
        default="all",
        help="all: Sunnybrook and ACDC; cc0: Sunnybrook alone; phantom: needs no files",
    )
    parser.add_argument(
        "--symmetries",
        choices=("no", "yes"),
        default="no",
        help="yes: pairs are flipped and transposed at random, which the paper does not",
    )
    recipes.add_arguments(parser, iterations=10_000, learning_rate=LEARNING_RATE, batch=BATCH)


def run(options: argparse.Namespace) -> None:
    """Runs ``tfreg train dirnet-cine``."""
    suffix = {"all": "", "cc0": "-cc0", "phantom": "-phantom"}[options.data]
    name = f"dirnet-cine-{options.variant}{suffix}"
    settings = recipes.settings_of(options, ("variant", "data", "symmetries"))
    recipes.run(options, name, lambda folder, more: train(name, folder, settings, more))
