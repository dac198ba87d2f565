"""The exponential of a stationary velocity as a layer."""

from typing import Any

import keras

from tfreg import ops


@keras.saving.register_keras_serializable(package="tfreg")
class VelocityTransformer(keras.layers.Layer):
    """Takes a stationary velocity to the displacement of its flow, ``exp(v)``.

    Args:
        squarings: number of squarings; the first step is ``v / 2^squarings``.

    Input shape:
        ``(batch, *spatial, ndim)``: velocity in voxels per unit time, array-axis order.

    Output shape:
        ``(batch, *spatial, ndim)``: displacement in voxels; float32.

    Raises:
        ValueError: at construction, on a negative number.

    Example:

    >>> import numpy as np
    >>> from tfreg import layers
    >>> u = layers.VelocityTransformer()(np.ones((1, 8, 6, 2), "float32"))
    >>> float(u[0, 3, 3, 1])
    1.0

    Reference:
        Arsigny et al., A log-Euclidean framework for statistics on diffeomorphisms, MICCAI 2006.
    """

    def __init__(self, squarings: int = 7, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # coordinates stay float32
        if squarings < 0 or squarings != int(squarings):
            raise ValueError(
                f"squarings must be an integer of at least 0. Received: squarings={squarings}"
            )
        self.squarings = int(squarings)

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, velocity: Any) -> Any:
        return ops.exponential(velocity, self.squarings)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "squarings": self.squarings}
