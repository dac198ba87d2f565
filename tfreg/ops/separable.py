"""A small matrix per axis: splines, prefilters, down-sampling and changes of grid are all this.

The matrices depend on sizes only and are made in NumPy when a function is traced; applying them is
one matrix product per axis, which is faster than a convolution and exact.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

# Beyond this width the product with interleaved channels costs more than a transposition.
_WIDEST = 1024


def apply_per_axis(values: Any, matrices: Sequence[np.ndarray | None]) -> Any:
    """Multiplies every spatial axis by its own matrix: ``y = (M_0 x M_1 x ...) values``.

    Args:
        values: tensor ``(batch, *spatial, channels)`` of known spatial shape; float32 or float64.
        matrices: per axis an array ``(new_size, size)``, or None to leave the axis alone.

    Returns:
        Tensor ``(batch, *new_spatial, channels)`` of the same dtype.

    Example:

    >>> import numpy as np
    >>> from tfreg.ops.separable import apply_per_axis
    >>> image = np.arange(6, dtype="float32").reshape(1, 2, 3, 1)
    >>> total = apply_per_axis(image, [np.ones((1, 2)), None])
    >>> [float(v) for v in total[0, 0, :, 0]]
    [3.0, 5.0, 7.0]
    """
    values = ops.convert_to_tensor(values)
    dtype = keras.backend.standardize_dtype(values.dtype)
    spatial = list(values.shape[1:-1])
    channels = values.shape[-1]
    last = len(matrices) - 1
    for axis, matrix in enumerate(matrices):
        if matrix is None:
            continue
        size, new_size = spatial[axis], len(matrix)
        rest = int(np.prod(spatial[axis + 1 :], dtype=int)) * channels
        if axis < last or size * channels > _WIDEST:  # the matrix acts from the left
            values = ops.reshape(values, (-1, size, rest))
            values = ops.matmul(ops.convert_to_tensor(matrix, dtype), values)
        else:  # the channels ride along in one product from the right: no transposition
            wide = np.kron(matrix.T, np.eye(channels))
            values = ops.reshape(values, (-1, size * channels))
            values = ops.matmul(values, ops.convert_to_tensor(wide, dtype))
        spatial[axis] = new_size
    return ops.reshape(values, (-1, *spatial, channels))
