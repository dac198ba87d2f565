"""Describing images with a network: the base of every model of the zoo that gives features."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from tfreg import ops
from tfreg.models.base import Model


class FeatureModel(Model):
    """A network that gives features, channels for every voxel.

    A subclass defines ``call``: images ``(batch, *spatial, 1)`` in [0, 1] to features
    ``(batch, *spatial, channels)``, and says with ``compute_loss`` and ``score`` what they are
    trained for. Where it is trained on something else than features of whole images, such as
    reconstructions of patches, that is its ``call``, and features are its ``described``.

    Args:
        ndim: number of spatial axes, 2 or 3.
        kwargs: of :class:`tfreg.models.base.Model`, ``intensity_range`` among them.

    Attributes:
        reach: how many voxels away along an axis a feature looks at most, with which an image goes
            through in slabs, so that memory stays bounded; ``None``: as a whole.
        slab_voxels: voxels of a slab at most, or as many as its reach needs.
    """

    task: ClassVar[str] = "features"
    slab_voxels: ClassVar[int] = 2**20

    @property
    def reach(self) -> int | None:
        return None

    def call(self, images: Any, training: bool | None = None) -> Any:
        raise NotImplementedError

    def described(self, images: Any, **options: Any) -> Any:
        """Features ``(batch, *spatial, channels)`` of images ``(batch, *spatial, 1)``."""
        return self.call(images, training=False, **options)

    def features(self, images: Any, batch_size: int = 1, **options: Any) -> np.ndarray:
        """The features of one image or a batch.

        Args:
            images: one image ``(*spatial,)``, or a batch ``(batch, *spatial)`` or
                ``(batch, *spatial, 1)``, of any real dtype and intensity range.
            batch_size: images that go through the network together.
            options: of this network, see its ``options``.

        Returns:
            float32 ``(*spatial, channels)``, or ``(batch, *spatial, channels)``.

        Raises:
            InputError: on a shape that does not fit, or values that are not finite.
        """
        self.check_arguments(options)
        units = self.prepared(images, "images")
        if not self.built:
            self.build()
        function = self.function(
            ("features", *sorted(options.items())),
            lambda: ops.graph(lambda batch: self.described(batch, **options), self.variables),
        )
        if self.reach is None:
            found = self.in_batches(function, units, batch_size=batch_size).astype("float32")
        else:
            found = self._in_slabs(function, units, self.reach, batch_size)
        return found[0] if np.ndim(images) == self.ndim else found

    def _in_slabs(
        self, function: Callable, units: np.ndarray, reach: int, batch_size: int
    ) -> np.ndarray:
        """Features slab by slab along the first axis: each is seen with what its border looks at.

        All slabs have one size, so that one graph serves them.
        """
        rows = units.shape[1]
        row = batch_size * int(np.prod(units.shape[2:]))
        seen = min(rows, max(self.slab_voxels // row, 4 * reach + 1))
        step = rows if seen == rows else seen - 2 * reach
        parts = []
        for first in range(0, rows, step):
            last = min(first + step, rows)
            start = min(max(first - reach, 0), rows - seen)
            slab = units[:, start : start + seen]
            part = self.in_batches(function, slab, batch_size=batch_size)
            parts.append(part[:, first - start : last - start].astype("float32"))
        return np.concatenate(parts, axis=1)
