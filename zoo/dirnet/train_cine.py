"""The recipe of DIRNet's presets for cine MRI, runnable as ``tfreg train dirnet-cine``."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tfreg.data import PairSampler, cine
from tfreg.registration import Preprocessing
from zoo.dirnet import METHOD
from zoo.dirnet.model import IMPROVED, VARIANTS, variant
from zoo.recipes import Recipe, Training

VALIDATION_PAIRS = 256
DATA = {"all": ("sunnybrook", "acdc"), "cc0": ("sunnybrook",), "phantom": ("phantom",)}


class Cine(Recipe):
    """One variant, on random ordered pairs of time points of one slice.

    Section 3.2 of the paper: at least 10,000 iterations of 32 random pairs, Adam; the rate is not
    stated.
    """

    name = "dirnet-cine"
    method = METHOD
    sources: ClassVar = {
        data: [cine.SOURCES[name] for name in names] for data, names in DATA.items()
    }
    iterations, batch, learning_rate = 10_000, 32, 1e-2

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--variant", choices=(*VARIANTS, *IMPROVED), default="bl", help="of Table 1, or ours"
        )
        parser.add_argument(
            "--symmetries",
            choices=("no", "yes"),
            default="no",
            help="yes: pairs are flipped and transposed at random, which the paper does not",
        )

    def preset_name(self, settings: dict[str, Any]) -> str:
        suffix = "" if settings["data"] == "all" else f"-{settings['data']}"
        return f"{self.name}-{settings['variant']}{suffix}"

    def prepare(self, settings: dict[str, Any], folder: Path) -> Training:
        training, pairs, held_out = samples(settings)
        model = variant(settings["variant"], (cine.SIZE, cine.SIZE))
        model.build()
        known = " and ".join(source.name for source in self.sources[settings["data"]])
        return Training(
            model,
            pairs,
            held_out,
            f"DIRNet {settings['variant'].upper()} for cardiac cine MRI, short axis, trained on "
            + known,
            Preprocessing((cine.SIZE, cine.SIZE)),
            f"{len(set(training.patients))} patients, {len(set(training.slices))} slices",
        )


RECIPE = Cine()


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
        settings: ``data`` (of ``DATA``), ``batch``, ``seed`` and ``symmetries``.
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
