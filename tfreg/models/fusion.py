"""Fusing two images into one with a network: the base of every model of the zoo that fuses."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tfreg import ops
from tfreg.errors import InputError
from tfreg.models.base import Model


@dataclass(frozen=True, eq=False)
class Fusion:
    """Two aligned images as one.

    Attributes:
        fused: ``(*spatial,)`` or ``(batch, *spatial)`` float32, in [0, 1].
        weight: of the same shape, in [0, 1]: how much of the first image is in it.
    """

    fused: np.ndarray
    weight: np.ndarray


class FusionModel(Model):
    """A network that fuses: it weighs two aligned images against each other.

    A subclass defines ``fused``: two images ``(batch, *spatial, 1)`` in [0, 1] to the fused one and
    to the weight of the first, and says with ``call``, ``compute_loss`` and ``score`` how it is
    trained.

    Args:
        ndim: number of spatial axes, 2 or 3.
        kwargs: of :class:`tfreg.models.base.Model`, ``intensity_range`` among them.
    """

    task: ClassVar[str] = "fusion"

    def fused(self, first: Any, second: Any, **options: Any) -> tuple[Any, Any]:
        """The fused images and the weights of the first ones, ``(batch, *spatial, 1)`` each."""
        raise NotImplementedError

    def fuse(self, first: Any, second: Any, batch_size: int = 1, **options: Any) -> Fusion:
        """Fuses two images or two batches of them.

        Args:
            first, second: ``(*spatial,)``, or ``(batch, *spatial)`` or ``(batch, *spatial, 1)``, of
                one shape and already aligned; of any real dtype and intensity range.
            batch_size: pairs that go through the network together.
            options: of this network, see its ``options``.

        Raises:
            InputError: on shapes that do not fit, or values that are not finite.
        """
        self.check_arguments(options)
        if np.shape(first) != np.shape(second):
            raise InputError(
                "first and second must have one shape: register them first. "
                f"Received: first {np.shape(first)}, second {np.shape(second)}"
            )
        units = self.prepared(first, "first"), self.prepared(second, "second")
        if not self.built:
            self.build()
        function = self.function(
            ("fuse", *sorted(options.items())),
            lambda: ops.graph(lambda a, b: self.fused(a, b, **options), self.variables),
        )
        found = self.in_batches(function, *units, batch_size=batch_size)
        fused, weight = (part[..., 0].astype("float32") for part in found)
        if np.ndim(first) == self.ndim:
            return Fusion(fused[0], weight[0])
        return Fusion(fused, weight)
