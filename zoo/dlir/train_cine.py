"""The recipe of ``dlir-cine``, runnable as ``tfreg train dlir-cine``."""

from pathlib import Path
from typing import Any

import numpy as np

from tfreg.data import PairSampler, stacks
from tfreg.registration import Preprocessing
from zoo.dlir.stages import Stages
from zoo.recipes import Training, each


class Cine(Stages):
    """The ends of diastole and systole of whole stacks, in both directions."""

    name = "dlir-cine"
    sources = each(stacks.SOURCES)
    iterations, batch, whole_step = 700, 4, False
    stages = (
        {"kind": "affine"},
        {"kind": "deformable", "spacing": (2, 16, 16)},
        {"kind": "deformable", "spacing": (1, 8, 8)},
        {"kind": "deformable", "spacing": (1, 4, 4)},
    )

    def prepare(self, settings: dict[str, Any], folder: Path) -> Training:
        training, validation = (
            stacks.hearts(split, settings["data"]) for split in ("train", "validation")
        )
        sides = tuple(float(s) for s in np.median(training.spacing, axis=0))
        # The prepared file lost the size of the pixels.
        voxels = {"spacing" if training.unit == "mm" else "proportions": sides}
        preprocessing = Preprocessing(training.diastole.shape[1:], **voxels)
        return Training(
            self.model(settings, preprocessing),
            sampler(training, settings["batch"], settings["seed"], flips=True),
            sampler(validation, 2 * len(validation.names), 0).batch(0),
            "DLIR (affine, 16 px, 8 px, 4 px) between end diastole and end systole, whole stacks "
            "of cardiac cine MRI",
            preprocessing,
            f"{len(training.names)} patients",
        )


def sampler(hearts: stacks.Hearts, batch: int, seed: int, flips: bool = False) -> PairSampler:
    """Pairs of the two ends of one heart, in both directions, for training flipped at random."""
    images = np.concatenate([hearts.diastole, hearts.systole])
    patients = np.tile(np.arange(len(hearts.names)), 2)
    return PairSampler(images, patients, batch, seed, symmetries=flips)


RECIPE = Cine()
