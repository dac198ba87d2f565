"""Features by stacked convolutional independent subspace analysis, learned without labels.

Reference:
    G. Wu, M. Kim, Q. Wang, Y. Gao, S. Liao and D. Shen, Unsupervised deep feature learning for
    deformable registration of MR brain images, MICCAI 2013, LNCS 8150, pp. 649-656.

The file follows the paper: filters of small patches whose responses are pooled by subspace; the
same slid over a larger patch; a second layer of it on what the first one answers there. What the
paper leaves open is listed in README.md.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops as keras_ops

from tfreg.errors import InputError
from tfreg.features.dense import around, convolve, vectors
from tfreg.features.principal import Principal
from tfreg.models import FeatureModel
from tfreg.ops.precision import at_least_float32

_TINY = 1e-6  # below the root, whose slope has no bound at zero


@keras.saving.register_keras_serializable(package="tfreg")
class Orthonormal(keras.constraints.Constraint):
    """The nearest matrix with ``W^T W = 1``, which is ``W (W^T W)^(-1/2)``."""

    def __call__(self, w: Any) -> Any:
        values, vectors = keras_ops.eigh(keras_ops.matmul(keras_ops.transpose(w), w))
        root = vectors / keras_ops.sqrt(keras_ops.maximum(values, 1e-12))
        return keras_ops.matmul(w, keras_ops.matmul(root, keras_ops.transpose(vectors)))


class Subspaces(keras.layers.Layer):
    """One layer: ``p_j = sqrt(sum_i v_ij s_i^2)``, ``s_i = <x, w_i>``, of whitened patches.

    Args:
        length: numbers of a patch.
        filters: how many, as many as directions that are kept of the patches.
        subspace: filters whose responses are pooled.
        kwargs: of ``keras.layers.Layer``.
    """

    def __init__(self, length: int, filters: int, subspace: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.length, self.filters, self.subspace = length, filters, subspace

    def build(self, input_shape: Any = None) -> None:
        fixed = {"trainable": False, "initializer": "zeros"}
        self.mean = self.add_weight(shape=(self.length,), name="mean", **fixed)
        shape = (self.length, self.filters)
        self.whitening = self.add_weight(shape=shape, name="whitening", **fixed)
        self.kernel = self.add_weight(
            shape=(self.filters, self.filters),
            name="filters",
            initializer="orthogonal",
            constraint=Orthonormal(),
        )
        self.built = True

    def use(self, found: Principal) -> None:
        """Takes the mean of patches, and what whitens them."""
        self.mean.assign(found.mean)
        self.whitening.assign(found.whitening)

    def linear(self) -> tuple[Any, Any]:
        """Whitening and filters as one: a matrix ``(length, filters)``, and what is added."""
        matrix = keras_ops.matmul(self.whitening, self.kernel)
        return matrix, -keras_ops.sum(self.mean[:, None] * matrix, axis=0)

    def pooled(self, responses: Any) -> Any:
        """``(..., filters)`` to ``(..., filters / subspace)``."""
        shape = (-1, *responses.shape[1:-1], self.filters // self.subspace, self.subspace)
        square = keras_ops.square(keras_ops.reshape(responses, shape))
        return keras_ops.sqrt(keras_ops.sum(square, axis=-1) + _TINY)

    def call(self, patches: Any) -> Any:
        matrix, offset = self.linear()
        return self.pooled(keras_ops.matmul(patches, matrix) + offset)


@keras.saving.register_keras_serializable(package="tfreg")
class StackedISA(FeatureModel):
    """Layers of independent subspace analysis, the first of voxels, each further one of the last.

    ``min_W sum_t sum_j p_j`` subject to ``W W^T = 1``, on patches that principal components have
    made white.

    Args:
        ndim: number of spatial axes, 2 or 3.
        kernels: places that the patch of each layer has along an axis: voxels, then patches of the
            layer before.
        filters: of each layer.
        subspace: filters whose responses are pooled; the features are the last pooled responses.
        stride: voxels between the patches that a further layer sees together.
        kwargs: of :class:`tfreg.models.FeatureModel`.

    Attributes:
        size: voxels along each axis of the patch that a feature describes.

    Input shape:
        Patches ``(batch, *size, 1)`` in [0, 1].

    Output shape:
        Pooled responses of the layer that is learning, ``(batch, *places, filters / subspace)``.

    Raises:
        ValueError: on layers that do not fit together, or whose patch has no middle.

    Example:

    >>> import numpy as np
    >>> from zoo.isa.model import StackedISA
    >>> model = StackedISA(filters=(12, 8))
    >>> model.size, model.features(np.random.default_rng(0).random((9, 8, 10))).shape
    (7, (9, 8, 10, 4))
    """

    metric: ClassVar[str] = "objective"

    def __init__(
        self,
        ndim: int = 3,
        kernels: Sequence[int] = (5, 2),
        filters: Sequence[int] = (32, 32),
        subspace: int = 2,
        stride: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(ndim=ndim, **kwargs)
        self.kernels, self.filters = tuple(kernels), tuple(filters)
        self.subspace, self.stride = subspace, stride
        counts = (*self.kernels, *self.filters, subspace, stride)
        if not self.kernels or len(self.kernels) != len(self.filters) or min(counts) < 1:
            raise ValueError(
                "kernels and filters must be as many positive integers, subspace and stride one "
                f"each. Received: kernels={kernels}, filters={filters}, subspace={subspace}, "
                f"stride={stride}"
            )
        if any(n % subspace for n in self.filters):
            raise ValueError(
                f"filters must be multiples of subspace. Received: {filters}, subspace={subspace}"
            )
        self.size = self.kernels[0] + stride * sum(k - 1 for k in self.kernels[1:])
        if self.size % 2 == 0:
            raise ValueError(
                "The patch of these layers must have a middle voxel, an odd size. "
                f"Received: {self.size} voxels along each axis"
            )
        channels = (1, *(n // subspace for n in self.filters))
        lengths = [k**ndim * c for k, c in zip(self.kernels, channels, strict=False)]
        for length, count in zip(lengths, self.filters, strict=True):
            if count > length:
                raise ValueError(
                    f"A layer has at most as many filters as its patch has numbers, {length}. "
                    f"Received: filters={filters}"
                )
        self.learning: int | None = None
        self.subspaces = [
            Subspaces(length, count, subspace, name=f"layer_{k}")
            for k, (length, count) in enumerate(zip(lengths, self.filters, strict=True), start=1)
        ]
        self.objective_tracker = keras.metrics.Mean(name="objective")

    def build(self, input_shape: Any = None) -> None:
        for layer in self.subspaces:
            layer.build()
        self.built = True

    @property
    def reach(self) -> int:
        return self.size // 2

    def learn(self, layer: int | None) -> None:
        """Says which layer is trained, those before it held; ``None``: none.

        Args:
            layer: its number, from 0 on.
        """
        self.learning = layer
        for index, one in enumerate(self.subspaces):
            one.trainable = layer == index

    def answered(self, values: Any, layers: int | None = None) -> Any:
        """Pooled responses of the first layers at every voxel whose patch lies within.

        Args:
            values: ``(batch, *spatial, 1)``.
            layers: how many; ``None``: all of them.
        """
        for index, layer in enumerate(self.subspaces[:layers]):
            matrix, offset = layer.linear()
            shape = (*[self.kernels[index]] * self.ndim, -1, layer.filters)
            kernel = keras_ops.reshape(matrix, shape)
            found = convolve(values, kernel, self.stride if index else 1)
            values = layer.pooled(at_least_float32(found) + offset)
        return values

    def seen(self, patches: Any, layer: int) -> Any:
        """What a layer sees of patches ``(batch, *size, 1)``: vectors ``(n, length)``."""
        values = self.answered(patches, layer)
        return vectors(values, self.kernels[layer], self.stride if layer else 1)

    def described(self, images: Any, **options: Any) -> Any:
        """The responses to the patch about every voxel, of images mirrored at their borders."""
        return self.answered(around(images, self.reach))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.answered(inputs, None if self.learning is None else self.learning + 1)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
        **kwargs: Any,
    ) -> Any:
        """The mean of ``p_j``."""
        loss = keras_ops.mean(at_least_float32(y_pred))
        self.objective_tracker.update_state(loss)
        return loss

    def score(self, inputs: Any, targets: Any = None, batch_size: int = 32) -> np.ndarray:
        """The mean of ``p_j`` of each patch."""
        found = self.predict(inputs, batch_size=batch_size, verbose=0)
        return np.asarray(found).mean(axis=tuple(range(1, np.ndim(found))))

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
            "filters": self.filters,
            "subspace": self.subspace,
            "stride": self.stride,
        }
