"""What the networks learn from: patches of pairs of images, and of their momenta."""

from collections.abc import Sequence

import numpy as np

from tfreg.data import Array, Batches
from zoo.quicksilver.network import PATCH
from zoo.quicksilver.patches import Patches

_STRIDE = 7  # twice as dense as those that a whole image is made of


class MomentumPatches(Batches):
    """Random patches of random pairs that show something in either image.

    Args:
        fixed, moving: ``(*spatial)`` images in [0, 1], one each per pair, of one size.
        momenta: ``(*spatial, ndim)`` per pair.
        scale: what momenta are divided by, so that networks learn numbers of about 1.
        batch_size: patches per batch.
        seed: seed of the stream.
        mirrored: axes along which every other patch is mirrored: the momentum of mirrored images is
            the mirrored momentum.

    Raises:
        InputError: on images smaller than a patch.

    Example:

    >>> import numpy as np
    >>> from zoo.quicksilver.lessons import MomentumPatches
    >>> images = np.ones((2, 20, 24))
    >>> lessons = MomentumPatches(images, images, np.ones((2, 20, 24, 2)), 0.5, batch_size=3)
    >>> batch = lessons.batch(0)
    >>> batch["fixed"].shape, batch["momentum"].shape, float(batch["momentum"].max())
    ((3, 15, 15, 1), (3, 15, 15, 2), 2.0)
    """

    def __init__(
        self,
        fixed: Sequence[np.ndarray],
        moving: Sequence[np.ndarray],
        momenta: Sequence[np.ndarray],
        scale: float,
        batch_size: int = 64,
        seed: int = 0,
        mirrored: Sequence[int] = (),
    ) -> None:
        self._sides = fixed, moving
        self._momenta = momenta
        self.mirrored = tuple(mirrored)
        self.scale = scale
        ndim = fixed[0].ndim
        self._boxes = list(Patches(fixed[0].shape, _STRIDE))
        self._places = [
            (pair, place)
            for pair, images in enumerate(zip(fixed, moving, strict=True))
            for place, box in enumerate(self._boxes)
            if any((image[box] > 0).any() for image in images)
        ]
        patch = (PATCH,) * ndim
        arrays = {"fixed": Array((*patch, 1)), "moving": Array((*patch, 1))}
        arrays["momentum"] = Array((*patch, ndim))
        super().__init__(batch_size, seed, arrays, ("momentum",), count=len(fixed))

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """Batch ``step``: ``{"fixed", "moving", "momentum"}``, float32."""
        rng = np.random.default_rng([self.seed, step])
        chosen = [self._places[k] for k in rng.integers(len(self._places), size=self.batch_size)]
        boxes = [(pair, self._boxes[place]) for pair, place in chosen]
        fixed, moving = (
            np.stack([images[pair][box] for pair, box in boxes])[..., None].astype("float32")
            for images in self._sides
        )
        momentum = np.stack([self._momenta[pair][box] for pair, box in boxes]).astype("float32")
        for axis in self.mirrored:
            turned = rng.random(self.batch_size) < 0.5
            for array in (fixed, moving, momentum):
                array[turned] = np.flip(array[turned], 1 + axis)
            momentum[turned, ..., axis] *= -1
        return {"fixed": fixed, "moving": moving, "momentum": momentum / np.float32(self.scale)}


def scale_of(momenta: Sequence[np.ndarray]) -> float:
    """The mean magnitude of the components of momenta where there are any, to four digits."""
    total = sum(float(np.abs(one).sum(dtype="float64")) for one in momenta)
    count = sum(int(np.count_nonzero(one)) for one in momenta)
    return float(f"{total / max(count, 1) or 1.0:.4g}")
