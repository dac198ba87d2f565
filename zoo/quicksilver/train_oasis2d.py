"""The recipe of ``quicksilver-oasis2d``, runnable as ``tfreg train quicksilver-oasis2d``."""

import numpy as np

from tfreg.data import brain_slices, brain_volumes
from tfreg.registration.images import unit_range
from zoo.quicksilver import brains
from zoo.quicksilver.learning import Learning
from zoo.quicksilver.momenta import Examples, drawn
from zoo.recipes import each


class Slices(Learning):
    """Random pairs of slices of the brains of two people.

    ``--data dkt31`` cuts the slices out of whole brains; two of one height are a pair.
    """

    name = "quicksilver-oasis2d"
    sources = each({**brain_slices.SOURCES, "dkt31": brain_volumes.SOURCES["dkt31"]})
    iterations = 4000
    pairs, validation_pairs, together, width = 500, 40, 8, 32
    mirrored = (1,)  # left and right
    about = "slices of the brain of two people, T1 MRI"

    def examples(self, split: str, data: str, pairs: int, seed: int) -> Examples:
        if data == "dkt31":
            place = brains.frame(data, fine=True)
            images = brain_slices.cut(brains.aligned(split, data, fine=True), place)
            people, heights = images.shape[:2]
            images = images.reshape(-1, *brain_slices.SHAPE)
            share = -(-pairs // heights)
            of_people = [drawn(people, share, seed + height) for height in range(heights)]
            found = [couples * heights + height for height, couples in enumerate(of_people)]
            found = np.concatenate(found)[:pairs]
        else:
            images = brain_slices.slices(split, data).images
            found = drawn(len(images), pairs, seed)
        return Examples(unit_range(images[..., None])[..., 0], found)


RECIPE = Slices()
