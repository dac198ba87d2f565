"""The recipe of ``dlir-hippocampus``, runnable as ``tfreg train dlir-hippocampus``."""

from pathlib import Path
from typing import Any

import numpy as np

from tfreg.data import PairSampler, hippocampus
from tfreg.registration import Preprocessing
from zoo.dlir.stages import Stages
from zoo.recipes import Training, each

# More kernels where they are cheap: shapes of different people differ more than those of one.
KERNELS = (16, 32, 64)
VALIDATION_PAIRS = 24


class Hippocampus(Stages):
    """Random pairs of two subjects."""

    name = "dlir-hippocampus"
    sources = each(hippocampus.SOURCES)
    iterations, batch, whole_step = 3000, 4, False
    stages = (
        {"kind": "affine"},
        {"kind": "deformable", "spacing": (8, 8, 8), "kernels": KERNELS},
        {"kind": "deformable", "spacing": (4, 4, 4), "kernels": KERNELS},
    )

    def prepare(self, settings: dict[str, Any], folder: Path) -> Training:
        training, validation = (
            hippocampus.subjects(split, settings["data"]) for split in ("train", "validation")
        )
        preprocessing = Preprocessing(training.images.shape[1:], training.spacing)
        return Training(
            self.model(settings, preprocessing),
            sampler(training.images, settings["batch"], settings["seed"]),
            sampler(validation.images, VALIDATION_PAIRS, 0).batch(0),
            "DLIR (affine, 8 mm, 4 mm) between the hippocampi of two subjects, T1 MRI",
            preprocessing,
            f"{len(training.images)} volumes",
        )


def sampler(images: np.ndarray, batch: int, seed: int) -> PairSampler:
    """Random pairs of two subjects."""
    return PairSampler(images, np.zeros(len(images), int), batch, seed, scale=1 / 255)


RECIPE = Hippocampus()
