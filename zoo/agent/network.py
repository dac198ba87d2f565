"""The network of the agent: what is seen to the values of the twelve actions.

::

    conv 3, 8 - pool 2 - conv 3, 32 - pool 2 - conv 3, 32 - conv 3, 128 - conv 3, 128
    - dense 512 - dense 512 - dense 64 - dense 12

All convolutions valid, each followed by its pooling, batch normalisation and ReLU.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfreg.models import Model
from tfreg.ops.precision import at_least_float32
from zoo.agent.paper import CONVOLUTIONS, DENSE
from zoo.agent.rigid import ACTIONS

_POOLED = 2  # convolutions that are followed by pooling


@keras.saving.register_keras_serializable(package="tfreg")
class QNetwork(Model):
    """Values of actions of what is seen at one pose; or, of six outputs, the offset itself.

    Trained on all twelve values at once, by the mean square of their errors; tracked by the share
    of states, in %, in which the chosen action lowers ``D`` (or the offset that is found is nearer
    than none), ``lowered``.

    Args:
        size: voxels per axis of what is seen.
        channels: of what is seen.
        outputs: 12 values, or 6 parameters.
        kwargs: of ``tfreg.models.Model``.

    Input shape:
        ``(batch, *size, channels)``.

    Output shape:
        ``(batch, outputs)`` float32.

    Raises:
        ValueError: on a size from which nothing is left, or other numbers that cannot be.

    Example:

    >>> from zoo.agent.network import QNetwork
    >>> network = QNetwork((40, 40, 40))
    >>> network.build()
    >>> network.count_params()
    1410116
    """

    task = "registration"
    metric = "lowered"

    def __init__(
        self,
        size: Sequence[int],
        channels: int = 1,
        outputs: int = ACTIONS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"ndim": 3, **kwargs})
        self.size, self.channels, self.outputs = tuple(map(int, size)), channels, outputs
        if len(self.size) != 3 or min(self.size) < 34:
            raise ValueError(f"size must be three numbers, 34 or more. Received: size={size}")
        if channels < 1 or outputs not in (6, ACTIONS):
            raise ValueError(
                "channels must be positive and outputs 6 or 12. "
                f"Received: channels={channels}, outputs={outputs}"
            )
        layers = keras.layers
        self.seen: list[keras.layers.Layer] = []
        for index, kernels in enumerate(CONVOLUTIONS):
            number = index + 1
            # The normalisation has a bias.
            self.seen.append(layers.Conv3D(kernels, 3, use_bias=False, name=f"conv{number}"))
            if index < _POOLED:
                self.seen.append(layers.MaxPooling3D(2, name=f"pool{number}"))
            self.seen.append(layers.BatchNormalization(momentum=0.9, name=f"norm{number}"))
            self.seen.append(layers.ReLU(name=f"relu{number}"))
        self.seen.append(layers.Flatten(name="flat"))
        self.judged = [
            *(layers.Dense(n, "relu", name=f"dense{k + 1}") for k, n in enumerate(DENSE)),
            layers.Dense(outputs, dtype="float32", name="values"),
        ]
        self.lowered_tracker = keras.metrics.Mean(name="lowered")

    def build(self, input_shape: Any = None) -> None:
        shape: tuple = (None, *self.size, self.channels)
        for layer in (*self.seen, *self.judged):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def call(self, seen: Any, training: bool | None = None) -> Any:
        values = seen
        for layer in (*self.seen, *self.judged):
            normalises = isinstance(layer, keras.layers.BatchNormalization)
            values = layer(values, training=training) if normalises else layer(values)
        return at_least_float32(values)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
        **kwargs: Any,
    ) -> Any:
        """``1/K sum_k sum_i (y_i(d_k) - Q(s_k, a_i))^2``; NaN are values that nobody knows."""
        values = ops.cast(y["values"], "float32")
        known = ops.logical_not(ops.isnan(values))
        error = ops.where(known, y_pred - ops.where(known, values, 0.0), 0.0)
        self.lowered_tracker.update_state(lowered(y_pred, values, y["gains"]))
        return ops.mean(ops.sum(error * error, axis=-1))

    def score(self, inputs: Any, targets: Any = None, batch_size: int = 32) -> np.ndarray:
        """100 of each state in which the chosen action lowers ``D``, else 0."""
        found = self.predict(inputs, batch_size=batch_size, verbose=0)
        return ops.convert_to_numpy(lowered(found, targets["values"], targets["gains"]))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["ndim"]  # 3 always
        return {
            **config,
            "size": self.size,
            "channels": self.channels,
            "outputs": self.outputs,
        }


def lowered(found: Any, values: Any, gains: Any) -> Any:
    """100 where what was found leads nearer, or nothing does, else 0, ``(batch,)``.

    Args:
        found: ``(batch, 12)`` values of actions, or ``(batch, 6)`` offsets.
        values: of six outputs the true ones.
        gains: ``(batch, 12)``, by how much each action lowers ``D``.
    """
    if found.shape[-1] == ACTIONS:
        chosen = ops.one_hot(ops.argmax(found, axis=-1), ACTIONS, dtype="float32")
        gain = ops.sum(chosen * gains, axis=-1)
        right = ops.logical_or(gain > 0, ops.max(gains, axis=-1) <= 0)
    else:
        right = ops.sum((found - values) ** 2, axis=-1) < ops.sum(values * values, axis=-1)
    return 100.0 * ops.cast(right, "float32")
