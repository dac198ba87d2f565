"""The recipe of ``quicksilver-hippocampus``, run by ``tfreg train quicksilver-hippocampus``."""

from tfreg.data import hippocampus
from tfreg.registration import Level, Pyramid
from tfreg.registration.images import unit_range
from zoo.quicksilver.learning import Learning
from zoo.quicksilver.momenta import Examples, drawn
from zoo.recipes import each


class Hippocampi(Learning):
    """Each volume once the moving image, with a random fixed one, as in the paper."""

    name = "quicksilver-hippocampus"
    sources = each(hippocampus.SOURCES)
    iterations = 3000
    pairs, validation_pairs, together, width = 180, 20, 1, 16
    # The weight chosen on validation pairs by the overlap of labels, among 0.08 (the paper's), 0.3
    # and 1: these volumes are not aligned.
    lo = Pyramid(tuple(Level(shrink=s, steps=n, weight=1.0) for s, n in ((4, 20), (2, 15))))
    mirrored = (2,)  # a left one becomes a right one
    about = "hippocampi of two people, T1 MRI"

    def examples(self, split: str, data: str, pairs: int, seed: int) -> Examples:
        found = hippocampus.subjects(split, data)
        images = unit_range(found.images[..., None].astype("float32"))[..., 0]
        return Examples(images, drawn(len(images), pairs, seed), found.spacing)


RECIPE = Hippocampi()
