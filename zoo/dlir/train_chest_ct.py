"""The recipe of ``dlir-chest-ct``, runnable as ``tfreg train dlir-chest-ct``.

Trained on patches of pairs that differ by a breath, made from one real chest CT and from phantoms:
no data set of breathing with a licence that lets weights be shared is at hand. The loss looks at
the lungs and a rim about them: over a whole patch NCC follows the outline of the body instead.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from scipy import ndimage

from tfreg.data import PatchSampler, breathing
from tfreg.registration import Preprocessing
from zoo.dlir.stages import Stages
from zoo.recipes import Training

SHAPE, SPACING = (112, 128, 128), (2.5, 2.5, 2.5)
PATCH = (96, 80, 80)
RIM = 3  # voxels that the mask of the loss is wider than the lungs
SHIFT = 3  # voxels at most that a pair is moved apart, for the affine stage
VALIDATION_PATCHES = 8
PAIRS = {
    "ct": {"train": {"ct": 10, "phantom": 8}, "validation": {"ct": 2, "phantom": 2}},
    "phantom": {"train": {"phantom": 18}, "validation": {"phantom": 4}},
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

    def prepare(self, settings: dict[str, Any], folder: Path) -> Training:
        training, validation = (
            [
                pair
                for source, count in PAIRS[settings["data"]][split].items()
                for pair in breathing.pairs(split, count, source, folder / "pairs", SHAPE, SPACING)
            ]
            for split in ("train", "validation")
        )
        window = (breathing.LOWEST, breathing.HIGHEST)
        preprocessing = Preprocessing(SHAPE, SPACING, window, covers="field of view")
        spacing = " x ".join(f"{s:g}" for s in SPACING)
        return Training(
            self.model(settings, preprocessing),
            sampler(training, settings["batch"], settings["seed"]),
            sampler(validation, VALIDATION_PATCHES, 0, augmented=False).batch(0),
            "DLIR (affine, 40 mm, 20 mm, 10 mm) between two breaths of one patient, chest CT",
            preprocessing,
            f"{len(training)} pairs that differ by a breath, patches of {PATCH} voxels of "
            f"{spacing} mm",
            sample="patches",
        )


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
