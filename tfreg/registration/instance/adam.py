"""Instance optimisation: a whole gradient descent as one compiled function.

By Adam, or by steps along the gradient of a size that is fixed at the start.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from tfreg.ops.backend import compiled, value_and_gradient

PLATEAU = 20  # steps over which the improvement is measured


def adam(gradient: Any, mean: Any, square: Any, t: Any) -> tuple[Any, Any, Any, Any]:
    """Adam's update at step ``t`` from 1: its direction, the factor of its length, its moments."""
    beta1, beta2, epsilon = 0.9, 0.999, 1e-8
    mean = beta1 * mean + (1 - beta1) * gradient
    square = beta2 * square + (1 - beta2) * gradient * gradient
    factor = ops.sqrt(1 - beta2**t) / (1 - beta1**t)
    return mean / (ops.sqrt(square) + epsilon), factor, mean, square


def descent(gradient: Any, mean: Any, largest: Any, t: Any) -> tuple[Any, Any, Any, Any]:
    """A step along the gradient: the first one changes the parameter that changes most by the
    learning rate, and the others are in proportion to their gradients."""
    own = ops.max(ops.abs(gradient), axis=tuple(range(1, len(gradient.shape))), keepdims=True)
    largest = ops.where(t > 1, largest, ops.zeros_like(gradient) + own)
    return gradient / ops.maximum(largest, 1e-20), 1.0, mean, largest


def minimiser(
    losses: Callable,
    identity: str | None = None,
    update: Callable = adam,
    variables: Sequence[Any] = (),
) -> Callable:
    """Compiles a descent of a batch of independent problems, the loop included.

    Every step moves ``parameters`` against the gradient of the summed losses; since each problem
    has parameters of its own, the problems do not touch each other. What is returned is the best
    point that each problem visited, the start included: no result is worse than the start.

    Args:
        losses: function ``(parameters, *data) -> (batch,)``, written with ``keras.ops``.
        identity: of ``losses``, see :func:`tfreg.ops.backend.compiled`.
        update: :func:`adam` or :func:`descent`.
        variables: the Keras variables that the losses read, see :func:`tfreg.ops.backend.compiled`.

    Returns:
        A compiled function ``(steps, learning_rate, decay, tolerance, start, *data) -> (parameters,
        losses, start_losses, steps_taken)``. ``steps`` is an int32 scalar, ``learning_rate`` the
        step size of Adam in the units of the parameters, which falls along a cosine to ``decay``
        times its value (1: stays), ``start`` is ``(batch, ...)``, and ``steps_taken`` int32
        ``(batch,)``. A problem stops early where its best loss improved by less than ``tolerance``
        over 20 steps, the first 19 of all counted as such; 0 never stops.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> from tfreg.registration.instance.adam import minimiser
    >>> square = minimiser(lambda x, target: ops.sum((x - target) ** 2, axis=1))
    >>> start, target = np.zeros((2, 1), "float32"), np.array([[1.0], [-1.0]], "float32")
    >>> settings = np.int32(200), np.float32(0.1), np.float32(1), np.float32(0)
    >>> best, *_ = square(*settings, start, target)
    >>> [round(float(v), 2) for v in np.asarray(best)[:, 0]]
    [1.0, -1.0]

    Reference:
        Kingma and Ba, Adam: a method for stochastic optimization, ICLR 2015.
    """

    def run(
        steps: Any, learning_rate: Any, decay: Any, tolerance: Any, start: Any, *data: Any
    ) -> tuple:
        def objective(parameters: Any) -> Any:
            return losses(parameters, *data)

        learning_rate, decay = ops.cast(learning_rate, start.dtype), ops.cast(decay, start.dtype)
        per_problem = (-1,) + (1,) * (len(start.shape) - 1)
        flat = (0,) * (len(start.shape) - 1)

        def better(parameters: Any, values: Any, best: Any, best_values: Any) -> tuple[Any, Any]:
            improved = values < best_values  # a NaN never is
            best = ops.where(ops.reshape(improved, per_problem), parameters, best)
            return best, ops.where(improved, values, best_values)

        def unfinished(count: Any, *state: Any) -> Any:
            # One step more than is moved: it evaluates where the last move led.
            return ops.logical_and(count <= steps, ops.any(state[-1]))

        def step(
            count: Any,
            parameters: Any,
            mean: Any,
            square: Any,
            best: Any,
            values: Any,
            first: Any,
            mark: Any,
            taken: Any,
            active: Any,
        ) -> tuple:
            current, gradient = value_and_gradient(objective, parameters)
            first = ops.where(count > 0, first, current)
            values = ops.where(count > 0, values, current)
            best, values = better(parameters, current, best, values)
            # Every so often: has the best loss moved since the last time?
            due = ops.equal(count % PLATEAU, PLATEAU - 1)
            moved = ops.logical_or(mark - values >= tolerance, tolerance <= 0)
            active = ops.logical_and(active, ops.logical_or(moved, ops.logical_not(due)))
            mark = ops.where(ops.logical_or(due, count < 1), values, mark)
            t = ops.cast(count + 1, parameters.dtype)
            turn = math.pi * ops.cast(count, t.dtype) / ops.cast(steps, t.dtype)
            rate = learning_rate * (decay + (1 - decay) * 0.5 * (1 + ops.cos(turn)))
            direction, factor, mean, square = update(gradient, mean, square, t)
            moved_to = parameters - rate * factor * direction
            moves = ops.logical_and(active, count < steps)
            parameters = ops.where(ops.reshape(moves, per_problem), moved_to, parameters)
            taken = taken + ops.cast(moves, "int32")
            return count + 1, parameters, mean, square, best, values, first, mark, taken, active

        # The objective appears once, in the loop: every copy of it would be compiled.
        zeros, none = ops.zeros_like(start), ops.zeros_like(start[(slice(None), *flat)])
        active = ops.ones_like(none, dtype="bool")
        taken = ops.zeros_like(none, dtype="int32")
        state = (ops.zeros((), "int32"), start, zeros, zeros, start, none, none, none)
        state = ops.while_loop(unfinished, step, (*state, taken, active))
        _, _, _, _, best, values, first, _, taken, _ = state
        return best, values, first, taken

    words = None if identity is None else f"minimiser {identity}"
    return compiled(run, variables, identity=words)
