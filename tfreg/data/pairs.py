"""Random pairs of images, as NumPy arrays or as a ``tf.data`` pipeline."""

import numpy as np

from tfreg.data.batches import Array, Batches


class PairSampler(Batches):
    """Random (fixed, moving) pairs of different images of the same class.

    Batch ``step`` is a function of ``(seed, step)`` alone: a training that resumes at step 1200
    sees the very batches that it would have seen without the interruption.

    Args:
        images: ``(n, *spatial)`` or ``(n, *spatial, channels)``, any real dtype.
        labels: ``(n,)`` class of each image. A class is drawn in proportion to its size.
        batch_size: pairs per batch.
        seed: seed of the stream.
        scale: factor on the images, e.g. ``1 / 255``.
        channels: whether ``images`` has a channel axis; one is added where it has none.
        symmetries: whether each pair is flipped along each axis, and the last two axes exchanged
            where their sizes are equal, at random.

    Raises:
        ValueError: on sizes that do not fit, or a class with a single image.

    Example:

    >>> import numpy as np
    >>> from tfreg.data import PairSampler
    >>> sampler = PairSampler(np.zeros((6, 28, 28)), np.array([0, 0, 0, 1, 1, 1]), batch_size=4)
    >>> sampler.batch(0)["fixed"].shape
    (4, 28, 28, 1)
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        batch_size: int = 32,
        seed: int = 0,
        scale: float = 1.0,
        channels: bool = False,
        symmetries: bool = False,
    ) -> None:
        if len(images) != len(labels) or batch_size < 1:
            raise ValueError(
                "images and labels must have one length and batch_size must be positive. "
                f"Received: {len(images)}, {len(labels)}, batch_size={batch_size}"
            )
        classes, members = np.unique(labels, return_counts=True)
        if len(images) == 0 or members.min() < 2:
            raise ValueError(
                "A pair needs two images of one class. Received: "
                f"{dict(zip(classes.tolist(), members.tolist(), strict=True))} images per class"
            )
        self.images = images if channels else images[..., None]
        one = Array(self.images.shape[1:])
        super().__init__(batch_size, seed, {"fixed": one, "moving": one}, count=len(images))
        self.symmetries = symmetries
        self.scale = scale
        # Images sorted by class: a partner is another place within the same run.
        self._order = np.argsort(labels, kind="stable")
        self._start = np.repeat(np.cumsum(members) - members, members)
        self._members = np.repeat(members, members)

    def indices(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the fixed and of the moving images of one batch."""
        rng = np.random.default_rng([self.seed, step])
        fixed = rng.integers(len(self._order), size=self.batch_size)
        members, start = self._members[fixed], self._start[fixed]
        shift = rng.integers(1, members)  # 1 .. members-1: never the image itself
        moving = start + (fixed - start + shift) % members
        return self._order[fixed], self._order[moving]

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """Batch ``step``: ``{"fixed", "moving"}``, float32 ``(batch, *spatial, channels)``."""
        indices = self.indices(step)
        sides = [self.images[i].astype("float32") * np.float32(self.scale) for i in indices]
        if self.symmetries:
            *_, height, width, _ = self.images.shape
            count = self.images.ndim - 2
            rng = np.random.default_rng([self.seed, step, 1])
            for item, turn in enumerate(rng.integers(2 ** (count + 1), size=self.batch_size)):
                for side in sides:
                    side[item] = _turned(side[item].copy(), int(turn), height == width)
        return dict(zip(self.arrays, sides, strict=True))


def _turned(image: np.ndarray, turn: int, square: bool) -> np.ndarray:
    """One of the symmetries of an image, its last axis being the channels."""
    count = image.ndim - 1
    image = np.swapaxes(image, count - 2, count - 1) if square and turn >> count else image
    return image[tuple(slice(None, None, -1 if turn >> axis & 1 else 1) for axis in range(count))]
