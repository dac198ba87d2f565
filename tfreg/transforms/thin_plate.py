"""Thin-plate splines through landmarks."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.transforms.base import Transform
from tfreg.transforms.inverse import Inverse

_TABLE = 1 << 21  # distances held at a time
_SINGULAR = 1e-10


@dataclass(frozen=True, eq=False, repr=False)
class ThinPlate(Transform):
    """``T(x) = a + A x + sum_i w_i phi(|x - p_i|)`` of least bending with ``T(p_i) = q_i``.

    ``phi(r) = r^2 log r`` in 2-D and ``-r`` in 3-D.

    Args:
        fixed_points: ``(n, ndim)``: ``p`` in LPS mm, at least ``ndim + 1``, not all on one line
            (3-D: plane), no two the same.
        moving_points: ``(n, ndim)``: ``q`` in LPS mm.

    Raises:
        InputError: on other shapes, numbers that are not finite, or points that determine no
            spline.

    Example:

    >>> fixed = np.array([[0.0, 0], [8, 0], [0, 6], [8, 6], [4, 3]])
    >>> moving = fixed.copy()
    >>> moving[4] += (1, 0)  # only the middle moves
    >>> ThinPlate(fixed, moving).apply_points([[4.0, 3.0], [8.0, 6.0]]).round(6).tolist()
    [[5.0, 3.0], [8.0, 6.0]]

    Reference:
        Bookstein, Principal warps: thin-plate splines and the decomposition of deformations, IEEE
        TPAMI 11(6), 1989.
    """

    fixed_points: np.ndarray
    moving_points: np.ndarray
    _weights: np.ndarray = field(init=False)
    _affine: np.ndarray = field(init=False)
    _frame: tuple[np.ndarray, float] = field(init=False)

    def __post_init__(self):
        fixed, moving = _points(self.fixed_points), _points(self.moving_points)
        if fixed.shape != moving.shape or fixed.shape[1] not in (2, 3):
            raise InputError(
                "fixed_points and moving_points must both be (n, 2) or (n, 3). "
                f"Received: shapes {fixed.shape}, {moving.shape}"
            )
        count, ndim = fixed.shape
        if count < ndim + 1:
            raise InputError(f"{ndim + 1} points at least are needed. Received: {count}")
        centre = fixed.mean(axis=0)
        spread = float(np.sqrt(((fixed - centre) ** 2).sum(axis=1).mean()))
        scaled = (fixed - centre) / (spread or 1.0)
        affine = np.concatenate([np.ones((count, 1)), scaled], axis=1)
        if np.linalg.svd(affine, compute_uv=False)[-1] < _SINGULAR * count:
            shape = "line" if ndim == 2 else "plane"
            raise InputError(f"The fixed points must not all lie in one {shape}.")
        if len(np.unique(fixed, axis=0)) < count:
            raise InputError("No two fixed points may be the same.")
        system = np.zeros((count + ndim + 1,) * 2)
        system[:count, :count] = _kernel(_distances(scaled, scaled), ndim)
        system[:count, count:], system[count:, :count] = affine, affine.T
        right = np.concatenate([moving - fixed, np.zeros((ndim + 1, ndim))])
        try:
            solution = np.linalg.solve(system, right)
        except np.linalg.LinAlgError as error:
            raise InputError(
                "No spline passes through these points: some are too close."
            ) from error
        for name, value in (
            ("fixed_points", fixed),
            ("moving_points", moving),
            ("_weights", solution[:count]),
            ("_affine", solution[count:]),
            ("_frame", (centre, spread)),
        ):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"ThinPlate({len(self.fixed_points)} points, {self.ndim}-D)"

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return self.fixed_points.shape[1]

    def inverse(self) -> Inverse:
        """The numerical inverse, found point by point.

        Warns:
            InputWarning: if it is not exact to 0.001 mm where it was measured.
        """
        return Inverse(self)

    def _map(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        result = points.copy()
        for rows, scaled, control in self._chunks(points):
            result[rows] += self._affine[0] + scaled @ self._affine[1:]
            result[rows] += _kernel(_distances(scaled, control), self.ndim) @ self._weights
        return result

    def _jacobian(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        result = np.tile(np.eye(self.ndim), (len(points), 1, 1))
        spread = self._frame[1]
        for rows, scaled, control in self._chunks(points):
            result[rows] += self._affine[1:].T / spread
            between = scaled[:, None] - control
            slope = _slope_over_distance(np.linalg.norm(between, axis=-1), self.ndim)
            result[rows] += np.einsum("pi,pib,ia->pab", slope, between, self._weights) / spread
        return result

    def _chunks(self, points: np.ndarray) -> Any:
        centre, spread = self._frame
        control = (self.fixed_points - centre) / spread
        step = max(1, _TABLE // (len(control) * self.ndim))
        for start in range(0, len(points), step):
            rows = slice(start, start + step)
            yield rows, (points[rows] - centre) / spread, control

    def _samples(self) -> np.ndarray:
        # Between the landmarks: beyond them nothing is known of the map.
        shares = np.random.default_rng(0).dirichlet(np.ones(len(self.fixed_points)), 500)
        return np.concatenate([self.fixed_points, shares @ self.fixed_points])


def _points(values: Any) -> np.ndarray:
    try:
        values = np.array(values, dtype="float64")
    except (TypeError, ValueError) as error:
        raise InputError(f"Points must be numbers: {error}.") from error
    if values.ndim != 2 or not np.isfinite(values).all():
        raise InputError(f"Points must be (n, ndim) and finite. Received: shape={values.shape}")
    values.flags.writeable = False
    return values


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist

    return cdist(first, second)


def _kernel(distances: np.ndarray, ndim: int) -> np.ndarray:
    if ndim == 3:
        return -distances
    return distances**2 * np.log(np.where(distances > 0, distances, 1.0))


def _slope_over_distance(distances: np.ndarray, ndim: int) -> np.ndarray:
    """``phi'(r) / r``; 0 at ``r = 0``, where the term it belongs to has no direction."""
    safe = np.where(distances > 0, distances, 1.0)
    slope = 2 * np.log(safe) + 1 if ndim == 2 else -1 / safe
    return np.where(distances > 0, slope, 0.0)
