"""The path that an LDDMM answers: the geodesic of a momentum, at any time."""

import math
import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.errors import InputError


@dataclass(frozen=True, eq=False)
class GeodesicPath:
    """An initial momentum, and what its map is applied before.

    Attributes:
        momentum: ``(batch, *spatial, ndim)`` per voxel of the fixed image, see
            :func:`tfreg.ops.fluid_velocity`; of one pair without the axis of the batch.
        spacing: size of a voxel per axis.
        start: the displacement that the registration began with, of the same shape, or ``None``.
        operator: the metric.
        steps: in time.
    """

    momentum: np.ndarray
    spacing: tuple[float, ...]
    start: np.ndarray | None = None
    operator: ops.FluidOperator = ops.FluidOperator()  # noqa: RUF009 - frozen
    steps: int = 10

    def item(self, index: int) -> "GeodesicPath":
        """That of one pair of a batch."""
        start = None if self.start is None else self.start[index]
        return GeodesicPath(self.momentum[index], self.spacing, start, self.operator, self.steps)

    def at(self, time: Any) -> np.ndarray:
        """The displacement at a time: 0 is the start, 1 the answer; outside it goes straight on.

        Args:
            time: a finite number.

        Raises:
            InputError: on anything else.
        """
        finite = isinstance(time, numbers.Real) and math.isfinite(time)
        if not finite or isinstance(time, bool):
            raise InputError(f"time must be a finite number. Received: time={time!r}")
        single = self.momentum.ndim == len(self.spacing) + 1
        momentum, start = self.momentum, self.start
        if single:
            momentum, start = momentum[None], None if start is None else start[None]
        scaled = np.float32(time) * momentum
        field = ops.shoot(scaled, self.spacing, self.operator, self.steps)
        if start is not None:
            field = ops.compose(start, field)
        found = keras_ops.convert_to_numpy(field)
        return found[0] if single else found
