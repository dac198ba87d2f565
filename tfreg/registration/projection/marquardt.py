"""Levenberg and Marquardt's descent on a batch of independent problems, as one compiled loop."""

from collections.abc import Callable
from typing import Any

from keras import ops

from tfreg.ops.backend import compiled

_DAMPING, _LESS, _MORE, _MOST = 1e-3, 0.25, 6.0, 1e6


def marquardt(normal: Callable, prepare: Callable | None = None) -> Callable:
    """Compiles the descent, the loop included.

    A step solves ``(H + damping diag H) delta = -g``. Where it led to a smaller value, it is kept
    and the damping falls; else it is undone and the damping grows. Each step costs one evaluation.

    Args:
        normal: function ``(parameters, *data) -> (value, H, g)`` of tensors ``(batch, n)`` to
            ``(batch,)``, ``(batch, n, n)`` and ``(batch, n)``, written with ``keras.ops``.
        prepare: of the data, what ``normal`` takes in their place, made once before the loop.

    Returns:
        A compiled function ``(steps, tolerance, start, *data) -> (parameters, values, start_values,
        evaluations)``: ``steps`` is an int32 scalar, the most steps; a problem stops where a step
        changed the value by less than ``tolerance``, a float scalar. ``evaluations`` is int32
        ``(batch,)``, that of the start included. No result is worse than the start.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> from tfreg.registration.projection.marquardt import marquardt
    >>> def normal(x, slope):  # of (slope x - 2)^2 / 2
    ...     error = slope * x - 2
    ...     return ops.sum(error**2, 1) / 2, (slope**2)[..., None], slope * error
    >>> start, slope = np.zeros((2, 1), "float32"), np.array([[1.0], [4.0]], "float32")
    >>> found, *_ = marquardt(normal)(np.int32(9), np.float32(1e-9), start, slope)
    >>> [round(float(v), 3) for v in np.asarray(found)[:, 0]]
    [2.0, 0.5]

    Reference:
        D. W. Marquardt, An algorithm for least-squares estimation of nonlinear parameters, SIAM
        Journal on Applied Mathematics 11(2), 1963.
    """

    def run(steps: Any, tolerance: Any, start: Any, *data: Any) -> tuple:
        if prepare is not None:
            data = prepare(*data)
        none = ops.zeros_like(start[:, 0])
        size = start.shape[1]
        empty = ops.zeros_like(start[:, :, None] * start[:, None, :])

        def unfinished(count: Any, *state: Any) -> Any:
            return ops.logical_and(count <= steps, ops.any(state[-1]))

        def step(
            count: Any,
            trial: Any,
            best: Any,
            value: Any,
            first: Any,
            matrix: Any,
            gradient: Any,
            damping: Any,
            taken: Any,
            active: Any,
        ) -> tuple:
            # The objective appears once: every copy of it would be compiled.
            found, found_matrix, found_gradient = normal(trial, *data)
            begins = count < 1
            first = ops.where(begins, found, first)
            gain = ops.where(begins, float("inf"), value - found)
            # At the start there is nothing better; a NaN never is.
            better = ops.logical_and(active, ops.logical_or(begins, gain > 0))
            best = ops.where(better[:, None], trial, best)
            value = ops.where(better, found, value)
            matrix = ops.where(better[:, None, None], found_matrix, matrix)
            gradient = ops.where(better[:, None], found_gradient, gradient)
            taken = taken + ops.cast(active, "int32")
            factor = ops.where(better, _LESS, _MORE)
            damping = ops.where(begins, damping, damping * factor)
            # Where a step changes nothing, for better or worse, there is nothing more to find.
            active = ops.logical_and(active, ops.logical_not(ops.abs(gain) < tolerance))
            active = ops.logical_and(active, damping < _MOST)
            return (
                count + 1,
                best + _step(matrix, gradient, damping),
                best,
                value,
                first,
                matrix,
                gradient,
                damping,
                taken,
                active,
            )

        def _step(matrix: Any, gradient: Any, damping: Any) -> Any:
            # In units in which the diagonal is 1: mm and degrees differ by orders of magnitude.
            diagonal = [matrix[:, k, k] for k in range(size)]
            unit = [ops.where(d > 0, ops.sqrt(ops.where(d > 0, d, 1.0)), 1.0) for d in diagonal]
            rows = [
                [matrix[:, i, j] / (unit[i] * unit[j]) for j in range(size)] for i in range(size)
            ]
            for k in range(size):
                rows[k][k] = rows[k][k] + damping
            right = [-gradient[:, k] / unit[k] for k in range(size)]
            moves = solved(rows, right)
            return ops.stack([move / u for move, u in zip(moves, unit, strict=True)], axis=1)

        state = (ops.zeros((), "int32"), start, start, none, none, empty, ops.zeros_like(start))
        more = (none + _DAMPING, ops.zeros_like(none, dtype="int32"))
        active = ops.ones_like(none, dtype="bool")
        state = ops.while_loop(unfinished, step, (*state, *more, active))
        _, _, best, value, first, *_, taken, _ = state
        return best, value, first, taken

    return compiled(run)


def solved(rows: list[list[Any]], right: list[Any]) -> list[Any]:
    """The solution of a positive definite system, by elimination without exchange of rows.

    Unrolled for a handful of unknowns, of which each is a tensor ``(batch,)``.

    Args:
        rows: of the matrix.
        right: the right-hand side.
    """
    size = len(right)
    rows, right = [list(row) for row in rows], list(right)
    for k in range(size):
        for i in range(k + 1, size):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
            right[i] = right[i] - factor * right[k]
    found: list[Any] = [None] * size
    for k in reversed(range(size)):
        rest = sum((rows[k][j] * found[j] for j in range(k + 1, size)), 0.0)
        found[k] = (right[k] - rest) / rows[k][k]
    return found
