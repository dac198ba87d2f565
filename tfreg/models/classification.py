"""Classifying images with a network: the base of every classifier of the zoo."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.models.base import Model


@dataclass(frozen=True, eq=False)
class Classification:
    """The answer to "what is in each image?".

    Attributes:
        labels: ``(batch,)`` int64, the most probable class; for a single image a number, and
            everything below without the axis of the batch.
        probabilities: ``(batch, classes)`` float32.
        names: ``(batch,)``, what that class is called.
        seconds: time of preprocessing and network; the first call for a shape includes compilation.
    """

    labels: np.ndarray | int
    probabilities: np.ndarray
    names: np.ndarray | str
    seconds: float


class ClassificationModel(Model):
    """A network that classifies: the base of every classifier of the zoo.

    A subclass defines ``call``: images ``(batch, *spatial, channels)`` in [0, 1] to logits
    ``(batch, classes)``. ``model.fit`` takes images and labels ``(batch,)``, and minimises their
    cross-entropy.

    Args:
        ndim: number of spatial axes, 2 or 3.
        classes: what the classes are called, in the order of the labels.
        channels: of an image.
        kwargs: of :class:`tfreg.models.base.Model`, ``intensity_range`` among them.

    Raises:
        ValueError: on fewer than two classes, or two of one name; on no channel.
    """

    task: ClassVar[str] = "classification"
    metric: ClassVar[str] = "accuracy"

    def __init__(self, ndim: int, classes: Sequence[str], channels: int = 1, **kwargs: Any) -> None:
        super().__init__(ndim, **kwargs)
        self.classes = tuple(str(name) for name in classes)
        if len(self.classes) < 2 or len({*self.classes}) < len(self.classes):
            raise ValueError(f"classes must be two names or more. Received: classes={classes}")
        if channels < 1:
            raise ValueError(f"channels must be positive. Received: channels={channels}")
        self.channels = channels
        self.accuracy_tracker = keras.metrics.Mean(name="accuracy")

    def build(self, input_shape: Any = None) -> None:
        """Builds the layers, for images of any size unless a subclass knows the size."""
        raise NotImplementedError

    def call(self, images: Any, training: bool | None = None) -> Any:
        raise NotImplementedError

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Cross-entropy, averaged over the batch."""
        logits = keras_ops.cast(y_pred, "float32")
        self.accuracy_tracker.update_state(keras.metrics.sparse_categorical_accuracy(y, logits))
        return keras_ops.mean(
            keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
        )

    def classify(self, images: Any, batch_size: int = 256, **options: Any) -> Classification:
        """Classifies one image or a batch.

        Args:
            images: one image ``(*spatial,)``, or a batch ``(batch, *spatial)`` or
                ``(batch, *spatial, 1)``, of any real dtype and intensity range; of more channels
                than one ``(*spatial, channels)`` or ``(batch, *spatial, channels)``.
            batch_size: images that go through the network together.
            options: of this network, see its ``options``.

        Raises:
            InputError: on a shape that does not fit, or values that are not finite.
        """
        begin = time.perf_counter()
        self.check_arguments(options)
        units = self.prepared(images, "images", self.channels)
        if not self.built:
            self.build()
        function = self.function(
            ("classify", *sorted(options.items())), lambda: self._probabilities(options)
        )
        found, *more = self.in_batches(function, units, batch_size=batch_size)
        labels = found.argmax(axis=1)
        names = np.array(self.classes)[labels]
        answer = {"labels": labels, "probabilities": found, "names": names}
        if np.ndim(images) == self.ndim + (self.channels > 1):
            more = [values[0] for values in more]
            answer = {
                "labels": int(labels[0]),
                "probabilities": found[0],
                "names": str(names[0]),
            }
        return self.conclude(*more, **answer, seconds=time.perf_counter() - begin)

    def outputs(self, images: Any, **options: Any) -> tuple[Any, ...]:
        """What a network answers of prepared images: logits, and whatever a subclass adds.

        Args:
            images: tensor ``(batch, *spatial, channels)`` in [0, 1].
            options: of this network.
        """
        return (self.call(images, training=False, **options),)

    def conclude(self, *found: np.ndarray, **answer: Any) -> Classification:
        """The answer, made of what :meth:`outputs` adds to the logits as well.

        Args:
            found: that, ``(batch, ...)``; for a single image without the axis of the batch.
            answer: the fields of :class:`Classification`.
        """
        return Classification(**answer)

    def score(self, inputs: Any, targets: Any = None, batch_size: int = 32) -> np.ndarray:
        """Whether each label is right: 1 or 0."""
        logits = self.predict(inputs, batch_size=batch_size, verbose=0)
        return (logits.argmax(axis=1) == np.asarray(targets)).astype("float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "classes": self.classes, "channels": self.channels}

    def _probabilities(self, options: dict[str, Any]) -> Any:
        def probabilities(images: Any) -> tuple[Any, ...]:
            logits, *more = self.outputs(images, **options)
            return (keras_ops.softmax(keras_ops.cast(logits, "float32")), *more)

        return ops.graph(probabilities, self.variables)
