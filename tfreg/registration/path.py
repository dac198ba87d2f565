"""The paths that answers end: the geodesic of a momentum, the flow of a stationary velocity."""

import functools
import math
import numbers
from collections.abc import Callable
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

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> from tfreg.registration import GeodesicPath
    >>> momentum = np.zeros((16, 16, 2), "float32")
    >>> momentum[8, 8, 1] = 0.005
    >>> path = GeodesicPath(momentum, (1.0, 1.0))
    >>> half, back = path.at(0.5), path.forward()
    >>> half.shape, bool(np.abs(np.asarray(ops.compose(path.at(1)[None], back[None]))).max() < 0.02)
    ((16, 16, 2), True)
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

        Returns:
            ``(batch, *spatial, ndim)`` in voxels of the fixed image, of one pair without the axis
            of the batch.

        Raises:
            InputError: on anything else than a finite number.
        """
        field = self._maps(_checked(time))[0]
        if self.start is not None:
            field = ops.compose(self._batched(self.start), field)
        return self._as_given(field)

    def forward(self) -> np.ndarray:
        """The displacement of the map that undoes the answer: it warps the fixed image back, and
        takes points of the moving image along.

        Integrated by itself along the same velocities, so that the two miss each other by what the
        grid leaves, see :func:`tfreg.ops.geodesic`.

        Returns:
            As :meth:`at`, in voxels, where the moving image is.

        Raises:
            InputError: on a path with a start, whose own inverse is not known.
        """
        if self.start is not None:
            raise InputError("forward() is of a path without a start. Received: one with a start")
        return self._as_given(self._maps(1.0)[1])

    def _maps(self, time: float) -> tuple[Any, Any]:
        momentum = np.float32(time) * self._batched(self.momentum)
        return ops.geodesic(momentum, self.spacing, self.operator, self.steps)

    @property
    def _single(self) -> bool:
        return self.momentum.ndim == len(self.spacing) + 1

    def _batched(self, values: np.ndarray) -> np.ndarray:
        return values[None] if self._single else values

    def _as_given(self, field: Any) -> np.ndarray:
        found = keras_ops.convert_to_numpy(field)
        return found[0] if self._single else found


@dataclass(frozen=True, eq=False)
class FlowPath:
    """A stationary velocity, and what its map is applied before: ``start(exp(v)(x))``.

    Attributes:
        velocity: ``(batch, *spatial, ndim)`` in voxels of the fixed image per unit time; of one
            pair without the axis of the batch.
        start: the displacement that the registration began with, of the same shape, or ``None``.

    Example:

    >>> import numpy as np
    >>> from tfreg.registration import FlowPath
    >>> path = FlowPath(np.ones((8, 8, 2), "float32"))
    >>> float(path.at(0.5)[4, 4, 0]), float(path.forward()[4, 4, 0])
    (0.5, -1.0)
    """

    velocity: np.ndarray
    start: np.ndarray | None = None

    def item(self, index: int) -> "FlowPath":
        """That of one pair of a batch."""
        return FlowPath(self.velocity[index], None if self.start is None else self.start[index])

    def at(self, time: Any) -> np.ndarray:
        """The displacement at a time: 0 is the start, 1 the answer; outside it goes straight on.

        Args:
            time: a finite number.

        Returns:
            As :meth:`GeodesicPath.at`.

        Raises:
            InputError: on anything else than a finite number.
        """
        field = self.flow(_checked(time))
        if self.start is None:
            return field
        batched = field.ndim == field.shape[-1] + 2
        start, field = (v if batched else v[None] for v in (self.start, field))
        found = keras_ops.convert_to_numpy(ops.compose(start, field))
        return found if batched else found[0]

    def forward(self) -> np.ndarray:
        """The displacement of the map that undoes the answer, the flow of ``-v``.

        Returns:
            As :meth:`GeodesicPath.forward`.

        Raises:
            InputError: on a path with a start, whose own inverse is not known; of images in
                physical space :meth:`PhysicalRegistration.inverse` finds it.
        """
        if self.start is not None:
            raise InputError("forward() is of a path without a start. Received: one with a start")
        return self.flow(-1.0)

    def flow(self, time: float) -> np.ndarray:
        """The displacement of ``exp(time v)`` alone."""
        batched = self.velocity.ndim == self.velocity.shape[-1] + 2
        velocity = np.float32(time) * (self.velocity if batched else self.velocity[None])
        found = keras_ops.convert_to_numpy(_flow()(velocity))
        return found if batched else found[0]


@functools.cache
def _flow() -> Callable:
    return ops.compiled(ops.flow, identity="flow")  # what only a gradient needs is not kept


def _checked(time: Any) -> float:
    finite = isinstance(time, numbers.Real) and math.isfinite(time)
    if not finite or isinstance(time, bool):
        raise InputError(f"time must be a finite number. Received: time={time!r}")
    return float(time)
