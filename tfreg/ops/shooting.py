"""Geodesic shooting of diffeomorphisms: from an initial momentum to the map, and back.

The momentum is carried by the map, ``m(t) = |J| J^T m0(psi)`` with ``psi = phi^-1`` and its
Jacobian J, so the displacement of ``psi`` is all that moves: ``d psi / dt = -J K m(t)``, by
fourth-order Runge-Kutta steps. The gradient is that of these steps, written out: K is its own
adjoint, and the transpose of a gather is a splat.
"""

import functools
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfreg.ops.backend import compiled, held, scan
from tfreg.ops.fluid import FluidOperator, apply_kernel, checked_spacing
from tfreg.ops.precision import at_least_float32
from tfreg.ops.sampler import sampler_parts

# A stage of a step begins at this share of the slope of the stage before it, and counts so much.
_REACH = (0.0, 0.5, 0.5, 1.0)
_SHARE = (1 / 6, 1 / 3, 1 / 3, 1 / 6)
_STAGES = len(_SHARE)


def shoot(
    momentum: Any,
    spacing: Sequence[float] | None = None,
    operator: FluidOperator | None = None,
    steps: int = 10,
) -> Any:
    """The displacement of ``phi^-1`` at time 1 on the geodesic of an initial momentum.

    ``moving(x + u(x))`` is the moving image at the end of the path. With ``t m0`` in the place of
    ``m0`` it is that at time t.

    Args:
        momentum: tensor ``(batch, *spatial, ndim)``, see :func:`tfreg.ops.fluid_velocity`; the grid
            is periodic, nothing is carried beyond its ends.
        spacing: size of a voxel per axis in mm; ``None``: 1 each.
        operator: the coefficients of the metric; ``None``: those of Quicksilver.
        steps: number of steps in time.

    Returns:
        Tensor of the same shape, in voxels. For its gradient the stages of all steps are kept,
        ``8 steps`` fields.

    Raises:
        ValueError: on a shape or a spacing that does not fit, or less than one step.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> momentum = np.zeros((1, 16, 16, 2), "float32")
    >>> momentum[0, 8, 8, 1] = 0.05
    >>> u = np.asarray(ops.shoot(momentum))  # what lies there is pushed along the second axis
    >>> bool(u[0, 8, 8, 1] < 0), u.shape
    (True, (1, 16, 16, 2))

    Reference:
        Singh, Hinkle, Joshi and Fletcher, A vector momenta formulation of diffeomorphisms for
        improved geodesic regression and atlas construction, ISBI 2013.
    """
    momentum = at_least_float32(momentum)
    spacing = _checked(momentum, spacing, steps)
    backend = keras.config.backend()
    return _shooting(backend, spacing, operator or FluidOperator(), steps)(momentum)


def forget_geodesics() -> None:
    """Drops the compiled functions of :func:`shoot` and :func:`geodesic`, one for each spacing."""
    for function in (_shooting, _both):
        function.cache_clear()


def geodesic(
    momentum: Any,
    spacing: Sequence[float] | None = None,
    operator: FluidOperator | None = None,
    steps: int = 10,
) -> tuple[Any, Any]:
    """Both maps at time 1 on the geodesic of an initial momentum; no gradient.

    Each is integrated by itself along the same velocities. On smooth momenta one undoes the other
    to a tenth of a voxel.

    Args:
        momentum, spacing, operator, steps: as in :func:`shoot`.

    Returns:
        The displacement of ``phi^-1``, which warps the moving image, and that of ``phi``, which
        warps the fixed image back and takes points of the moving image along.

    Raises:
        ValueError: as :func:`shoot`.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> momentum = np.zeros((1, 16, 16, 2), "float32")
    >>> momentum[0, 8, 8, 1] = 0.005
    >>> inverse, forward = ops.geodesic(momentum)
    >>> bool(np.abs(np.asarray(ops.compose(inverse, forward))).max() < 0.02)
    True
    """
    momentum = at_least_float32(momentum)
    spacing = _checked(momentum, spacing, steps)
    return _both(keras.config.backend(), spacing, operator or FluidOperator(), steps)(momentum)


def _checked(momentum: Any, spacing: Sequence[float] | None, steps: int) -> tuple[float, ...]:
    whole = isinstance(steps, numbers.Integral) and not isinstance(steps, bool)
    if not whole or steps < 1:
        raise ValueError(f"steps must be a positive integer. Received: steps={steps!r}")
    return checked_spacing(momentum, spacing)


