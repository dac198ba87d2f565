"""The recipe of ``dlir-chest-ct``, runnable as ``tfreg train dlir-chest-ct``.

Trained on patches of pairs that differ by a breath, made from one real chest CT and from phantoms:
no data set of breathing with a licence that lets weights be shared is at hand. The loss looks at
the lungs and a rim about them: over a whole patch NCC follows the outline of the body instead.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy import ndimage

from tfreg.data import PatchSampler, breathing
from zoo.dlir import stages
from zoo.presets import Preset

STAGES = (
    {"kind": "affine"},
    {"kind": "deformable", "spacing": (16, 16, 16)},
    {"kind": "deformable", "spacing": (8, 8, 8)},
    {"kind": "deformable", "spacing": (4, 4, 4)},
)
SHAPE, SPACING = (112, 128, 128), (2.5, 2.5, 2.5)
PATCH = (96, 80, 80)
RIM = 3  # voxels that the mask of the loss is wider than the lungs
SHIFT = 3  # voxels at most that a pair is moved apart, for the affine stage
VALIDATION_PATCHES = 8
PAIRS = {
    "ct": {"train": {"ct": 10, "phantom": 8}, "validation": {"ct": 2, "phantom": 2}},
    "phantom": {"train": {"phantom": 18}, "validation": {"phantom": 4}},
}
_DATA = {
    "ct": "breaths made from LIDC-IDRI-0001 (Armato et al., Medical Physics 38(2), 2011) and "
    "phantoms of tfreg.data.thorax",
    "phantom": "breaths of phantoms of tfreg.data.thorax",
}
_LICENCES = {"ct": "CC BY 3.0", "phantom": "Apache-2.0"}


def train(
    name: str,
    folder: Path,
    settings: dict[str, Any],
    callbacks: Sequence[Any] = (),
    verbose: Any = "auto",
) -> Preset:
    """Trains on random patches about the lungs, the two images of a pair in either order.

    Args:
        name: name of the preset.
        folder: checkpoints, logs, the pairs and the preset go here; a training that is there is
            continued.
        settings: ``data`` and those of :func:`zoo.dlir.stages.settings_of`.
        callbacks, verbose: as in :func:`zoo.recipes.train`.
    """
    data = settings["data"]
    training, validation = (
        [
            pair
            for source, count in PAIRS[data][split].items()
            for pair in breathing.pairs(split, count, source, folder / "pairs", SHAPE, SPACING)
        ]
        for split in ("train", "validation")
    )
    pairs = sampler(training, settings["batch"], settings["seed"])
    held_out = sampler(validation, VALIDATION_PATCHES, 0, augmented=False).batch(0)
    window = (breathing.LOWEST, breathing.HIGHEST)
    spacing = " x ".join(f"{s:g}" for s in SPACING)
    about = stages.about(
        name,
        "DLIR (affine, 40 mm, 20 mm, 10 mm) between two breaths of one patient, chest CT",
        f"{_DATA[data]}: {len(training)} pairs, patches of {PATCH} voxels of {spacing} mm",
        _LICENCES[data],
        "dlir-chest-ct",
        {
            "intensity": f"clipped to [{window[0]:g}, {window[1]:g}], which become [0, 1]",
            "size": list(SHAPE),
            "spacing": list(SPACING),
        },
        sample="patches",
    )
    return stages.train(
        *(name, folder, settings, STAGES, pairs, held_out, about, SPACING, callbacks, verbose),
        intensity_range=window,
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``tfreg train dlir-chest-ct``."""
    stages.add_arguments(parser, iterations=2000, batch=2, sources=tuple(_DATA))


def run(options: argparse.Namespace) -> None:
    """Runs ``tfreg train dlir-chest-ct``."""
    stages.run(options, "dlir-chest-ct", train)
