"""The network of Quicksilver: two encoders, a decoder per component of the momentum.

Two patches of 15 voxels an edge go in, the momentum in the same voxels comes out. Pooling and
unpooling are learned: convolutions, and transposed ones, of stride 2; each activation has one slope
of its own.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

PATCH = 15  # 15 -> 8 -> 5 -> 8 -> 15 voxels an edge
_INITIAL = {"kernel_initializer": "he_normal"}
# Mean and spread of what patches show: centred, networks begin to learn at once and not after
# hundreds of iterations.
_MEAN, _SPREAD = 0.3, 1 / 3


class MomentumNetwork(keras.layers.Layer):
    """Fig. 2 of the paper.

    Args:
        ndim: number of spatial axes, 2 or 3; also that of decoders.
        width: features of the first layers; those after each pooling have twice as many.
        dropout: rate after the activations of ordinary convolutions, for the probabilistic
            version; 0: none.

    Input shape:
        ``(moving, fixed)``, each ``(batch, 15, 15[, 15], 1)``, intensities in [0, 1].

    Output shape:
        ``(batch, 15, 15[, 15], ndim)``, float32.

    Example:

    >>> from zoo.quicksilver.network import MomentumNetwork
    >>> network = MomentumNetwork(3)
    >>> network.build()
    >>> network.count_params()  # the sheet of the paper's code counts three more, which are unused
    21826344
    """

    def __init__(self, ndim: int, width: int = 64, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ndim = ndim
        self.width = width
        self.dropout = dropout
        self.dropouts: list[keras.layers.Layer] = []
        sides = ("moving", "fixed")
        self.encoders = [self._encoder(f"{self.name}_{side}") for side in sides]
        self.decoders = [self._decoder(f"{self.name}_decoder_{axis}") for axis in range(ndim)]

    def build(self, input_shape: Any = None) -> None:
        patch, code = ((None, *(size,) * self.ndim) for size in (PATCH, 5))
        for encoder in self.encoders:
            encoder.build((*patch, 1))
        for decoder in self.decoders:
            decoder.build((*code, 4 * self.width))
        self.built = True

    def call(self, moving: Any, fixed: Any, training: bool | None = None) -> Any:
        codes = [
            encoder((patch - _MEAN) / _SPREAD, training=training)
            for encoder, patch in zip(self.encoders, (moving, fixed), strict=True)
        ]
        code = ops.concatenate(codes, axis=-1)
        parts = [decoder(code, training=training) for decoder in self.decoders]
        return ops.cast(ops.concatenate(parts, axis=-1), "float32")

    def draw(self, number: int) -> None:
        """Makes what dropout draws next that of a number: samples that can be drawn again."""
        for index, layer in enumerate(self.dropouts):
            layer.seed_generator.state.assign(np.array([index, number], "uint32"))

    def _encoder(self, name: str) -> keras.Sequential:
        layers = []
        for features in (self.width, 2 * self.width):
            for _ in range(3):
                layers += self._convolution(features)
            layers += self._pooling(features)
        return keras.Sequential(layers, name=name)

    def _decoder(self, name: str) -> keras.Sequential:
        code, half = 4 * self.width, 2 * self.width
        layers = self._unpooling(code, 2)
        for features in (code, code, half):
            layers += self._convolution(features)
        layers += self._unpooling(half, 3)
        for _ in range(2):
            layers += self._convolution(half)
        layers.append(self._of_axes("Conv")(1, 3, padding="same"))
        return keras.Sequential(layers, name=name)

    def _convolution(self, features: int) -> list[keras.layers.Layer]:
        convolution = self._of_axes("Conv")(features, 3, padding="same", **_INITIAL)
        if not self.dropout:
            return [convolution, self._activation()]
        self.dropouts.append(keras.layers.Dropout(self.dropout, seed=len(self.dropouts)))
        return [convolution, self._activation(), self.dropouts[-1]]

    def _pooling(self, features: int) -> list[keras.layers.Layer]:
        pad = self._of_axes("ZeroPadding")(1)
        return [pad, self._of_axes("Conv")(features, 2, strides=2, **_INITIAL), self._activation()]

    def _unpooling(self, features: int, size: int) -> list[keras.layers.Layer]:
        grown = self._of_axes("Conv", "Transpose")(features, size, strides=2, **_INITIAL)
        return [grown, self._of_axes("Cropping")(1), self._activation()]

    def _activation(self) -> keras.layers.Layer:
        axes = tuple(range(1, self.ndim + 2))  # one slope for all voxels and features
        return keras.layers.PReLU(keras.initializers.Constant(0.25), shared_axes=axes)

    def _of_axes(self, kind: str, suffix: str = "") -> Any:
        return getattr(keras.layers, f"{kind}{self.ndim}D{suffix}")
