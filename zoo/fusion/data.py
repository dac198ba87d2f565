"""Patches to train on: a sharp one, and the same blurred."""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from tfreg.data import Array, Batches
from zoo.fusion.model import PATCH

LEVELS, SIGMA, WIDTH = 5, 2.0, 7  # each level is the one before, blurred once more
VARIANCE = 25  # squared greys of a patch, without which there is nothing to be blurred


def blurred(image: np.ndarray) -> np.ndarray:
    """An image at every level of blur.

    Rounded to 8 bits as the image itself is: else what is not rounded would tell what is blurred.

    Args:
        image: uint8 ``(rows, columns)``.

    Returns:
        uint8 ``(6, rows, columns)``, the sharp one first.

    Example:

    >>> import numpy as np
    >>> from zoo.fusion.data import blurred
    >>> stripes = np.tile([[0, 0, 0, 0, 255, 255, 255, 255]], (16, 4)).astype("uint8")
    >>> [int(np.ptp(level[:, 12:20])) for level in blurred(stripes)]
    [255, 117, 47, 19, 7, 3]
    """
    taps = np.exp(-0.5 * ((np.arange(WIDTH) - WIDTH // 2) / SIGMA) ** 2)
    levels = [image]
    for _ in range(LEVELS):
        last = levels[-1].astype("float32")
        for axis in (0, 1):
            last = ndimage.correlate1d(last, taps / taps.sum(), axis, mode="nearest")
        levels.append(np.rint(last).astype("uint8"))
    return np.stack(levels)


class Patches(Batches):
    """Random patches of 16x16 pixels, each sharp and at a random level of blur.

    Args:
        images: uint8 ``(rows, columns)`` by name; of larger ones more patches are taken.
        size: pairs per batch.
        seed: seed of the stream.

    Raises:
        ValueError: if an image is smaller than a patch, or all are flat.

    Example:

    >>> from tfreg.data import photographs
    >>> from zoo.fusion.data import Patches
    >>> batch = Patches(photographs.load("validation", "phantom"), 4).batch(0)
    >>> batch["sharp"].shape, bool(batch["sharp"].var() > batch["blurred"].var())
    ((4, 16, 16, 1), True)
    """

    def __init__(self, images: Mapping[str, np.ndarray], size: int, seed: int = 0) -> None:
        patch = Array((PATCH, PATCH, 1))
        super().__init__(size, seed, {"sharp": patch, "blurred": patch}, count=len(images))
        for name, image in images.items():
            if min(image.shape) < PATCH:
                raise ValueError(
                    f"Images must have {PATCH} x {PATCH} pixels or more. "
                    f"Received: {name}, {' x '.join(map(str, image.shape))}"
                )
        if not any(_has_texture(image) for image in images.values()):
            raise ValueError(
                f"A patch of some image must have a variance above {VARIANCE}, or there is nothing "
                f"to be blurred. Received: {len(images)} images without one"
            )
        self.levels = [blurred(image) for image in images.values()]
        pixels = np.array([levels[0].size for levels in self.levels])
        self._shares = pixels / pixels.sum()

    def batch(self, step: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([self.seed, step])
        pairs: list[np.ndarray] = []
        while len(pairs) < self.batch_size:
            pair = self._pair(rng)
            if pair[0].var() > VARIANCE:
                pairs.append(pair)
        sharp, unsharp = np.stack(pairs, axis=1)[..., None].astype("float32") / 255
        return {"sharp": sharp, "blurred": unsharp}

    def _pair(self, rng: np.random.Generator) -> np.ndarray:
        """``(2, 16, 16)``: sharp and blurred."""
        levels = self.levels[rng.choice(len(self.levels), p=self._shares)]
        corner = [rng.integers(n - PATCH + 1) for n in levels.shape[1:]]
        rows, columns = (slice(start, start + PATCH) for start in corner)
        return levels[[0, rng.integers(1, LEVELS + 1)], rows, columns]


def _has_texture(image: np.ndarray) -> bool:
    """Whether a patch of an image can be taken."""
    values = image.astype("float64")
    # A window of even width reaches further back.
    whole = slice(PATCH // 2, 1 - PATCH // 2)
    mean, square = (
        ndimage.uniform_filter(power, PATCH)[whole, whole] for power in (values, values**2)
    )
    return bool((square - mean**2).max() > VARIANCE)
