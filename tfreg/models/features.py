"""Describing images with a network: the base of every model of the zoo that gives features."""

from typing import Any, ClassVar

import numpy as np

from tfreg import ops
from tfreg.models.base import Model


class FeatureModel(Model):
    """A network that gives features, channels for every voxel.

    A subclass defines ``call``: images ``(batch, *spatial, 1)`` in [0, 1] to features
    ``(batch, *spatial, channels)``, and says with ``compute_loss`` and ``score`` what they are
    trained for.

    Args:
        ndim: number of spatial axes, 2 or 3.
        kwargs: of :class:`tfreg.models.base.Model`, ``intensity_range`` among them.
    """

    task: ClassVar[str] = "features"

    def call(self, images: Any, training: bool | None = None) -> Any:
        raise NotImplementedError

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
            lambda: ops.graph(
                lambda batch: self.call(batch, training=False, **options), self.variables
            ),
        )
        found = self.in_batches(function, units, batch_size=batch_size).astype("float32")
        return found[0] if np.ndim(images) == self.ndim else found
