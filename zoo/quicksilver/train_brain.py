"""The recipe of ``quicksilver-brain``, runnable as ``tfreg train quicksilver-brain``."""

import numpy as np

from tfreg.data import brain_volumes
from tfreg.registration import register
from tfreg.registration.images import unit_range
from zoo.quicksilver.learning import Learning
from zoo.quicksilver.momenta import Examples, drawn
from zoo.recipes import each


class Brains(Learning):
    """Whole brains of two people, all of them aligned affinely with one."""

    name = "quicksilver-brain"
    sources = each(brain_volumes.SOURCES)
    iterations, whole_step = 4000, False
    pairs, validation_pairs, together, width = 72, 2, 1, 16
    about = "whole brains of two people, T1 MRI"

    def examples(self, split: str, data: str, pairs: int, seed: int) -> Examples:
        frame = brain_volumes.volumes("train", data)
        found = brain_volumes.volumes(split, data)
        aligned = [_aligned(frame.images[0], image, found.spacing) for image in found.images]
        images = unit_range(np.stack(aligned)[..., None])[..., 0]
        return Examples(images, drawn(len(images), pairs, seed), found.spacing)


def _aligned(frame: np.ndarray, image: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """An image in the place of another; what rounding leaves outside the brain is nothing."""
    if image is frame or np.array_equal(image, frame):
        return image
    moved = register(frame, image, "affine", spacing=spacing, pyramid="fast").moved
    return np.where(moved > 0.01, moved, 0).astype("float32")


RECIPE = Brains()
