"""The recipe of ``quicksilver-brain``, runnable as ``tfreg train quicksilver-brain``."""

from tfreg.data import brain_volumes
from tfreg.registration.images import unit_range
from zoo.quicksilver import brains
from zoo.quicksilver.learning import Learning
from zoo.quicksilver.momenta import Examples, drawn
from zoo.recipes import each


class Brains(Learning):
    """Whole brains of two people, all of them aligned affinely with one."""

    name = "quicksilver-brain"
    sources = each(brain_volumes.SOURCES)
    iterations = 3000
    pairs, validation_pairs, together, width = 72, 2, 1, 16
    mirrored = (2,)  # left and right
    about = "whole brains of two people, T1 MRI"

    def examples(self, split: str, data: str, pairs: int, seed: int) -> Examples:
        images = unit_range(brains.aligned(split, data)[..., None])[..., 0]
        return Examples(images, drawn(len(images), pairs, seed), brain_volumes.SPACING)


RECIPE = Brains()
