"""What all samplers share: batches by number, as NumPy arrays or as ``tf.data``."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Array(NamedTuple):
    """One array of a batch: its shape without the axis of the batch, and its dtype."""

    shape: tuple[int, ...]
    dtype: str = "float32"


class Batches(ABC):
    """Batches of named arrays that are a function of ``(seed, step)`` alone.

    A training that resumes at step 1200 sees the very batches that it would have seen without the
    interruption.

    Args:
        batch_size: items per batch.
        seed: seed of the stream.
        arrays: what a batch holds, by name.
        targets: the names of those arrays that a network is to find, such as labels; the others go
            into it.
        count: number of the items that batches are drawn from.

    Example:

    >>> import numpy as np
    >>> from tfreg.data.batches import Array, Batches
    >>> class Noise(Batches):
    ...     def batch(self, step):
    ...         rng = np.random.default_rng([self.seed, step])
    ...         images = rng.random((self.batch_size, 8, 8, 1)).astype("float32")
    ...         return {"images": images, "labels": rng.integers(3, size=self.batch_size)}
    >>> arrays = {"images": Array((8, 8, 1)), "labels": Array((), "int64")}
    >>> noise = Noise(4, seed=0, arrays=arrays, targets=("labels",), count=1)
    >>> [part.shape for part in noise.split(noise.batch(0))]
    [(4, 8, 8, 1), (4,)]
    """

    def __init__(
        self,
        batch_size: int,
        seed: int,
        arrays: Mapping[str, Array],
        targets: Sequence[str] = (),
        count: int = 0,
    ) -> None:
        self.batch_size = batch_size
        self.seed = seed
        self.arrays = dict(arrays)
        self.targets = tuple(targets)
        self.count = count
        if not set(self.targets) < set(self.arrays):
            raise ValueError(
                "targets must be some, not all, of the names of arrays. "
                f"Received: targets={self.targets}, arrays={tuple(self.arrays)}"
            )

    @abstractmethod
    def batch(self, step: int) -> dict[str, np.ndarray]:
        """Batch ``step``: an array ``(batch, *shape)`` by name."""

    def split(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """A batch as Keras takes it: what goes into a network, and its targets or ``None``.

        Each of the two is a dictionary, or the array itself where there is one alone.
        """
        inputs = {name: array for name, array in batch.items() if name not in self.targets}
        targets = {name: array for name, array in batch.items() if name in self.targets}
        return _alone(inputs), _alone(targets) if targets else None

    def tuples(self, start: int, stop: int) -> Iterator[tuple]:
        """Batches ``start .. stop-1`` as Keras takes them without TensorFlow: ``(x[, y])``."""
        for step in range(start, stop):
            inputs, targets = self.split(self.batch(step))
            yield (inputs,) if targets is None else (inputs, targets)

    def dataset(self, start: int, stop: int) -> Any:
        """Batches ``start .. stop-1`` as a ``tf.data.Dataset``, prefetched."""
        import tensorflow as tf

        names = tuple(self.arrays)

        def arrays(step: int) -> tuple[np.ndarray, ...]:
            batch = self.batch(int(step))
            return tuple(batch[name].astype(self.arrays[name].dtype, copy=False) for name in names)

        def draw(step: Any) -> Any:
            dtypes = tuple(tf.as_dtype(self.arrays[name].dtype) for name in names)
            drawn = dict(zip(names, tf.numpy_function(arrays, [step], dtypes), strict=True))
            shaped = {
                name: tf.ensure_shape(array, (self.batch_size, *self.arrays[name].shape))
                for name, array in drawn.items()
            }
            inputs, targets = self.split(shaped)
            return inputs if targets is None else (inputs, targets)

        return (
            tf.data.Dataset.range(start, stop)
            .map(draw, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .prefetch(tf.data.AUTOTUNE)
        )


def _alone(arrays: dict[str, Any]) -> Any:
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays
