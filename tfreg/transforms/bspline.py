"""Free-form deformations on B-splines."""

from dataclasses import dataclass

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.transforms.base import Transform
from tfreg.transforms.fields import check_field, index_jacobian, random_index
from tfreg.transforms.inverse import Inverse
from tfreg.transforms.lattice import ORDERS, gradient, interpolate

_ROUNDING = 1e-9  # of a grid spacing, by which a point on the border may miss it


@dataclass(frozen=True, eq=False, repr=False)
class BSpline(Transform):
    """``T(x) = x + sum_i c_i prod_a beta(index(x)_a - i_a)``; identity outside the valid region.

    The valid region is where all nodes under the basis functions exist: from node ``(order - 1) /
    2`` to the same number before the last, as in ITK's ``BSplineTransform`` and in elastix.

    Args:
        coefficients: ``(*spatial, ndim)``: displacements in mm, components x, y[, z], the array
            indexed z, y, x.
        geometry: of the grid of control points.
        order: 1, 2 or 3 (cubic).

    Raises:
        InputError: if the parts do not fit together, the coefficients are not finite, or an axis
            has no ``order + 1`` nodes.

    Example:

    >>> grid = Geometry.of_shape((6, 6), spacing=10.0)
    >>> spline = BSpline(np.full((6, 6, 2), 2.0), grid)
    >>> spline.apply_points([[20.0, 20.0], [5.0, 5.0]]).round(6).tolist()
    [[22.0, 22.0], [5.0, 5.0]]

    Reference:
        Rueckert et al., Nonrigid registration using free-form deformations, IEEE TMI 18(8), 1999.
    """

    coefficients: np.ndarray
    geometry: Geometry
    order: int = 3

    def __post_init__(self):
        if self.order not in ORDERS:
            raise InputError(f"order must be 1, 2 or 3. Received: order={self.order}")
        coefficients = check_field(self.coefficients, self.geometry, "coefficients")
        if min(self.geometry.size) <= self.order:
            raise InputError(
                f"A spline of order {self.order} needs {self.order + 1} nodes along every axis. "
                f"Received: size={self.geometry.size}"
            )
        object.__setattr__(self, "coefficients", coefficients)

    def __repr__(self) -> str:
        return f"BSpline(order={self.order}, {self.geometry})"

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return self.geometry.ndim

    def inverse(self) -> Inverse:
        """The numerical inverse, found point by point.

        Warns:
            InputWarning: if it is not exact to 0.001 mm where it was measured.
        """
        return Inverse(self)

    @property
    def _limits(self) -> tuple[np.ndarray, np.ndarray]:
        margin = (self.order - 1) / 2
        return np.full(self.ndim, margin), np.array(self.geometry.shape) - 1 - margin

    def _inside(self, index: np.ndarray) -> np.ndarray:
        low, high = self._limits
        return ((index >= low - _ROUNDING) & (index <= high + _ROUNDING)).all(axis=1)

    def _map(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        index = self.geometry.to_index(points)
        if continued:
            return points + interpolate(
                self.coefficients, np.clip(index, *self._limits), self.order
            )
        inside = self._inside(index)
        result = points.copy()
        result[inside] += interpolate(self.coefficients, index[inside], self.order)
        return result

    def _jacobian(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        index = self.geometry.to_index(points)
        if not continued:
            inside = self._inside(index)
            slopes = gradient(self.coefficients, index[inside], self.order)
            return index_jacobian(slopes, inside, len(points), self.geometry)
        low, high = self._limits
        slopes = gradient(self.coefficients, np.clip(index, low, high), self.order)
        slopes = np.where(((index < low) | (index > high))[:, None, :], 0.0, slopes)
        return index_jacobian(slopes, slice(None), len(points), self.geometry)

    def _samples(self) -> np.ndarray:
        return self.geometry.to_physical(random_index(*self._limits))