@functools.lru_cache(maxsize=64)
def _shooting(
    backend: str, spacing: tuple[float, ...], operator: FluidOperator, steps: int
) -> Callable:
    """``f(momentum)`` with its gradient, for one backend and metric."""
    flow = _Flow(spacing, operator)
    own = [np.tile(column, steps) / steps for column in (_REACH, _SHARE)]
    # Of the stage after each stage, which is none of a step's last one.
    later = np.tile((*_REACH[1:], 0.0), steps) / steps
    begins, ends = (np.tile(np.arange(_STAGES) == k, steps) for k in (0, _STAGES - 1))

    def forward(momentum: Any) -> tuple[Any, Any, Any]:
        zeros = ops.zeros_like(ops.moveaxis(momentum, -1, 0))

        def stage(state: tuple, given: tuple) -> tuple:
            (at, slope, total), (row,) = state, given
            here = at + row[0] * slope
            velocity, slope = flow.slope(momentum, here)
            total = total + row[1] * slope
            at, total = at + row[2] * total, (1 - row[2]) * total
            return (at, slope, total), (here, velocity)

        rows = _rows(momentum, *own, ends)
        (at, *_), kept = scan(stage, (zeros, zeros, zeros), (rows,), kept=2)
        return ops.moveaxis(at, 0, -1), *kept

    def backward(momentum: Any, places: Any, velocities: Any, upstream: Any) -> Any:
        end = ops.moveaxis(upstream, -1, 0)
        zeros = ops.zeros_like(end)

        def stage(state: tuple, given: tuple) -> tuple:
            adjoint, last, total, gradient = state
            row, place, velocity = given
            pulled = row[0] * adjoint + row[1] * last
            last, own = flow.transposed(momentum, place, velocity, pulled)
            total = total + last
            adjoint, total = adjoint + row[2] * total, (1 - row[2]) * total
            return (adjoint, last, total, gradient + own), ()

        rows = _rows(momentum, own[1], later, begins)
        start = (end, zeros, zeros, ops.zeros_like(momentum))
        return scan(stage, start, (rows, places, velocities), reverse=True)[0][-1]

    forward, backward = compiled(forward), compiled(backward)

    @ops.custom_gradient
    def shooting(momentum: Any) -> Any:
        # Without this an eager tape would ask the island for all that automatic gradients need.
        at, places, velocities = forward(ops.stop_gradient(momentum))

        def gradient(*args: Any, upstream: Any = None) -> Any:
            upstream = args[0] if upstream is None else upstream
            return backward(momentum, places, velocities, upstream)

        return at, gradient

    return shooting


@functools.lru_cache(maxsize=64)
def _both(
    backend: str, spacing: tuple[float, ...], operator: FluidOperator, steps: int
) -> Callable:
    """``f(momentum)``: both maps, for one backend and metric."""
    flow = _Flow(spacing, operator)
    carried = sampler_parts("displacement", "linear", "border", 0.0)[0]

    def run(momentum: Any) -> tuple[Any, Any]:
        zeros = ops.zeros_like(ops.moveaxis(momentum, -1, 0))
        zeros = ops.stack([zeros, zeros])  # of the inverse map, and of the map itself

        def stage(state: tuple, given: tuple) -> tuple:
            (at, slope, total), (row,) = state, given
            here = at + row[0] * slope
            velocity, back = flow.slope(momentum, here[0])
            ahead = carried(ops.moveaxis(velocity, 0, -1), ops.moveaxis(here[1], 0, -1))
            slope = ops.stack([back, ops.moveaxis(ahead, -1, 0)])
            total = total + row[1] * slope
            at, total = at + row[2] * total, (1 - row[2]) * total
            return (at, slope, total), ()

        columns = [np.tile(column, steps) / steps for column in (_REACH, _SHARE)]
        ends = np.tile(np.arange(_STAGES) == _STAGES - 1, steps)
        rows = _rows(momentum, *columns, ends)
        at = scan(stage, (zeros, zeros, zeros), (rows,))[0][0]
        return ops.moveaxis(at[0], 0, -1), ops.moveaxis(at[1], 0, -1)

    return compiled(run)


def _rows(momentum: Any, *columns: np.ndarray) -> Any:
    """A row of coefficients for each stage of all steps."""
    dtype = keras.backend.standardize_dtype(momentum.dtype)
    return ops.convert_to_tensor(np.stack(columns, axis=1), dtype)


