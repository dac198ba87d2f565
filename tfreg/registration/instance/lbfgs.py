"""Instance optimisation: L-BFGS as one compiled function, an evaluation in each round of a loop."""

from collections.abc import Callable
from typing import Any

from keras import ops

from tfreg.losses.means import weighted_sum
from tfreg.ops.backend import compiled, value_and_gradient
from tfreg.registration.instance.adam import PLATEAU

MEMORY = 5  # pairs of steps and changes of the gradient that stand for the curvature
_DECREASE = 1e-4  # share of what the slope promises that a step must bring
_SHORTER = (0.1, 0.5)  # by so much at most and at least is a step that failed shortened


def minimiser(losses: Callable, identity: str | None = None) -> Callable:
    """Compiles L-BFGS on a batch of independent problems, the loop included.

    Each problem has its own curvature and its own length of step: where a point is worse than the
    slope promised, or its loss is not a number, it is refused and the step is shortened. So the
    losses never rise, and a loss that is large where it must not go is a guard.

    Args:
        losses: function ``(parameters, *data) -> (batch,)``, written with ``keras.ops``.
        identity: of ``losses``, see :func:`tfreg.ops.backend.compiled`.

    Returns:
        A compiled function of the arguments and results of
        :func:`tfreg.registration.instance.adam.minimiser`: ``steps`` are evaluations after that of
        the start, ``learning_rate`` is the largest change of a parameter in the first step.
        ``decay`` is that of descents without a search for the length of steps; here it is not used.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> from tfreg.registration.instance.lbfgs import minimiser
    >>> square = minimiser(lambda x, target: ops.sum((x - target) ** 2, axis=1))
    >>> start, target = np.zeros((2, 1), "float32"), np.array([[1.0], [-1.0]], "float32")
    >>> settings = np.int32(5), np.float32(0.1), np.float32(1), np.float32(0)
    >>> best, *_ = square(*settings, start, target)
    >>> [round(float(v), 3) for v in np.asarray(best)[:, 0]]
    [1.0, -1.0]

    Reference:
        Liu and Nocedal, On the limited memory BFGS method for large scale optimization,
        Mathematical Programming 45, 1989.
    """

    def run(
        steps: Any, learning_rate: Any, decay: Any, tolerance: Any, start: Any, *data: Any
    ) -> tuple:
        def objective(parameters: Any) -> Any:
            return losses(parameters, *data)

        def spread(values: Any) -> Any:
            """A value per problem against its parameters."""
            return ops.reshape(values, (-1,) + (1,) * (len(start.shape) - 1))

        learning_rate = ops.cast(learning_rate, start.dtype)
        axes = tuple(range(1, len(start.shape)))

        def dot(a: Any, b: Any) -> Any:
            return weighted_sum(a * b, None)

        def directed(gradient: Any, moves: Any, changes: Any, weights: Any) -> Any:
            """The direction of the two loops; ``weights`` are 1 / <move, change>, 0 for none."""
            found, factors = gradient, []
            for k in range(MEMORY):  # the latest first
                factors.append(weights[k] * dot(moves[k], found))
                found = found - spread(factors[-1]) * changes[k]
            scale = weights[0] * dot(changes[0], changes[0])
            found = found / spread(ops.where(scale > 0, scale, 1.0))
            for k in reversed(range(MEMORY)):
                back = weights[k] * dot(changes[k], found)
                found = found + spread(factors[k] - back) * moves[k]
            return -found

        def unfinished(count: Any, *state: Any) -> Any:
            return ops.logical_and(count <= steps, ops.any(state[-1]))

        def step(
            count: Any,
            best: Any,
            values: Any,
            gradient: Any,
            direction: Any,
            slope: Any,
            length: Any,
            moves: Any,
            changes: Any,
            weights: Any,
            first: Any,
            mark: Any,
            taken: Any,
            active: Any,
        ) -> tuple:
            move = spread(length) * direction
            trial = best + move
            current, there = value_and_gradient(objective, trial)
            begun = count > 0
            first = ops.where(begun, first, current)
            good = current <= values + _DECREASE * length * slope  # a NaN never is
            kept = ops.logical_and(active, ops.logical_or(good, ops.logical_not(begun)))
            taken = taken + ops.cast(ops.logical_and(active, begun), "int32")
            change = there - gradient
            curvature = dot(move, change)
            learned = ops.logical_and(kept, curvature > 1e-10 * dot(change, change))
            learned = ops.logical_and(learned, begun)
            moves, changes, weights = (
                _remembered(old, new, learned, spread)
                for old, new in (
                    (moves, move),
                    (changes, change),
                    (weights, 1 / ops.where(learned, curvature, 1.0)),
                )
            )
            # By the parabola through both ends and the slope; in float32 it may be none.
            fall = 2 * (current - values - slope * length)
            parabola = ops.where(fall > 0, -slope * length / ops.where(fall > 0, fall, 1.0), 0.5)
            parabola = ops.where(ops.isfinite(current), parabola, _SHORTER[0])
            shorter = length * ops.clip(parabola, *_SHORTER)
            best = ops.where(spread(kept), trial, best)
            gradient = ops.where(spread(kept), there, gradient)
            values = ops.where(kept, current, values)
            due = ops.equal(count % PLATEAU, PLATEAU - 1)
            moved = ops.logical_or(mark - values >= tolerance, tolerance <= 0)
            active = ops.logical_and(active, ops.logical_or(moved, ops.logical_not(due)))
            mark = ops.where(ops.logical_or(due, ops.logical_not(begun)), values, mark)
            direction = directed(gradient, moves, changes, weights)
            slope = dot(gradient, direction)
            downhill = slope < 0
            direction = ops.where(spread(downhill), direction, -gradient)
            slope = ops.where(downhill, slope, -dot(gradient, gradient))
            largest = ops.max(ops.abs(direction), axis=axes)
            whole = ops.where(weights[0] > 0, 1.0, learning_rate / ops.maximum(largest, 1e-20))
            length = ops.where(kept, whole, shorter)
            state = (best, values, gradient, direction, slope, length, moves, changes, weights)
            return count + 1, *state, first, mark, taken, active

        zeros = ops.zeros_like(start)
        none = ops.zeros_like(start[(slice(None), *(0,) * len(axes))])
        many = ops.stack([zeros] * MEMORY)
        active = ops.ones_like(none, dtype="bool")
        taken = ops.zeros_like(none, dtype="int32")
        state = (ops.zeros((), "int32"), start, none, zeros, zeros, none, none)
        state = (*state, many, many, ops.stack([none] * MEMORY), none, none, taken, active)
        found = ops.while_loop(unfinished, step, state)
        return found[1], found[2], found[10], found[12]

    return compiled(run, identity=None if identity is None else f"lbfgs {identity}")


def _remembered(old: Any, new: Any, learned: Any, spread: Callable) -> Any:
    """``(MEMORY, batch, ...)`` with the latest in front, for the problems that learned."""
    after = ops.concatenate([new[None], old[:-1]])
    return ops.where(spread(learned) if len(new.shape) > 1 else learned, after, old)
