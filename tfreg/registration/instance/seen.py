"""What a similarity sees of a batch of pairs on a grid: images, masks and descriptors."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfreg.registration.instance import level as levels
from tfreg.registration.instance.similarity import Similarity, names_of

Shrink = tuple[int, ...]


@dataclass(frozen=True)
class Seen:
    """A batch of pairs as a similarity sees it.

    Attributes:
        images: ``"fixed"`` and ``"moving"`` on their full grids, scaled as the similarity asks, and
            the masks that there are.
        intensities: whether it looks at those images; else at descriptors only.
        descriptors: those of both images, by the factors of the grid to which they were averaged.
    """

    images: dict[str, np.ndarray]
    intensities: bool = True
    descriptors: dict[Shrink, dict[str, np.ndarray]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, similarity: Similarity, images: dict[str, np.ndarray], shrinks: Iterable[Shrink]
    ) -> "Seen":
        """What a similarity sees on the grids that it will be asked on.

        The descriptors are those of the full grid, computed once; those of images that were shrunk
        first would not show what is fine.
        """
        names = names_of(similarity)
        if "mind" not in names:
            return cls(images)
        grids = tuple(sorted(set(shrinks)))
        found: dict[Shrink, dict[str, np.ndarray]] = {grid: {} for grid in grids}
        for side in ("fixed", "moving"):
            for grid, values in zip(grids, levels.described(grids)(images[side]), strict=True):
                found[grid][side] = values
        return cls(images, names != ("mind",), found)

    def on(self, shrink: Shrink, smoothing: float = 0.0) -> dict[str, Any]:
        """Images, with the descriptors as further channels, and masks on one grid.

        Args:
            shrink: its factors.
            smoothing: standard deviation of a further Gaussian, in its voxels.
        """
        data = dict(self.images)
        if max(shrink) > 1 or smoothing:
            small = levels.shrink(shrink, float(smoothing))
            data = dict(zip(data, small(*data.values()), strict=True))
        descriptors = self.descriptors.get(shrink)
        if descriptors is None:
            return data
        if smoothing:
            smooth = levels.shrink((1,) * len(shrink), float(smoothing))
            descriptors = dict(zip(descriptors, smooth(*descriptors.values()), strict=True))
        if self.intensities:
            descriptors = {
                side: np.concatenate([data[side], values], axis=-1)
                for side, values in descriptors.items()
            }
        return data | descriptors
