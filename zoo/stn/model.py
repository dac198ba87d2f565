"""Spatial transformer networks that classify digits.

Reference:
    M. Jaderberg, K. Simonyan, A. Zisserman and K. Kavukcuoglu, Spatial transformer networks, NIPS
    2015, arXiv:1506.02025.

Localisation network (3.1), grid generator (3.2) and sampler (3.3) are
``tfreg.layers.SpatialTransformer``; here are the networks of the experiments on MNIST (4.1,
appendix A) that have one, two or none at their input.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops as keras_ops

from tfreg.errors import InputError
from tfreg.layers import SpatialTransformer
from tfreg.models import Classification, ClassificationModel
from tfreg.ops.spatial import TRANSFORMS

BASES = ("fcn", "cnn")


@dataclass(frozen=True, eq=False)
class Straightened(Classification):
    """What is in each image, and where the network looked.

    Attributes:
        displacement: ``(batch, transformers, height, width, 2)``: of each transformer, where the
            pixels of its result are taken from, relative to their own places, in pixels, array-axis
            order; None of a network without.
        seen: ``(batch, height, width, channels)``: what the classifier saw, the results of all
            transformers side by side.
    """

    displacement: np.ndarray | None
    seen: np.ndarray

    @property
    def grid(self) -> np.ndarray | None:
        """Where in the image the pixels of the results are, in the shape of ``displacement``."""
        if self.displacement is None:
            return None
        own = np.moveaxis(np.indices(self.displacement.shape[-3:-1]), 0, -1)
        return self.displacement + own.astype("float32")


@keras.saving.register_keras_serializable(package="tfreg")
class SpatialTransformerNetwork(ClassificationModel):
    """A classifier that first puts its input straight: ST-FCN and ST-CNN, and both without ST.

    Args:
        base: ``"fcn"``: fully connected layers. ``"cnn"``: convolutions.
        transform: of ``tfreg.layers.SpatialTransformer``, such as ``"affine"`` or ``"tps"`` (16
            control points); None for the base network alone.
        size: height and width of the images.
        classes: what the classes are called.
        widths: units of the two hidden layers, or kernels of the two convolutions.
        transformers: number of spatial transformers; each sees and warps the whole input, and the
            classifier sees all results side by side.
        pool: average pooling of the transformers' results.
        kwargs: of ``tfreg.models.ClassificationModel``, ``channels`` among them.

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
    >>> answer = model.classify(np.eye(28))
    >>> answer.probabilities.shape, answer.displacement.shape
    ((10,), (1, 28, 28, 2))
    """

    def __init__(
        self,
        base: str = "cnn",
        transform: str | None = "affine",
        size: Sequence[int] = (28, 28),
        classes: Sequence[str] = tuple("0123456789"),
        widths: Sequence[int] = (64, 64),
        transformers: int = 1,
        pool: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"ndim": 2, **kwargs}, classes=classes)
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
        self.size = tuple(int(n) for n in size)
        self.widths = tuple(int(width) for width in widths)
        self.pool = pool
        self.transformers = [
            SpatialTransformer(self._localisation(), transform, name=f"transformer_{k}")
            for k in range(transformers if transform else 0)
        ]
        self.classifier = self._classifier()

    def _localisation(self) -> keras.Sequential:
        """Section 3.1, without the last layer, which is the transformer's own."""
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
        return keras.Sequential(hidden, name="localisation")

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
        logits = layers.Dense(len(self.classes), dtype="float32", name="logits")
        return keras.Sequential([*hidden, logits], name="classifier")

    def build(self, input_shape: Any = None) -> None:
        height, width = self.size
        for transformer in self.transformers:
            transformer.build((None, height, width, self.channels))
        seen = max(1, len(self.transformers)) * self.channels
        self.classifier.build((None, height // self.pool, width // self.pool, seen))
        self.built = True

    def check_size(self, size: Sequence[int]) -> None:
        if tuple(size) != self.size:
            raise InputError(
                "This network takes images of {} x {} pixels. Received: {}".format(
                    *self.size, " x ".join(map(str, size))
                )
            )

    def call(self, images: Any, training: bool | None = None) -> Any:
        return self.classifier(self.straighten(images)[0], training=training)

    def straighten(self, images: Any) -> tuple[Any, list[Any]]:
        """What the classifier sees, and the displacement of each transformer."""
        if not self.transformers:
            return images, []
        moves = [transformer.displacement(images) for transformer in self.transformers]
        results = [t.warp(images, u) for t, u in zip(self.transformers, moves, strict=True)]
        seen = results[0] if len(results) == 1 else keras_ops.concatenate(results, axis=-1)
        if self.pool > 1:
            seen = keras_ops.average_pool(seen, self.pool, strides=self.pool)
        return seen, moves

    def outputs(self, images: Any, **options: Any) -> tuple[Any, ...]:
        seen, moves = self.straighten(images)
        logits = self.classifier(seen, training=False)
        return (logits, seen, *([keras_ops.stack(moves, axis=1)] if moves else []))

    def conclude(self, *found: np.ndarray, **answer: Any) -> Straightened:
        seen, *moves = found
        return Straightened(**answer, seen=seen, displacement=moves[0] if moves else None)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "base": self.base,
            "transform": self.transform,
            "size": self.size,
            "widths": self.widths,
            "transformers": max(1, len(self.transformers)),
            "pool": self.pool,
        }
