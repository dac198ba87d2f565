"""The optimisers of the recipes: the paper's, and a shorter one that reaches further."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

_DECAY = 0.05
_LOCALISATION = 0.5  # of the rate
_WARM_UP = 500  # iterations
_CUT, _MEMORY = 5.0, 0.99
_PAPER_PARTS = 3  # each at a tenth of the rate of the one before


def papers(rate: float, iterations: int) -> keras.optimizers.Optimizer:
    """Gradient descent whose rate is divided by ten after each third of the iterations."""
    ends = [iterations * part // _PAPER_PARTS for part in range(1, _PAPER_PARTS)]
    rates = [rate / 10**part for part in range(_PAPER_PARTS)]
    return keras.optimizers.SGD(keras.optimizers.schedules.PiecewiseConstantDecay(ends, rates))


def steady(
    rate: float, iterations: int, schedule: str, slow: Sequence[keras.Variable]
) -> "SteadyAdam":
    """Adam with decay, a warm-up, and a rate that falls to zero along a cosine or stays.

    Args:
        rate: at its highest.
        iterations: of the training.
        schedule: ``"cosine"`` or ``"constant"``.
        slow: variables that learn at half of the rate.
    """
    warm_up = min(_WARM_UP, iterations // 10)
    fall = keras.optimizers.schedules.CosineDecay(
        0.0,
        iterations - warm_up,
        alpha=0.0 if schedule == "cosine" else 1.0,
        warmup_target=rate,
        warmup_steps=warm_up,
    )
    return SteadyAdam(fall, slow=[variable.path for variable in slow])


@keras.saving.register_keras_serializable(package="tfreg")
class SteadyAdam(keras.optimizers.Adam):
    """Adam for networks whose parts learn at different rates, and that must not break down.

    The gradient as a whole is cut to five times its running norm, and left out where it is not
    finite; kernels decay, biases do not (Loshchilov and Hutter, 2019).

    Args:
        learning_rate: a number or a schedule.
        slow: paths of the variables that learn at half of it.
        kwargs: of ``keras.optimizers.Adam``.
    """

    def __init__(self, learning_rate: Any = 0.001, slow: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.slow = tuple(slow)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if not self.built:
            super().build(variables)
            self.norm = self.add_variable((), "zeros", "float32", name="norm")
            # A function: Keras takes variables in an attribute for the optimiser's own.
            self.learning = lambda: variables

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> Any:
        if not self.built:
            self.build(trainable_variables)
        rate = ops.cast(self.learning_rate, "float32")
        before = [ops.copy(variable) for variable in self.learning()]
        done = super().apply(self._cut(grads), trainable_variables)
        for variable, old in zip(self.learning(), before, strict=True):
            step = ops.convert_to_tensor(variable) - old
            if variable.path.endswith("kernel"):
                step = step - rate * _DECAY * old
            variable.assign(old + (_LOCALISATION if variable.path in self.slow else 1.0) * step)
        return done

    def _cut(self, grads: Sequence[Any]) -> list[Any]:
        """Gradients whose norm is at most five times the usual one, which it also moves."""
        norm = ops.sqrt(sum(ops.sum(ops.square(g)) for g in grads))
        usual = ops.convert_to_tensor(self.norm)
        fine = ops.isfinite(norm)
        limit = ops.where(usual > 0, _CUT * usual, norm)
        cut = ops.where(fine, ops.minimum(1.0, limit / ops.maximum(norm, 1e-12)), 0.0)
        running = _MEMORY * usual + (1 - _MEMORY) * ops.minimum(norm, limit)
        running = ops.where(usual > 0, running, norm)
        self.norm.assign(ops.where(fine, running, usual))
        return [cut * ops.where(fine, g, ops.zeros_like(g)) for g in grads]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "slow": self.slow}
