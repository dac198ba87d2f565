"""Flows of stationary velocities."""

import warnings
from dataclasses import dataclass, field

import numpy as np

from tfreg.errors import InputError, InputWarning
from tfreg.geometry import Geometry
from tfreg.transforms.base import Transform
from tfreg.transforms.fields import check_field, random_index
from tfreg.transforms.inverse import TOLERANCE
from tfreg.transforms.lattice import gradient, interpolate


@dataclass(frozen=True, eq=False, repr=False)
class Velocity(Transform):
    """``T(x) = y(1)`` of ``dy/dt = v(y)``, ``y(0) = x``: the flow of a velocity, a diffeomorphism.

    Integrated by ``steps`` Runge-Kutta steps of fourth order. ``v`` is linear between the voxels of
    its grid; outside it is that of the nearest point of the border, so that the flow has no jump.

    Args:
        field: ``(*spatial, ndim)``: ``v`` in mm per unit time, components x, y[, z], the array
            indexed z, y, x.
        geometry: of the grid.
        steps: 1 or more; no step should cross more than about one voxel.

    Raises:
        InputError: if the parts do not fit together, or the field is not finite.

    Example:

    >>> flow = Velocity(np.full((4, 5, 2), 1.5), Geometry.of_shape((4, 5)), steps=4)
    >>> flow.apply_points([[1.0, 1.0]]).tolist()
    [[2.5, 2.5]]
    >>> flow.inverse().apply_points([[2.5, 2.5]]).tolist()
    [[1.0, 1.0]]

    Reference:
        Arsigny et al., A log-Euclidean framework for statistics on diffeomorphisms, MICCAI 2006.
    """

    field: np.ndarray
    geometry: Geometry
    steps: int = 16
    residual: float = field(default=0.0, init=False)

    def __post_init__(self):
        if isinstance(self.steps, bool) or self.steps != int(self.steps) or self.steps < 1:
            raise InputError(f"steps must be an integer of at least 1. Received: {self.steps}")
        object.__setattr__(self, "steps", int(self.steps))
        object.__setattr__(self, "field", check_field(self.field, self.geometry, "field"))

    def __repr__(self) -> str:
        return f"Velocity(steps={self.steps}, {self.geometry})"

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return self.geometry.ndim

    def inverse(self) -> "Velocity":
        """The flow of ``-v``, whose residual is the error of both integrations.

        Warns:
            InputWarning: if that is more than 0.001 mm where it was measured; more ``steps``
                make it smaller.
        """
        inverse = Velocity(-self.field, self.geometry, self.steps)
        samples = self._samples()
        returned = inverse._map(self._map(samples))
        # T(T^-1(y)) - y at y = T(x) is T(returned) - T(x).
        residual = float(np.linalg.norm(self._map(returned) - self._map(samples), axis=1).max())
        object.__setattr__(inverse, "residual", residual)
        if not residual <= TOLERANCE:
            warnings.warn(
                f"The inverse flow misses its target by up to {residual:.3g} mm where it was "
                f"measured: more than steps={self.steps} are needed.",
                InputWarning,
                stacklevel=2,
            )
        return inverse

    def _velocity(self, points: np.ndarray) -> np.ndarray:
        return interpolate(self.field, self.geometry.to_index(points), 1)

    def _slope(self, points: np.ndarray) -> np.ndarray:
        slopes = gradient(self.field, self.geometry.to_index(points), 1)
        return slopes @ np.linalg.inv(self.geometry.matrix[:, :-1])

    def _map(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        step = 1 / self.steps
        for _ in range(self.steps):
            first = self._velocity(points)
            second = self._velocity(points + step / 2 * first)
            third = self._velocity(points + step / 2 * second)
            fourth = self._velocity(points + step * third)
            points = points + step / 6 * (first + 2 * second + 2 * third + fourth)
        return points

    def _jacobian(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        """The derivative of the very steps that map the points."""
        step = 1 / self.steps
        total = np.tile(np.eye(self.ndim), (len(points), 1, 1))
        for _ in range(self.steps):
            velocity, slope = self._velocity(points), self._slope(points) @ total
            moved, turned = velocity, slope
            for share, weight in ((0.5, 2), (0.5, 2), (1.0, 1)):
                where = points + share * step * velocity
                slope = self._slope(where) @ (total + share * step * slope)
                velocity = self._velocity(where)
                moved, turned = moved + weight * velocity, turned + weight * slope
            points, total = points + step / 6 * moved, total + step / 6 * turned
        return total

    def _samples(self) -> np.ndarray:
        last = np.array(self.geometry.shape) - 1.0
        return self.geometry.to_physical(random_index(np.zeros(self.ndim), last))
