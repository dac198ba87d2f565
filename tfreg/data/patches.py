"""Random patches of pairs of volumes, as NumPy arrays or as a ``tf.data`` pipeline."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfreg.data.batches import Array, Batches


class Place(NamedTuple):
    """Where one patch of a batch comes from.

    Attributes:
        pair: which pair.
        start: first voxel of the box in the fixed image.
        shift: voxels from the box in the fixed image to the one in the moving image.
        flipped: whether each axis is flipped.
        exchanged: whether fixed and moving change places.
    """

    pair: int
    start: np.ndarray
    shift: np.ndarray
    flipped: np.ndarray
    exchanged: bool


class PatchSampler(Batches):
    """The same random box out of both images of a random pair.

    Batch ``step`` is a function of ``(seed, step)`` alone, as with
    :class:`tfreg.data.PairSampler`. The sizes of pairs may differ, and so may those of the two
    images of a pair: the box lies within both, at the same voxels.

    Args:
        fixed, moving: ``(*spatial)`` volumes, one each per pair, any real dtype.
        patch: voxels of the box per axis.
        batch_size: patches per batch.
        seed: seed of the stream.
        scale: factor on the images, e.g. ``1 / 255``.
        fixed_masks: ``(*spatial)`` per pair; a batch then has a ``"mask"`` for the fixed patch.
        moving_masks: what becomes the mask where fixed and moving changed places.
        within: ``(*spatial)`` masks per pair; the box is centred on one of their voxels, or as near
            to it as it fits into the image. Without them every box is as probable as any other.
        symmetries: axes along which a patch is flipped, both images alike, half of the time.
        exchange: whether fixed and moving change places half of the time.
        translation: largest random shift in voxels between the two boxes, for all axes or for each;
            what an affine stage learns to undo.

    Raises:
        ValueError: on sizes that do not fit, or an option that cannot have its effect.

    Example:

    >>> import numpy as np
    >>> from tfreg.data import PatchSampler
    >>> volumes = [np.zeros((20, 30, 40)), np.zeros((24, 28, 32))]
    >>> sampler = PatchSampler(volumes, volumes, patch=(16, 16, 24), batch_size=2)
    >>> sampler.batch(0)["moving"].shape, len(sampler.images)
    ((2, 16, 16, 24, 1), 2)
    """

    def __init__(
        self,
        fixed: Sequence[np.ndarray],
        moving: Sequence[np.ndarray],
        patch: Sequence[int],
        batch_size: int = 1,
        seed: int = 0,
        scale: float = 1.0,
        fixed_masks: Sequence[np.ndarray] | None = None,
        moving_masks: Sequence[np.ndarray] | None = None,
        within: Sequence[np.ndarray] | None = None,
        symmetries: Sequence[int] = (),
        exchange: bool = False,
        translation: int | Sequence[int] = 0,
    ) -> None:
        self.patch = tuple(int(n) for n in patch)
        names = ("fixed", "moving") if fixed_masks is None else ("fixed", "moving", "mask")
        self.images = _paired(fixed, moving)
        arrays = dict.fromkeys(names, Array((*self.patch, 1)))
        super().__init__(batch_size, seed, arrays, count=len(self.images))
        if batch_size < 1 or not self.images or min(self.patch) < 1:
            raise ValueError(
                "batch_size, the number of pairs and the sizes of the patch must be positive. "
                f"Received: batch_size={batch_size}, {len(self.images)} pairs, patch={self.patch}"
            )
        for number, sides in enumerate(self.images):
            if not all(_fits(self.patch, side.shape) for side in sides):
                raise ValueError(
                    f"A patch of {self.patch} voxels must fit into both images of a pair. "
                    f"Received: pair {number} of {sides[0].shape} and {sides[1].shape}"
                )
        self.symmetries = tuple(sorted(set(symmetries)))
        if any(axis not in range(len(self.patch)) for axis in self.symmetries):
            raise ValueError(
                f"symmetries must be axes of the patch. Received: symmetries={tuple(symmetries)}"
            )
        self.translation = np.broadcast_to(np.asarray(translation, int), (len(self.patch),))
        if self.translation.min() < 0:
            raise ValueError(f"translation must not be negative. Received: {translation}")
        if exchange and (fixed_masks is None) != (moving_masks is None):
            raise ValueError(
                "exchange needs the masks of both sides, or of none. "
                f"Received: fixed_masks {fixed_masks is not None}, "
                f"moving_masks {moving_masks is not None}"
            )
        if moving_masks is not None and not exchange:
            raise ValueError("moving_masks are for exchange. Received: exchange=False")
        self.scale, self.exchange = np.float32(scale), bool(exchange)
        self._masks = self._checked(0, fixed_masks), self._checked(1, moving_masks)
        # Centres as flat indices: a lung has a million voxels, and there are many lungs.
        self._centres = [np.flatnonzero(mask) for mask in self._checked(0, within)]
        if within is not None and min(map(len, self._centres)) == 0:
            raise ValueError("within must mark a voxel of every pair. Received: an empty mask")

    def places(self, step: int) -> list[Place]:
        """Where the patches of batch ``step`` come from."""
        rng = np.random.default_rng([self.seed, step])
        return [self._place(rng) for _ in range(self.batch_size)]

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """Batch ``step``: ``{"fixed", "moving"[, "mask"]}``, float32 ``(batch, *patch, 1)``."""
        batch = {
            name: np.empty((self.batch_size, *array.shape), array.dtype)
            for name, array in self.arrays.items()
        }
        for item, place in enumerate(self.places(step)):
            flip = tuple(slice(None, None, -1 if turned else 1) for turned in place.flipped)
            boxes = [
                tuple(slice(a, a + n) for a, n in zip(start, self.patch, strict=True))
                for start in (place.start, place.start + place.shift)
            ]
            sides = [
                image[box][flip].astype("float32") * self.scale
                for image, box in zip(self.images[place.pair], boxes, strict=True)
            ]
            order = (1, 0) if place.exchanged else (0, 1)
            batch["fixed"][item, ..., 0], batch["moving"][item, ..., 0] = (sides[k] for k in order)
            if "mask" in batch:
                mask = self._masks[order[0]][place.pair][boxes[order[0]]]
                batch["mask"][item, ..., 0] = mask[flip] > 0
        return batch

    def _place(self, rng: np.random.Generator) -> Place:
        pair = int(rng.integers(len(self.images)))
        fixed, moving = self.images[pair]
        last = np.minimum(fixed.shape, moving.shape) - np.array(self.patch)
        if self._centres:
            centres = self._centres[pair]
            centre = np.unravel_index(centres[rng.integers(len(centres))], fixed.shape)
            start = np.clip(np.array(centre) - np.array(self.patch) // 2, 0, last)
        else:
            start = rng.integers(last + 1)
        shift = rng.integers(-self.translation, self.translation + 1)
        room = np.array(moving.shape) - np.array(self.patch)
        shift = np.clip(start + shift, 0, room) - start
        flipped = np.zeros(len(self.patch), bool)
        flipped[list(self.symmetries)] = rng.integers(2, size=len(self.symmetries))
        return Place(pair, start, shift, flipped, self.exchange and bool(rng.integers(2)))

    def _checked(self, side: int, masks: Sequence[np.ndarray] | None) -> list[np.ndarray]:
        if masks is None:
            return []
        shapes = [pair[side].shape for pair in self.images]
        if [np.shape(mask) for mask in masks] != shapes:
            raise ValueError(
                "There must be a mask of the size of its image for each pair. "
                f"Received: {[np.shape(mask) for mask in masks]} for {shapes}"
            )
        return list(masks)


def _fits(patch: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return len(patch) == len(shape) and all(np.less_equal(patch, shape))


def _paired(
    fixed: Sequence[np.ndarray], moving: Sequence[np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray]]:
    if len(fixed) != len(moving):
        raise ValueError(
            f"Every pair needs two images. Received: {len(fixed)} fixed, {len(moving)} moving"
        )
    return list(zip(fixed, moving, strict=True))
