"""The recipe of ``quicksilver-oasis2d``, runnable as ``tfreg train quicksilver-oasis2d``."""

from tfreg.data import brain_slices
from tfreg.registration.images import unit_range
from zoo.quicksilver.learning import Learning
from zoo.quicksilver.momenta import Examples, drawn
from zoo.recipes import each


class Slices(Learning):
    """Random pairs of slices of the brains of two people."""

    name = "quicksilver-oasis2d"
    sources = each(brain_slices.SOURCES)
    iterations = 6000
    pairs, validation_pairs, together, width = 1000, 40, 8, 32
    about = "slices of the brain of two people, T1 MRI"

    def examples(self, split: str, data: str, pairs: int, seed: int) -> Examples:
        images = brain_slices.slices(split, data).images
        return Examples(unit_range(images[..., None])[..., 0], drawn(len(images), pairs, seed))


RECIPE = Slices()