class _Flow:
    """``d u / dt = -J K (|J| J^T m0(x + u))`` of components ``(ndim, batch, *spatial)``."""

    def __init__(self, spacing: tuple[float, ...], operator: FluidOperator) -> None:
        self._axes = range(len(spacing))
        self._kernel = functools.partial(apply_kernel, spacing=spacing, operator=operator)
        parts = sampler_parts("displacement", "linear", "constant", 0.0)
        self._sampled, self._moves, self._splat = parts

    def slope(self, momentum: Any, at: Any) -> tuple[Any, Any]:
        """Velocity and slope where the map is.

        Args:
            momentum: ``(batch, *spatial, ndim)``, the initial one.
            at: the displacement of the inverse map.
        """
        jacobian = self._jacobian(at)
        carried = self._carried(momentum, at)

        def pushed() -> Any:
            determinant = self._determinant(jacobian, self._cofactors(jacobian))
            parts = self._transposed(jacobian, carried)
            return ops.stack([determinant * part for part in parts])

        velocity = self._kernel(held(pushed, at))
        slope = [-sum(jacobian[i][j] * velocity[j] for j in self._axes) for i in self._axes]
        return velocity, ops.stack(slope)

    def transposed(self, momentum: Any, at: Any, velocity: Any, pulled: Any) -> tuple[Any, Any]:
        """The transpose of the derivative of :meth:`slope`, applied.

        Args:
            momentum, at: of :meth:`slope`.
            velocity: that it answered.
            pulled: gradient with respect to the slope.

        Returns:
            The gradients with respect to ``at`` and to ``momentum``.
        """
        axes = self._axes
        jacobian = self._jacobian(at)
        cofactors = self._cofactors(jacobian)
        determinant = self._determinant(jacobian, cofactors)
        carried = self._carried(momentum, at)
        # -J v, whose gradient reaches the momentum m = |J| J^T p through K.
        below = [-part for part in self._transposed(jacobian, pulled)]
        pressed = self._kernel(ops.stack(below))
        pushed = self._transposed(jacobian, carried)
        common = sum(pressed[j] * pushed[j] for j in axes)
        where = ops.moveaxis(at, 0, -1)

        def moved() -> Any:
            parts = (sum(jacobian[i][j] * pressed[j] for j in axes) for i in axes)
            return ops.stack([determinant * part for part in parts], axis=-1)

        moved = held(moved, momentum)
        moves = held(self._moves, momentum, momentum, where, moved)

        def column(j: int) -> Any:
            parts = [
                determinant * carried[i] * pressed[j]
                - pulled[i] * velocity[j]
                + common * cofactors[i][j]
                for i in axes
            ]
            return ops.stack(parts)

        found = ops.moveaxis(moves, -1, 0)
        for j in axes:
            # The transpose of a central difference on a periodic grid is its negative.
            found = found - _slope(held(functools.partial(column, j), at), j)
        return found, self._splat(momentum, where, moved)

    def _jacobian(self, at: Any) -> list[list[Any]]:
        slopes = [_slope(at, j) for j in self._axes]
        return [[slopes[j][i] + float(i == j) for j in self._axes] for i in self._axes]

    def _carried(self, momentum: Any, at: Any) -> Any:
        def sampled() -> Any:
            return ops.moveaxis(self._sampled(momentum, ops.moveaxis(at, 0, -1)), -1, 0)

        return held(sampled, at)

    def _transposed(self, matrix: list[list[Any]], vector: Any) -> list[Any]:
        return [sum(matrix[i][j] * vector[i] for i in self._axes) for j in self._axes]

    def _cofactors(self, m: list[list[Any]]) -> list[list[Any]]:
        if len(self._axes) == 2:
            return [[m[1][1], -m[1][0]], [-m[0][1], m[0][0]]]
        after = (1, 2, 0)
        return [
            [
                m[after[i]][after[j]] * m[after[after[i]]][after[after[j]]]
                - m[after[i]][after[after[j]]] * m[after[after[i]]][after[j]]
                for j in self._axes
            ]
            for i in self._axes
        ]

    def _determinant(self, matrix: list[list[Any]], cofactors: list[list[Any]]) -> Any:
        return sum(a * b for a, b in zip(matrix[0], cofactors[0], strict=True))


def _slope(values: Any, axis: int) -> Any:
    """Central difference of ``(ndim, batch, *spatial)`` along an axis of a periodic grid."""
    size = values.shape[2 + axis]
    if size < 3:  # both neighbours are the same voxel
        return ops.zeros_like(values)

    def part(start: int, stop: int) -> Any:
        return values[(slice(None),) * (2 + axis) + (slice(start, stop),)]

    first = part(1, 2) - part(size - 1, size)
    last = part(0, 1) - part(size - 2, size - 1)
    middle = part(2, size) - part(0, size - 2)
    return 0.5 * ops.concatenate([first, middle, last], axis=2 + axis)
