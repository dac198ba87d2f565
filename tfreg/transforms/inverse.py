"""Numerical inverses: ``T(x) = y`` solved for ``x``, point by point."""

import warnings

import numpy as np

from tfreg.errors import InputWarning
from tfreg.transforms.base import Transform

TOLERANCE = 1e-3  # mm, promised
_TARGET = 1e-7  # mm, aimed at
_FIXED_POINT = 20
_NEWTON = 40
_HALVINGS = 8


class Inverse(Transform):
    """``T^-1``: fixed-point steps ``x <- x - (T(x) - y)``, then damped Newton where they fail.

    Args:
        transform: the map to invert.

    Attributes:
        residual: the largest distance in mm between ``y`` and ``T(T^-1(y))`` at a thousand points
            ``y`` that the transform reaches.

    Warns:
        InputWarning: if that is more than 0.001 mm; and when applied to points of which some
            cannot be reached that closely.

    Example:

    >>> from tfreg.geometry import Geometry
    >>> from tfreg.transforms import BSpline
    >>> coefficients = np.random.default_rng(0).normal(size=(8, 8, 2))
    >>> spline = BSpline(coefficients, Geometry.of_shape((8, 8), 10.0))
    >>> inverse = spline.inverse()
    >>> inverse.apply_points(spline.apply_points([[33.0, 41.0]])).round(5).tolist()
    [[33.0, 41.0]]
    >>> inverse.residual < 1e-4
    True
    """

    def __init__(self, transform: Transform) -> None:
        self.transform = transform
        self.ndim = transform.ndim
        samples = transform._samples()
        self.residual = 0.0
        if len(samples):
            targets = transform._map(samples)
            self.residual = float(_distance(transform._map(self._solve(targets)), targets).max())
        if not self.residual <= TOLERANCE:
            warnings.warn(
                f"The inverse of this {type(transform).__name__} misses its target by up to "
                f"{self.residual:.3g} mm where it was measured: the map may fold.",
                InputWarning,
                stacklevel=3,
            )

    def __repr__(self) -> str:
        return f"Inverse({self.transform!r})"

    def inverse(self) -> Transform:
        """The transform that this one inverts."""
        return self.transform

    def _map(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        found = self._solve(points)
        if continued:
            return found
        missed = _distance(self.transform._map(found), points)
        bad = missed > TOLERANCE
        if bad.any():
            warnings.warn(
                f"{int(bad.sum())} of {len(points)} points cannot be reached to {TOLERANCE} mm by "
                f"the transform that is inverted; the largest distance is {missed.max():.3g} mm.",
                InputWarning,
                stacklevel=3,
            )
        return found

    def _jacobian(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        return np.linalg.pinv(self.transform._jacobian(self._solve(points), continued))

    def _samples(self) -> np.ndarray:
        return self.transform._map(self.transform._samples())

    def _solve(self, targets: np.ndarray) -> np.ndarray:
        points = _solve(self.transform, targets)
        # Outside a grid the map is the identity, which the continued map that is solved is not.
        missed = _distance(self.transform._map(points), targets)
        retry = np.flatnonzero(missed > _TARGET)
        if len(retry):
            stays = _distance(self.transform._map(targets[retry]), targets[retry])
            retry = retry[stays < np.minimum(missed[retry], TOLERANCE)]
            points[retry] = targets[retry]
        return points


def _solve(transform: Transform, targets: np.ndarray) -> np.ndarray:
    best = targets.copy()
    errors = np.full(len(targets), np.inf)
    points, active = targets.copy(), np.arange(len(targets))
    for _ in range(_FIXED_POINT):
        wrong = transform._map(points[active], True) - targets[active]
        length = np.linalg.norm(wrong, axis=1)
        closer = length < errors[active]  # where it is not, Newton goes on from the best
        better = active[closer]
        best[better], errors[better] = points[better], length[closer]
        keep = closer & (length > _TARGET)
        active, wrong = active[keep], wrong[keep]
        if not len(active):
            break
        points[active] -= wrong
    active = np.flatnonzero(errors > _TARGET)
    for _ in range(_NEWTON):
        if not len(active):
            break
        active = _newton_step(transform, targets, best, errors, active)
    return best


def _newton_step(
    transform: Transform,
    targets: np.ndarray,
    best: np.ndarray,
    errors: np.ndarray,
    active: np.ndarray,
) -> np.ndarray:
    """One step of the active points, as long as it makes the error smaller; who may go on."""
    wrong = transform._map(best[active], True) - targets[active]
    jacobian = transform._jacobian(best[active], True)
    steps = (np.linalg.pinv(jacobian) @ wrong[..., None])[..., 0]
    pending = np.ones(len(active), bool)
    for halving in range(_HALVINGS):
        rows = active[pending]
        trial = best[rows] - steps[pending] / 2**halving
        length = _distance(transform._map(trial, True), targets[rows])
        closer = length < errors[rows]
        best[rows[closer]], errors[rows[closer]] = trial[closer], length[closer]
        pending[np.flatnonzero(pending)[closer]] = False
        if not pending.any():
            break
    active = active[~pending]
    return active[errors[active] > _TARGET]


def _distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.linalg.norm(first - second, axis=1)
