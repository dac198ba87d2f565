"""Instance optimisation: a whole gradient descent as one compiled function."""

from collections.abc import Callable
from typing import Any

from keras import ops

from tfreg.ops.backend import compiled, value_and_gradient


def minimiser(losses: Callable, learning_rate: float) -> Callable:
    """Compiles Adam on a batch of independent problems, the loop included.

    Every step moves ``parameters`` against the gradient of the summed losses; since each problem
    has parameters of its own, the problems do not touch each other. What is returned is the best
    point that each problem visited, the start included: no result is worse than the start.

    Args:
        losses: function ``(parameters, *data) -> (batch,)``, written with ``keras.ops``.
        learning_rate: step size of Adam, in the units of the parameters.

    Returns:
        A compiled function ``(steps, start, *data) -> (parameters, losses, start_losses)``, where
        ``steps`` is an int32 scalar and ``start`` is ``(batch, ...)``.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> from tfreg.optimise import minimiser
    >>> square = minimiser(lambda x, target: ops.sum((x - target) ** 2, axis=1), learning_rate=0.1)
    >>> start, target = np.zeros((2, 1), "float32"), np.array([[1.0], [-1.0]], "float32")
    >>> best, _, _ = square(np.int32(200), start, target)
    >>> [round(float(v), 2) for v in np.asarray(best)[:, 0]]
    [1.0, -1.0]

    Reference:
        Kingma and Ba, Adam: a method for stochastic optimization, ICLR 2015.
    """
    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def run(steps: Any, start: Any, *data: Any) -> tuple[Any, Any, Any]:
        def objective(parameters: Any) -> Any:
            return losses(parameters, *data)

        shape = (-1,) + (1,) * (len(start.shape) - 1)

        def better(parameters: Any, values: Any, best: Any, best_values: Any) -> tuple[Any, Any]:
            improved = values < best_values  # a NaN never is
            best = ops.where(ops.reshape(improved, shape), parameters, best)
            return best, ops.where(improved, values, best_values)

        def step(count: Any, parameters: Any, mean: Any, square: Any, best: Any, values: Any):
            current, gradient = value_and_gradient(objective, parameters)
            best, values = better(parameters, current, best, values)
            mean = beta1 * mean + (1 - beta1) * gradient
            square = beta2 * square + (1 - beta2) * gradient * gradient
            t = ops.cast(count + 1, parameters.dtype)
            rate = learning_rate * ops.sqrt(1 - beta2**t) / (1 - beta1**t)
            parameters = parameters - rate * mean / (ops.sqrt(square) + epsilon)
            return count + 1, parameters, mean, square, best, values

        start_values = objective(start)
        zeros = ops.zeros_like(start)
        state = (ops.zeros((), "int32"), start, zeros, zeros, start, start_values)
        state = ops.while_loop(lambda count, *rest: count < steps, step, state)
        _, parameters, _, _, best, values = state
        best, values = better(parameters, objective(parameters), best, values)
        return best, values, start_values

    return compiled(run)
