"""Features of a convolutional stacked autoencoder, learned from patches without labels.

Reference:
    G. Wu, M. Kim, Q. Wang, B. C. Munsell and D. Shen, Scalable high performance image registration
    framework by unsupervised deep feature representations learning, IEEE TBME 63(7), 2016.

The file follows the paper: an autoencoder of small patches, slid over a larger one, the strongest
of neighbouring responses, a further autoencoder of what that leaves; one layer after the other is
trained, then all of them as a whole, and the encoders give the features. What the paper leaves open
is listed in README.md.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops as keras_ops

from tfreg import losses
from tfreg.errors import InputError
from tfreg.features.dense import around, convolve, maximum, spread, vectors, widened
from tfreg.models import FeatureModel
from tfreg.ops.precision import at_least_float32


@keras.saving.register_keras_serializable(package="tfreg")
class StackedAutoencoder(FeatureModel):
    """A stack of autoencoders, each ``h = s(W x + b)``, ``x' = s(W' h + b')``, s the sigmoid.

    Args:
        ndim: number of spatial axes, 2 or 3.
        kernels: places that the patch of each layer has along an axis; the first layer sees voxels,
            the others what pooling has left of the layer before. One of 1 sees that layer itself.
        units: codes of each layer; the last are the features.
        pool: responses along an axis of which the largest one is taken.
        stride: places between neighbouring maxima.
        decay: weight of the mean square of the encoders' and decoders' kernels in the loss.
        kwargs: of :class:`tfreg.models.FeatureModel`.

    Attributes:
        size: voxels along each axis of the patch that a feature describes.

    Input shape:
        Patches ``(batch, *size, 1)`` in [0, 1].

    Output shape:
        The patches and their reconstruction; or of the layer that is learning what it sees of them,
        ``(n, length)``, and its reconstruction.

    Raises:
        ValueError: on layers that do not fit together, or whose patch has no middle.

    Example:

    >>> import numpy as np
    >>> from zoo.sae.model import StackedAutoencoder
    >>> model = StackedAutoencoder(units=(8, 4))
    >>> model.size, model.features(np.random.default_rng(0).random((9, 8, 10))).shape
    (7, (9, 8, 10, 4))
    """

    metric: ClassVar[str] = "ncc"

    def __init__(
        self,
        ndim: int = 3,
        kernels: Sequence[int] = (3, 2),
        units: Sequence[int] = (32, 16),
        pool: int = 3,
        stride: int = 2,
        decay: float = 1e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(ndim=ndim, **kwargs)
        self.kernels, self.units = tuple(kernels), tuple(units)
        self.pool, self.stride = pool, stride
        counts = (*self.kernels, *self.units, pool, stride)
        if not self.kernels or len(self.kernels) != len(self.units) or min(counts) < 1:
            raise ValueError(
                "kernels and units must be as many positive integers, pool and stride one each. "
                f"Received: kernels={kernels}, units={units}, pool={pool}, stride={stride}"
            )
        if not decay >= 0:
            raise ValueError(f"decay must be 0 or more. Received: decay={decay}")
        self.decay = float(decay)
        self.size = self._places(0)
        if self.size % 2 == 0:
            raise ValueError(
                "The patch of these layers must have a middle voxel, an odd size. "
                f"Received: {self.size} voxels along each axis"
            )
        self.learning: int | None = None
        dense, names = keras.layers.Dense, range(1, 1 + len(self.units))
        inputs = [k**ndim * c for k, c in zip(self.kernels, (1, *self.units), strict=False)]
        self.encoders = [
            dense(n, "sigmoid", name=f"encoder_{k}") for k, n in zip(names, self.units, strict=True)
        ]
        self.decoders = [
            dense(n, "sigmoid", name=f"decoder_{k}") for k, n in zip(names, inputs, strict=True)
        ]
        self.ncc_tracker = keras.metrics.Mean(name="ncc")

    def build(self, input_shape: Any = None) -> None:
        for encoder, decoder in zip(self.encoders, self.decoders, strict=True):
            encoder.build((None, decoder.units))
            decoder.build((None, encoder.units))
        self.built = True

    @property
    def reach(self) -> int:
        return self.size // 2

    def learn(self, layer: int | None) -> None:
        """Says which layer is trained, those before it held; ``None``: all, as a whole.

        Args:
            layer: its number, from 0 on.
        """
        self.learning = layer
        for index, pair in enumerate(zip(self.encoders, self.decoders, strict=True)):
            for part in pair:
                part.trainable = layer in (None, index)

    def encoded(self, values: Any, layers: int | None = None) -> tuple[Any, int]:
        """Codes of the first layers, of every patch that lies within; and how many voxels apart
        those are that the next layer would see together.

        Args:
            values: ``(batch, *spatial, 1)``.
            layers: how many; ``None``: all of them.
        """
        dilation = 1
        for index, encoder in enumerate(self.encoders[:layers]):
            values, dilation = self._pooled(values, index, dilation)
            values = self._code(encoder, values, self.kernels[index], dilation)
        return values, dilation

    def described(self, images: Any, **options: Any) -> Any:
        """The codes of the patch about every voxel, of images mirrored at their borders."""
        return self.encoded(around(images, self.reach))[0]

    def call(self, inputs: Any, training: bool | None = None) -> tuple[Any, Any]:
        if self.learning is None:
            code = self.encoded(inputs)[0]
            return inputs, self.decoded(code)
        seen = self.seen(inputs, self.learning)
        encoder, decoder = self.encoders[self.learning], self.decoders[self.learning]
        return seen, decoder(encoder(seen))

    def seen(self, patches: Any, layer: int) -> Any:
        """What a layer sees of patches ``(batch, *size, 1)``: vectors ``(n, length)``.

        Of the first layer every second of its small patches along each axis.
        """
        values, dilation = self.encoded(patches, layer)
        values, dilation = self._pooled(values, layer, dilation)
        size = self.kernels[layer]
        found = vectors(values, size, dilation, 2 if layer == 0 and size > 1 else 1)
        return keras_ops.stop_gradient(found)

    def decoded(self, code: Any) -> Any:
        """Patches of their codes: where patches of a layer overlap, their mean."""
        for index in reversed(range(len(self.decoders))):
            code = self._patches(code, index)
            if self._pools(index):
                code = widened(code, self.pool, self.stride)
        return code

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
        **kwargs: Any,
    ) -> Any:
        """The mean of ``|x - x'|^2``, and the decay of the kernels."""
        target, found = (at_least_float32(one) for one in y_pred)
        self.ncc_tracker.update_state(_ncc(target, found))
        learning = [v for v in self.trainable_variables if len(v.shape) > 1]
        decay = sum(keras_ops.mean(keras_ops.square(v)) for v in learning)
        return keras_ops.mean(keras_ops.square(target - found)) + self.decay * decay

    def score(self, inputs: Any, targets: Any = None, batch_size: int = 32) -> np.ndarray:
        """NCC of each patch and its reconstruction."""
        target, found = self.predict(inputs, batch_size=batch_size, verbose=0)
        return keras_ops.convert_to_numpy(_ncc(target, found))

    def check_size(self, size: Sequence[int]) -> None:
        if min(size) < self.size:
            raise InputError(
                f"Images must have {self.size} voxels or more along each axis for these features. "
                f"Received: size={tuple(size)}"
            )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernels": self.kernels,
            "units": self.units,
            "pool": self.pool,
            "stride": self.stride,
            "decay": self.decay,
        }

    def _pools(self, index: int) -> bool:
        """Whether maxima are taken before a layer."""
        return index > 0 and self.kernels[index] > 1

    def _places(self, index: int) -> int:
        """Places along an axis that the last code sees of what a layer sees."""
        after = 1
        for k in reversed(range(index, len(self.kernels))):
            after = after + self.kernels[k] - 1
            if self._pools(k):
                after = (after - 1) * self.stride + self.pool
        return after

    def _pooled(self, values: Any, index: int, dilation: int) -> tuple[Any, int]:
        if not self._pools(index):
            return values, dilation
        return maximum(values, self.pool, dilation), dilation * self.stride

    def _code(self, layer: keras.layers.Dense, values: Any, size: int, dilation: int) -> Any:
        """A layer at all places, as a convolution."""
        kernel = keras_ops.reshape(layer.kernel, (*[size] * self.ndim, -1, layer.units))
        found = convolve(values, kernel, dilation)
        return keras_ops.sigmoid(found + keras_ops.cast(layer.bias, found.dtype))

    def _patches(self, code: Any, index: int) -> Any:
        """What a decoder makes of codes: of voxels at as few places as cover them all."""
        size = self.kernels[index]
        apart = size - 1 if index == 0 and size > 1 else 1
        if any((n - 1) % apart for n in code.shape[1:-1]):
            apart = 1
        found = self.decoders[index](code[(slice(None), *[slice(None, None, apart)] * self.ndim)])
        places, channels = found.shape[1:-1], found.shape[-1] // size**self.ndim
        parts = keras_ops.reshape(found, (-1, *places, size**self.ndim, channels))
        return spread(parts, size, apart)


def _ncc(target: Any, found: Any) -> Any:
    """NCC of each patch."""
    flat = (keras_ops.reshape(one, (-1, math.prod(one.shape[1:]), 1, 1)) for one in (target, found))
    return losses.ncc(*flat)
