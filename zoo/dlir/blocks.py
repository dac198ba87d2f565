"""The convolution that both ConvNets of DLIR are made of."""

from collections.abc import Sequence
from typing import Any

import keras


class Convolution(keras.layers.Layer):
    """Convolution with zero padding, average pooling, batch normalisation, ELU.

    The pooling comes before the normalisation: both are linear in a trained network, and the
    normalisation and the ELU then have a fraction of the voxels to do.

    Args:
        ndim: number of spatial axes.
        kernels: number of kernels.
        size: size of the kernels.
        pool: factor of the average pooling per axis; ``None``: no pooling. An image that it does
            not divide ends in an average of fewer voxels.
    """

    def __init__(
        self,
        ndim: int,
        kernels: int,
        size: int,
        pool: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        convolution = keras.layers.Conv2D if ndim == 2 else keras.layers.Conv3D
        pooling = keras.layers.AveragePooling2D if ndim == 2 else keras.layers.AveragePooling3D
        self.convolution = convolution(kernels, size, padding="same", use_bias=False)
        pools = pool is not None and any(factor > 1 for factor in pool)
        self.pooling = pooling(tuple(pool), padding="same") if pools else None
        self.normalisation = keras.layers.BatchNormalization()

    def build(self, input_shape: Any) -> None:
        self.convolution.build(input_shape)
        shape = self.convolution.compute_output_shape(input_shape)
        self.normalisation.build(shape)
        self.built = True

    def call(self, image: Any, training: bool | None = None) -> Any:
        image = self.convolution(image)
        if self.pooling is not None:
            image = self.pooling(image)
        return keras.ops.elu(self.normalisation(image, training=training))

    def compute_output_shape(self, input_shape: Any) -> tuple:
        shape = self.convolution.compute_output_shape(input_shape)
        return shape if self.pooling is None else self.pooling.compute_output_shape(shape)
