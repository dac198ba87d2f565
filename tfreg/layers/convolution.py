"""A convolution whose gradient is as fast as itself, as a layer."""

from typing import Any

import keras

from tfreg import ops


@keras.saving.register_keras_serializable(package="tfreg")
class Convolution2D(keras.layers.Conv2D):
    """``keras.layers.Conv2D`` with :func:`tfreg.ops.convolution`, for networks within a loop.

    It has the weights, the arguments and the answers of the layer of Keras; only its gradient with
    respect to its input is computed in another way, see :mod:`tfreg.ops.convolution`.

    Args:
        filters: number of output channels.
        kernel_size: odd, one number or one per axis.
        kwargs: of ``keras.layers.Conv2D`` but those that only one value has here: stride and
            dilation are 1, there is one group, padding is ``"same"``.

    Input shape:
        ``(batch, height, width, channels)``.

    Output shape:
        ``(batch, height, width, filters)``.

    Raises:
        ValueError: at construction, on another padding, stride, dilation or grouping.

    Example:

    >>> import numpy as np
    >>> from tfreg import layers
    >>> tuple(layers.Convolution2D(4)(np.ones((1, 8, 6, 2), "float32")).shape)
    (1, 8, 6, 4)
    """

    def __init__(self, filters: int, kernel_size: Any = 3, **kwargs: Any) -> None:
        super().__init__(filters, kernel_size, **{"padding": "same", **kwargs})
        plain = (*self.strides, *self.dilation_rate, self.groups) == (1,) * 5
        if not plain or self.padding != "same" or self.data_format != "channels_last":
            raise ValueError(
                "strides, dilation_rate and groups must be 1, padding 'same', data_format "
                f"'channels_last'. Received: {kwargs}"
            )

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return ops.convolution(inputs, kernel)
