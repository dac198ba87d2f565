"""The regressor of one group of parameters (section II-E of the paper).

Every local image residual goes through the same convolutions and the same fully connected layer;
what they find is put side by side::

    52x52 - conv 5x5, 20 - pool 2 - conv 5x5, 20 - pool 2 - dense 100 -+
    52x52 - ... the same weights ...                       - dense 100 -+- dense 250 - dense N_t
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfreg.models import Model
from zoo.pehl.residuals import PATCH


@keras.saving.register_keras_serializable(package="tfreg")
class Regressor(Model):
    """Offsets of some parameters from local image residuals.

    Trained to find them in units of ``ranges``, by the mean square of the error; tracked by the
    root of that, ``error``.

    Args:
        patches: number of residuals of a sample.
        ranges: of each parameter that it finds, what one unit of its outputs is, in mm or degrees.
        size: pixels along each side of a residual.
        pool: pixels along each axis that become one in each max-pooling.
        first: units of the fully connected layer that all residuals share; 0: there is none, as in
            the paper's network without local residuals.
        kwargs: of ``tfreg.models.Model``.

    Input shape:
        ``(batch, patches, size, size)``.

    Output shape:
        ``(batch, len(ranges))``, in units of ``ranges``.

    Raises:
        ValueError: on numbers that make no network.

    Example:

    >>> from zoo.pehl.network import Regressor, weights_before_output
    >>> network = Regressor(18, (1.5, 1.5, 3.0))
    >>> network.build()
    >>> weights_before_output(network)
    660500
    """

    task = "pose"
    metric = "error"

    def __init__(
        self,
        patches: int,
        ranges: Sequence[float],
        size: int = PATCH,
        pool: int = 2,
        first: int = 100,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"ndim": 2, **kwargs})
        if patches < 1 or not ranges or min(ranges) <= 0 or pool < 1 or first < 0:
            raise ValueError(
                "patches, ranges and pool must be positive. "
                f"Received: patches={patches}, ranges={ranges}, pool={pool}, first={first}"
            )
        self.patches, self.size, self.pool, self.first = patches, size, pool, first
        self.ranges = tuple(float(value) for value in ranges)
        layers = keras.layers
        self.shared = [
            layers.Conv2D(20, 5, name="c1"),
            layers.MaxPooling2D(pool, name="p1"),
            layers.Conv2D(20, 5, name="c2"),
            layers.MaxPooling2D(pool, name="p2"),
            layers.Flatten(name="flat"),
        ]
        if first:
            self.shared.append(layers.Dense(first, "relu", name="f1"))
        self.second = layers.Dense(250, "relu", name="f2")
        self.output_layer = layers.Dense(len(self.ranges), dtype="float32", name="f3")
        self.error_tracker = keras.metrics.Mean(name="error")

    def build(self, input_shape: Any = None) -> None:
        shape: tuple = (None, self.size, self.size, 1)
        for layer in self.shared:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.second.build((None, self.patches * shape[-1]))
        self.output_layer.build((None, 250))
        self.built = True

    def call(self, residuals: Any, training: bool | None = None) -> Any:
        # The paths of one sample follow each other: the gradients of their weights are summed.
        x = ops.reshape(residuals, (-1, self.size, self.size, 1))
        for layer in self.shared:
            x = layer(x)
        x = ops.reshape(x, (-1, self.patches * x.shape[-1]))
        return self.output_layer(self.second(x))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
        **kwargs: Any,
    ) -> Any:
        """``1/K sum |y - f(X)|^2``, of offsets in units of ``ranges``, and the weights' decay."""
        square = ops.mean(ops.sum((ops.cast(y, "float32") - y_pred) ** 2, axis=-1))
        self.error_tracker.update_state(ops.sqrt(square / len(self.ranges)))
        return sum(self.losses, square)

    def offsets(self, residuals: Any) -> Any:
        """What is found, in mm and degrees, ``(batch, len(ranges))``."""
        return self(residuals, training=False) * np.array(self.ranges, "float32")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "patches": self.patches,
            "ranges": self.ranges,
            "size": self.size,
            "pool": self.pool,
            "first": self.first,
        }


def weights_before_output(network: Regressor) -> int:
    """Weights as the paper counts them: without biases and without the last layer."""
    layers = [*network.shared, network.second]
    return sum(int(np.prod(layer.kernel.shape)) for layer in layers if hasattr(layer, "kernel"))
