"""What all samplers of pairs share: batches by number, as NumPy arrays or as ``tf.data``."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


class Batches(ABC):
    """Batches that are a function of ``(seed, step)`` alone.

    A training that resumes at step 1200 sees the very batches that it would have seen without the
    interruption.

    Args:
        batch_size: pairs per batch.
        seed: seed of the stream.
        shape: ``(*spatial, channels)`` of every array of a pair.
        names: names of the arrays of a batch.
    """

    def __init__(
        self,
        batch_size: int,
        seed: int,
        shape: Sequence[int],
        names: Sequence[str] = ("fixed", "moving"),
    ) -> None:
        self.batch_size = batch_size
        self.seed = seed
        self.shape = tuple(shape)
        self.names = tuple(names)

    @abstractmethod
    def batch(self, step: int) -> dict[str, np.ndarray]:
        """Batch ``step``: an array by name, float32 ``(batch, *spatial, channels)``."""

    def tuples(self, start: int, stop: int) -> Iterator[tuple[dict[str, np.ndarray]]]:
        """Batches ``start .. stop-1`` as Keras takes them without TensorFlow: ``(x,)``."""
        for step in range(start, stop):
            yield (self.batch(step),)

    def dataset(self, start: int, stop: int) -> Any:
        """Batches ``start .. stop-1`` as a ``tf.data.Dataset``, prefetched."""
        import tensorflow as tf

        shape = (self.batch_size, *self.shape)

        def arrays(step: int) -> tuple[np.ndarray, ...]:
            batch = self.batch(int(step))
            return tuple(batch[name] for name in self.names)

        def draw(step: Any) -> dict[str, Any]:
            drawn = tf.numpy_function(arrays, [step], (tf.float32,) * len(self.names))
            shaped = [tf.ensure_shape(one, shape) for one in drawn]
            return dict(zip(self.names, shaped, strict=True))

        return (
            tf.data.Dataset.range(start, stop)
            .map(draw, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .prefetch(tf.data.AUTOTUNE)
        )
