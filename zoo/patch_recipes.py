"""What the recipes of features of patches share: the volumes, and the patches of them."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tfreg.data import Source, brain_volumes, hippocampus
from tfreg.data.volume_patches import VolumePatches
from tfreg.models import FeatureModel
from tfreg.registration import Preprocessing
from tfreg.registration.images import unit_range
from zoo.recipes import Recipe, Training

HELD_OUT = 1024  # patches
SOURCES: dict[str, tuple[Source]] = {
    "hippocampus": (hippocampus.SOURCES["decathlon"],),
    "brain": (brain_volumes.SOURCES["dkt31"],),
    "phantom": (brain_volumes.SOURCES["phantom"],),
}


def volumes(split: str, data: str) -> tuple[np.ndarray, tuple[float, ...]]:
    """The volumes of a split, ``(n, *spatial)`` in [0, 1], and the size of their voxels in mm.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        data: of :data:`SOURCES`.
    """
    if data == "hippocampus":
        found: Any = hippocampus.subjects(split, "decathlon")
    else:
        found = brain_volumes.volumes(split, "dkt31" if data == "brain" else "phantom")
    images = unit_range(found.images[..., None].astype("float32"))[..., 0]
    return images, found.spacing


class PatchRecipe(Recipe):
    """Features that are learned from random patches of single volumes, without labels.

    Attributes:
        about: what the features are, for the preset.
    """

    sources: ClassVar[Mapping[str, Sequence[Source]]] = SOURCES
    batch = 256
    whole_step = False
    about: ClassVar[str]

    def preset_name(self, settings: dict[str, Any]) -> str:
        return f"{self.name}-{settings['data']}"

    def model(self, settings: dict[str, Any]) -> FeatureModel:
        """The network, built."""
        raise NotImplementedError

    def prepare(self, settings: dict[str, Any], folder: Any) -> Training:
        model, data = self.model(settings), settings["data"]
        images, spacing = volumes("train", data)
        held_out = volumes("validation", data)[0]
        size = model.size
        return Training(
            model,
            VolumePatches(images, size, settings["batch"], settings["seed"]),
            VolumePatches(held_out, size, HELD_OUT).batch(0),
            f"{self.about} of patches of {size} voxels an edge, trained on "
            + SOURCES[data][0].name,
            Preprocessing(images.shape[1:], spacing),
            f"{len(images)} volumes",
            "patches",
        )
