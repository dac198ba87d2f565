"""Spatial transformer networks that classify digits.

Reference:
    M. Jaderberg, K. Simonyan, A. Zisserman and K. Kavukcuoglu, Spatial transformer networks, NIPS
    2015, arXiv:1506.02025.

The file follows the paper: localisation network (3.1), grid generator (3.2) and sampler (3.3) make
a spatial transformer; the classifiers are those of its experiments on MNIST (4.1, appendix A).
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops as keras_ops

from tfreg import ops
from tfreg.errors import InputError
from tfreg.ops.normalised import STN_KINDS

PAPER = "Jaderberg et al., NIPS 2015, arXiv:1506.02025"

BASES = ("fcn", "cnn")
TRANSFORMS = (*STN_KINDS, "tps")
CONTROL_POINTS = (4, 4)
# The last row of a projective theta stays within this, so that no point reaches infinity.
PERSPECTIVE = 0.45


@keras.saving.register_keras_serializable(package="tfreg")
class SpatialTransformerNetwork(keras.Model):
    """A classifier that first puts its input straight: ST-FCN and ST-CNN, and both without ST.

    Args:
        base: ``"fcn"``: fully connected layers. ``"cnn"``: convolutions.
        transform: ``"affine"``, ``"projective"``, ``"tps"`` (16 control points) or ``"attention"``;
            None for the base network alone.
        shape: ``(height, width, channels)`` of the input.
        classes: number of classes.
        widths: units of the two hidden layers, or kernels of the two convolutions.
        transformers: number of spatial transformers; each sees and warps the whole input, and the
            classifier sees all results side by side.
        pool: average pooling of the transformers' results.

    Input shape:
        ``(batch, height, width, channels)``, intensities in [0, 1].

    Output shape:
        ``(batch, classes)``: logits.

    Raises:
        ValueError: on an unknown option, or one without effect.

    Example:

    >>> import numpy as np
    >>> from zoo.stn.model import SpatialTransformerNetwork
    >>> model = SpatialTransformerNetwork("cnn", "affine")
    >>> tuple(model(np.zeros((1, 28, 28, 1), "float32")).shape)
    (1, 10)
    """

    def __init__(
        self,
        base: str = "cnn",
        transform: str | None = "affine",
        shape: Sequence[int] = (28, 28, 1),
        classes: int = 10,
        widths: Sequence[int] = (64, 64),
        transformers: int = 1,
        pool: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if base not in BASES:
            raise ValueError(f"base must be one of {BASES}. Received: base={base}")
        if transform is not None and transform not in TRANSFORMS:
            raise ValueError(
                f"transform must be None or one of {TRANSFORMS}. Received: transform={transform}"
            )
        if transformers < 1 or pool < 1 or (transform is None and transformers * pool > 1):
            raise ValueError(
                "transformers and pool must be positive, and 1 without a transform. "
                f"Received: transformers={transformers}, pool={pool}, transform={transform}"
            )
        self.base = base
        self.transform = transform
        self.shape = tuple(int(n) for n in shape)
        self.classes = int(classes)
        self.widths = tuple(int(width) for width in widths)
        self.transformers = int(transformers)
        self.pool = int(pool)

        self.localisations = []
        if transform is not None:
            self.localisations = [self._localisation(k) for k in range(transformers)]
        self.classifier = self._classifier()

    def _localisation(self, number: int) -> keras.Sequential:
        """Section 3.1: theta, beginning with that of the identity (a head of zeros)."""
        layers = keras.layers
        if self.base == "fcn":
            hidden = [
                layers.Flatten(),
                layers.Dense(32, "relu", name="dense_1"),
                layers.Dense(32, "relu", name="dense_2"),
            ]
        else:
            hidden = [
                layers.AveragePooling2D(2),
                layers.Conv2D(20, 5, activation="relu", name="convolution_1"),
                layers.MaxPooling2D(2, padding="same"),
                layers.Conv2D(20, 5, activation="relu", name="convolution_2"),
                layers.Flatten(),
                layers.Dense(20, "relu", name="dense_1"),
            ]
        head = layers.Dense(
            theta_size(self.transform), kernel_initializer="zeros", dtype="float32", name="theta"
        )
        return keras.Sequential([*hidden, head], name=f"localisation_{number}")

    def _classifier(self) -> keras.Sequential:
        """Section 4.1: three layers with weights."""
        layers, (first, second) = keras.layers, self.widths
        if self.base == "fcn":
            hidden = [
                layers.Flatten(),
                layers.Dense(first, "relu", name="dense_1"),
                layers.Dense(second, "relu", name="dense_2"),
            ]
        else:
            hidden = [
                layers.Conv2D(first, 9, activation="relu", name="convolution_1"),
                layers.MaxPooling2D(2, padding="same"),
                layers.Conv2D(second, 7, activation="relu", name="convolution_2"),
                layers.MaxPooling2D(2, padding="same"),
                layers.Flatten(),
            ]
        return keras.Sequential(
            [*hidden, layers.Dense(self.classes, dtype="float32", name="logits")],
            name="classifier",
        )

    def build(self, input_shape: Any = None) -> None:
        shape = (None, *self.shape)
        for localisation in self.localisations:
            localisation.build(shape)
        height, width, channels = self.shape
        if self.transform is not None:
            height, width = height // self.pool, width // self.pool
        self.classifier.build((None, height, width, channels * self.transformers))
        self.built = True

    def call(self, images: Any, training: bool | None = None) -> Any:
        return self.classifier(self.transformed(images), training=training)

    def transformed(self, images: Any) -> Any:
        """What the classifier sees."""
        if self.transform is None:
            return images
        results = [
            ops.resample(images, displacement, mode="constant", image_gradient=False)
            for displacement in self.displacements(images)
        ]
        result = results[0] if len(results) == 1 else keras_ops.concatenate(results, axis=-1)
        if self.pool == 1:
            return result
        return keras_ops.average_pool(result, self.pool, strides=self.pool)

    def displacements(self, images: Any) -> list[Any]:
        """Section 3.2: of each transformer, ``(batch, height, width, 2)`` in pixels."""
        return [
            displacement(localisation(images), self.transform, self.shape[:2])
            for localisation in self.localisations
        ]

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "base": self.base,
            "transform": self.transform,
            "shape": self.shape,
            "classes": self.classes,
            "widths": self.widths,
            "transformers": self.transformers,
            "pool": self.pool,
        }


def theta_size(transform: str) -> int:
    """How many numbers a localisation network has to find."""
    if transform == "tps":
        return 2 * CONTROL_POINTS[0] * CONTROL_POINTS[1]
    return len(ops.stn_identity(transform, 2))


def displacement(theta: Any, transform: str, shape: Sequence[int]) -> Any:
    """Displacement of a localisation network's output, in which zeros are the identity.

    Args:
        theta: tensor ``(batch, n)``, normalised coordinates as in the paper, less those of the
            identity. Thin-plate: 16 pairs ``(x, y)``, control points row by row.
        transform: ``"attention"``, ``"affine"``, ``"projective"`` or ``"tps"``.
        shape: height and width.

    Returns:
        Tensor ``(batch, height, width, 2)`` in pixels, array-axis order.

    Raises:
        InputError: on an unknown transform.
    """
    if transform not in TRANSFORMS:
        raise InputError(f"transform must be one of {TRANSFORMS}. Received: {transform}")
    theta = keras_ops.cast(theta, "float32")
    if transform == "tps":
        half = [(n - 1) / 2 for n in shape]
        moves = keras_ops.reshape(theta, (-1, *CONTROL_POINTS, 2))
        moves = keras_ops.flip(moves, axis=-1) * keras_ops.convert_to_tensor(half, "float32")
        points = ops.control_point_grid(shape, CONTROL_POINTS, "corners")
        return ops.tps_layout_displacement(moves, points, shape)
    if transform == "projective":
        row = PERSPECTIVE * keras_ops.tanh(theta[:, 6:] / PERSPECTIVE)
        theta = keras_ops.concatenate([theta[:, :6], row], axis=-1)
    theta = theta + keras_ops.convert_to_tensor(ops.stn_identity(transform, 2))
    matrix = ops.matrix_from_normalised(ops.stn_theta(theta, transform, 2), shape)
    return ops.linear_displacement(matrix, shape)
