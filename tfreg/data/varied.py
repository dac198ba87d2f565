"""Batches of chest CT as further scanners and breaths would show them: varied in all but motion."""

import numpy as np

from tfreg.data.batches import Batches

NOISE = 50 / 1400  # largest standard deviation, 50 HU of the 1400 that images are scaled by
DENSITY = 0.35  # largest logarithm of the factor on the density of a lung
CUT = 0.2  # largest share of an axis that the field of view lacks at either end
APART = 3  # voxels that the fields of view of two scans differ by, at most
_FILLED, _SOFT = 0.5, 0.286  # -300 HU and 400 HU: what is darker holds air


class Varied(Batches):
    """The batches of another stream, their noise, densities and fields of view varied.

    Of each pair: noise of either image, white or smooth over a voxel, up to 50 HU; a factor on the
    density (HU + 1000) of what is filled with air, from 0.7 to 1.4 and not the same in both, as a
    lung that has breathed in is thinner; and, half of the time at each face, what lies beyond the
    field of view: air, or the border repeated. There the mask is 0.

    Args:
        batches: ``{"fixed", "moving", "mask"}`` of 3-D images in [0, 1], 0 being air (-1000 HU) and
            1 being 400 HU.

    Example:

    >>> import numpy as np
    >>> from tfreg.data import PatchSampler
    >>> from tfreg.data.varied import Varied
    >>> volumes, masks = [np.full((20, 24, 24), 0.1)], [np.ones((20, 24, 24))]
    >>> plain = PatchSampler(volumes, volumes, (16, 16, 16), fixed_masks=masks)
    >>> one, same = (Varied(plain).batch(3)["fixed"] for _ in range(2))
    >>> one.shape, bool((one == same).all()), bool((one == plain.batch(3)["fixed"]).all())
    ((1, 16, 16, 16, 1), True, False)
    """

    def __init__(self, batches: Batches) -> None:
        if set(batches.arrays) != {"fixed", "moving", "mask"}:
            raise ValueError(
                "batches must hold fixed, moving and mask. "
                f"Received: {', '.join(map(str, batches.arrays))}"
            )
        super().__init__(batches.batch_size, batches.seed, batches.arrays, count=batches.count)
        self.plain = batches

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """Batch ``step``, a function of ``(seed, step)`` alone as that of the plain stream."""
        batch = {name: array.copy() for name, array in self.plain.batch(step).items()}
        rng = np.random.default_rng([self.seed, step, 1])
        for item in range(self.batch_size):
            boxes = fields_of_view(batch["fixed"].shape[1:-1], rng)
            thinner = rng.uniform(-1, 1)
            air = bool(rng.integers(2))
            for name, box, sign in zip(("fixed", "moving"), boxes, (1, -1), strict=True):
                image = batch[name][item, ..., 0]
                factor = np.exp(DENSITY * (0.7 * sign * thinner + 0.3 * rng.uniform(-1, 1)))
                image = image * factor ** np.clip((_FILLED - image) / _SOFT, 0, 1)
                image = np.clip(image + noise(image.shape, rng), 0, 1)
                batch[name][item, ..., 0] = seen(image, box, air)
            kept = np.zeros_like(batch["mask"][item])
            kept[boxes[0]] = 1
            batch["mask"][item] *= kept
        return batch


def fields_of_view(
    shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The boxes of two scans of one patient: each face is cut off half of the time."""
    size = np.array(shape)
    cut = rng.uniform(0, CUT, (2, len(size))) * size * rng.integers(2, size=(2, len(size)))
    both = []
    for _ in range(2):
        apart = rng.integers(-APART, APART + 1, cut.shape) * (cut > 0)
        low, high = np.clip(np.rint(cut + apart), 0, None).astype(int)
        both.append(tuple(slice(a, n - b) for a, b, n in zip(low, high, shape, strict=True)))
    return both[0], both[1]


def noise(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Noise of a random size, white or as smooth as a soft kernel of reconstruction leaves it."""
    from scipy.ndimage import gaussian_filter

    field = rng.standard_normal(shape, dtype="float32")
    if rng.integers(2):
        field = gaussian_filter(field, 0.8)
        field /= field.std()
    return rng.uniform(0, NOISE) * field


def seen(image: np.ndarray, box: tuple[slice, ...], air: bool) -> np.ndarray:
    """An image whose field of view is a box: beyond it air, or the border repeated."""
    inner = image[box]
    margins = [(side.start, n - side.stop) for side, n in zip(box, image.shape, strict=True)]
    return np.pad(inner, margins, **({"constant_values": 0} if air else {"mode": "edge"}))
