"""The recipe of ``dlir-chest-ct``, runnable as ``tfreg train dlir-chest-ct``.

Trained on patches of pairs that differ by a breath, made from one real chest CT and from phantoms:
no data set of breathing with a licence that lets weights be shared is at hand. The loss looks at
the lungs and a rim about them: over a whole patch NCC follows the outline of the body instead.

The options make the training harder, as patients are harder than phantoms: ``--motion copd`` adds
as many pairs that move as real patients do, ``--vary`` varies noise, densities and fields of view,
``--data cts`` adds the two CTs of the lung pair. What has learned from those two is no test on that
pair, and the table of this network refuses to make it one.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from scipy import ndimage

from tfreg.data import PatchSampler, breathing, lung_motion
from tfreg.data.source import Source
from tfreg.data.varied import Varied
from tfreg.registration import Preprocessing
from zoo.dlir.model import KEPT
from zoo.dlir.similarities import SIMILARITIES
from zoo.dlir.stages import Stages
from zoo.recipes import Training

SHAPE, SPACING = (112, 128, 128), (2.5, 2.5, 2.5)
PATCH = (96, 80, 80)
RIM = 3  # voxels that the mask of the loss is wider than the lungs
SHIFT = 3  # voxels at most that a pair is moved apart, for the affine stage
VALIDATION_PATCHES = 8
VARIED = ", noise, densities and fields of view varied"
PAIRS = {
    "ct": {"train": {"ct": 10, "phantom": 8}, "validation": {"ct": 2, "phantom": 2}},
    "phantom": {"train": {"phantom": 18}, "validation": {"phantom": 4}},
    "cts": {
        "train": {"ct": 10, "lung pair": 6, "phantom": 8},
        "validation": {"ct": 2, "phantom": 2},
    },
}


class ChestCT(Stages):
    """Random patches about the lungs, the two images of a pair in either order."""

    name = "dlir-chest-ct"
    sources: ClassVar = {
        data: [breathing.SOURCES[name] for name in splits["train"]]
        for data, splits in PAIRS.items()
    }
    iterations, batch, whole_step = 2000, 2, False
    stages = (
        {"kind": "affine"},
        {"kind": "deformable", "spacing": (16, 16, 16)},
        {"kind": "deformable", "spacing": (8, 8, 8)},
        {"kind": "deformable", "spacing": (4, 4, 4)},
    )
    options: ClassVar = {"refinement": {"similarity": "lncc", "confine": True, "grid": "fixed"}}

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add(
            "--motion",
            choices=breathing.MOTIONS,
            default="drawn",
            help="copd: as many pairs again that move as real patients do",
        )
        add("--vary", action="store_true", help="vary noise, densities and fields of view")
        add(
            "--similarity",
            choices=SIMILARITIES,
            default="ncc",
            help="of the loss (default: ncc, the paper's)",
        )
        add(
            "--keep",
            choices=KEPT,
            default="all",
            help="better: what registers leaves out a stage that lowers NCC; of the preset, not "
            "of the training",
        )

    def preset_name(self, settings: dict[str, Any]) -> str:
        """Such as ``dlir-chest-ct-copd-vary-lncc``: what is not the default is named."""
        named = {"motion": "drawn", "similarity": "ncc"}
        words = [settings[key] for key, usual in named.items() if settings[key] != usual]
        if settings["vary"]:
            words.insert(settings["motion"] != "drawn", "vary")
        return "-".join([super().preset_name(settings), *words])

    def sources_of(self, settings: dict[str, Any]) -> Sequence[Source]:
        found = super().sources_of(settings)
        return found if settings["motion"] == "drawn" else [*found, lung_motion.SOURCE]

    def prepare(self, settings: dict[str, Any], folder: Path) -> Training:
        motions = breathing.MOTIONS[: 1 + (settings["motion"] != "drawn")]
        training, validation = (
            [
                pair
                for motion in motions
                for source, count in PAIRS[settings["data"]][split].items()
                for pair in breathing.pairs(
                    split, count, source, folder / "pairs", SHAPE, SPACING, motion
                )
            ]
            for split in ("train", "validation")
        )
        batches = sampler(training, settings["batch"], settings["seed"])
        held_out = sampler(validation, VALIDATION_PATCHES, 0, augmented=False)
        if settings["vary"]:
            batches, held_out = Varied(batches), Varied(held_out)
        window = (breathing.LOWEST, breathing.HIGHEST)
        preprocessing = Preprocessing(SHAPE, SPACING, window, covers="field of view")
        spacing = " x ".join(f"{s:g}" for s in SPACING)
        return Training(
            self.model(settings, preprocessing),
            batches,
            held_out.batch(0),
            "DLIR (affine, 40 mm, 20 mm, 10 mm) between two breaths of one patient, chest CT"
            + harder(settings),
            preprocessing,
            f"{len(training)} pairs that differ by a breath, patches of {PATCH} voxels of "
            f"{spacing} mm" + VARIED * settings["vary"],
            sample="patches",
        )


def harder(settings: dict[str, Any]) -> str:
    """What a summary says of a training that is not the usual one."""
    words = ["; trained on"] if settings["vary"] or settings["motion"] != "drawn" else []
    if settings["vary"]:
        words.append("varied scans" + " and" * (settings["motion"] != "drawn"))
    if settings["motion"] != "drawn":
        words.append("motion of patients")
    if settings["similarity"] != "ncc":
        words.append(f"{',' if words else ';'} {settings['similarity']} in the loss")
    return " ".join(words).replace(" ,", ",").replace(" ;", ";")


def sampler(
    pairs: Sequence[breathing.BreathingPair], batch: int, seed: int, augmented: bool = True
) -> PatchSampler:
    """Patches about the lungs; for training flipped from side to side, and moved apart."""
    grown = [
        [ndimage.binary_dilation(mask, iterations=RIM).astype("uint8") for mask in masks]
        for masks in zip(*((p.fixed_mask, p.moving_mask) for p in pairs), strict=True)
    ]
    return PatchSampler(
        [pair.fixed for pair in pairs],
        [pair.moving for pair in pairs],
        PATCH,
        batch,
        seed,
        fixed_masks=grown[0],
        moving_masks=grown[1] if augmented else None,
        within=[pair.fixed_mask for pair in pairs],
        symmetries=(2,) if augmented else (),
        exchange=augmented,
        translation=SHIFT if augmented else 0,
    )


RECIPE = ChestCT()
