"""Random crops of sections, on which the autoencoder is trained."""

from collections.abc import Sequence

import numpy as np

from tfreg.data import Array, Batches


class Crops(Batches):
    """Batches of crops ``{"images": (batch, size, size, 1)}``, each in [0, 1].

    A crop is turned and flipped at random: sections lie as they happen to.

    Args:
        stacks: arrays ``(sections, height, width)`` uint8, each section a source of crops.
        size: px along each axis.
        batch_size, seed: as :class:`tfreg.data.Batches` takes them.

    Raises:
        ValueError: on sections smaller than a crop.
    """

    def __init__(
        self, stacks: Sequence[np.ndarray], size: int, batch_size: int, seed: int = 0
    ) -> None:
        self.sections = [section for stack in stacks for section in stack]
        smallest = min(min(section.shape) for section in self.sections)
        if smallest < size:
            raise ValueError(f"size must be {smallest} px or less. Received: size={size}")
        self.size = size
        arrays = {"images": Array((size, size, 1))}
        super().__init__(batch_size, seed, arrays, count=len(self.sections))

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """Batch ``step``."""
        rng = np.random.default_rng([self.seed, step])
        drawn = [self._crop(rng) for _ in range(self.batch_size)]
        return {"images": np.stack(drawn)[..., None]}

    def _crop(self, rng: np.random.Generator) -> np.ndarray:
        section = self.sections[rng.integers(len(self.sections))]
        low, high = int(section.min()), int(section.max())
        corner = [rng.integers(n - self.size + 1) for n in section.shape]
        part = section[tuple(slice(c, c + self.size) for c in corner)]
        part = np.rot90(part, rng.integers(4))
        part = part[::-1] if rng.integers(2) else part
        return ((part.astype("float32") - low) / max(high - low, 1)).astype("float32")
