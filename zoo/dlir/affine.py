"""The ConvNet of DLIR for affine registration.

Reference:
    B. D. de Vos et al., A deep learning framework for unsupervised affine and deformable image
    registration, Medical Image Analysis 52, 2019, doi:10.1016/j.media.2018.11.010.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops as keras_ops

from tfreg import ops
from zoo.dlir.blocks import Convolution

HEADS = ("translation", "rotation", "scaling", "shearing")


@keras.saving.register_keras_serializable(package="tfreg")
class AffineConvNet(keras.layers.Layer):
    """Two images, which may differ in size, to the parameters of an affine transform.

    Each image goes alone through the same five convolutions with four down-samplings between them
    and a global average pooling; the two vectors go together through two dense layers to four
    heads: translation, rotation, scaling, shearing. The heads start at zero, the identity.

    Args:
        ndim: number of spatial axes, 2 or 3.
        kernels: kernels per convolution.
        nodes: nodes of each dense layer.
        convolutions: number of convolutions; one down-sampling less. 5 in the paper.

    Input shape:
        Two tensors ``(batch, *spatial, 1)``, intensities in [0, 1].

    Output shape:
        ``(batch, n)``, n = 6 in 2-D and 12 in 3-D, the parts one after the other. All are in
        voxels: rotation, logarithm of the scaling and shearing are multiplied by half the diagonal
        of the fixed image, the distance that they move its corners, see :meth:`matrix`.

    Raises:
        ValueError: on another dimension, or a number that is not positive.

    Example:

    >>> import numpy as np
    >>> from zoo.dlir.affine import AffineConvNet
    >>> network = AffineConvNet(ndim=2)
    >>> small, large = np.zeros((1, 20, 24, 1), "float32"), np.zeros((1, 32, 28, 1), "float32")
    >>> tuple(network(small, large).shape)
    (1, 6)
    """

    def __init__(
        self,
        ndim: int,
        kernels: int = 16,
        nodes: int = 64,
        convolutions: int = 5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if ndim not in (2, 3) or min(kernels, nodes, convolutions) < 1:
            raise ValueError(
                "ndim must be 2 or 3; kernels, nodes and convolutions must be positive. Received: "
                f"ndim={ndim}, kernels={kernels}, nodes={nodes}, convolutions={convolutions}"
            )
        self.ndim = ndim
        self.kernels = kernels
        self.nodes = nodes
        self.convolutions = [
            Convolution(ndim, kernels, 3, pool=(2,) * ndim, name=f"conv_{k + 1}")
            if k < convolutions - 1
            else Convolution(ndim, kernels, 3, name=f"conv_{k + 1}")
            for k in range(convolutions)
        ]
        self.dense = [keras.layers.Dense(nodes, "elu", name=f"dense_{k + 1}") for k in range(2)]
        plane = ndim * (ndim - 1) // 2
        sizes = dict(zip(HEADS, (ndim, plane, ndim, plane), strict=True))
        self.heads = [
            keras.layers.Dense(size, kernel_initializer="zeros", name=name)
            for name, size in sizes.items()
        ]

    def build(self, *shapes: Any) -> None:
        shape = (None,) * (self.ndim + 1) + (1,)
        for convolution in self.convolutions:
            convolution.build(shape)
            shape = convolution.compute_output_shape(shape)
        width = 2 * self.kernels
        for dense in self.dense:
            dense.build((None, width))
            width = self.nodes
        for head in self.heads:
            head.build((None, width))
        self.built = True

    def call(self, fixed: Any, moving: Any, training: bool | None = None) -> Any:
        vectors = [self.vector(image, training) for image in (fixed, moving)]
        return self.regressed(*vectors, fixed.shape[1:-1])

    def features(self, image: Any, training: bool | None = None) -> Any:
        """What the pipeline of one image sees, before the global pooling."""
        for convolution in self.convolutions:
            image = convolution(image, training=training)
        return image

    def vector(self, image: Any, training: bool | None = None) -> Any:
        """The pipeline of one image: ``(batch, kernels)``."""
        features = self.features(image, training)
        return keras_ops.mean(features, axis=tuple(range(1, self.ndim + 1)))

    def regressed(self, fixed: Any, moving: Any, shape: Sequence[int]) -> Any:
        """The dense layers and heads on the vectors of both images."""
        joined = keras_ops.concatenate([fixed, moving], axis=-1)
        for dense in self.dense:
            joined = dense(joined)
        outputs = keras_ops.concatenate([head(joined) for head in self.heads], axis=-1)
        return outputs * half_diagonal(shape)

    def matrix(self, parameters: Any, shape: Sequence[int], moving_shape: Sequence[int]) -> Any:
        """The matrix ``(batch, ndim, ndim + 1)`` from fixed to moving voxels of parameters.

        Rotation, scaling and shearing are bounded as in TorchIR, about the centre of the fixed
        image, which without translation goes to the centre of the moving one.
        """
        size = half_diagonal(shape)
        translation = parameters[:, : self.ndim]
        rest = parameters[:, self.ndim :] / size
        values = keras_ops.concatenate([translation, rest], axis=-1)
        bounded = ops.bounded_parameters(values, "affine", self.ndim)
        matrix = ops.linear_matrix(bounded, "affine", shape)
        shift = [(m - f) / 2 for f, m in zip(shape, moving_shape, strict=True)]
        if not any(shift):
            return matrix
        shift = keras_ops.convert_to_tensor(shift, matrix.dtype)[None, :, None]
        return keras_ops.concatenate(
            [matrix[..., : self.ndim], matrix[..., self.ndim :] + shift], axis=-1
        )

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.ndim * (self.ndim + 1)

    @property
    def step(self) -> int:
        """Voxels between neighbouring features."""
        return 2 ** (len(self.convolutions) - 1)

    @property
    def halo(self) -> tuple[int, ...]:
        """Voxels about its own that a feature sees, rounded up to whole steps, per axis."""
        distance = sum(2**k for k in range(len(self.convolutions)))
        return (math.ceil(distance / self.step) * self.step,) * self.ndim


def half_diagonal(shape: Sequence[int]) -> float:
    """Half the diagonal of an image, in voxels."""
    return math.sqrt(sum(n * n for n in shape)) / 2
