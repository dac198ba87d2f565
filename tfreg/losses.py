"""Similarities between a fixed and a moved image, and penalties on a displacement."""

from typing import Any

import keras
from keras import ops

from tfreg.ops.field import cell_determinant


def ncc(fixed: Any, moved: Any) -> Any:
    """Normalised cross correlation of each image pair, over the whole image.

    ``ncc = sum((f - mean f)(m - mean m)) / sqrt(sum((f - mean f)^2) sum((m - mean m)^2))``

    Computed in at least float32 on centred values. Where an image is constant, correlation is not
    defined; the result is 0 and so is its gradient.

    Args:
        fixed: tensor ``(batch, *spatial, channels)``.
        moved: tensor of the same shape.

    Returns:
        Tensor ``(batch,)`` in [-1, 1].

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> image = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    >>> round(float(losses.ncc(image, 3 * image + 5)[0]), 5)
    1.0
    """
    fixed, fixed_varies = _standardise(_at_least_float32(fixed))
    moved, moved_varies = _standardise(_at_least_float32(moved))
    axes = tuple(range(1, len(fixed.shape)))
    covariance = ops.sum(fixed * moved, axis=axes)
    squares = ops.sum(fixed * fixed, axis=axes) * ops.sum(moved * moved, axis=axes)
    # The inner where keeps the root from zero: the gradient of the unused branch is finite too.
    defined = ops.logical_and(fixed_varies, moved_varies)
    safe = ops.where(defined, squares, ops.ones_like(squares))
    return ops.where(defined, covariance / ops.sqrt(safe), ops.zeros_like(covariance))


def _standardise(images: Any) -> tuple[Any, Any]:
    """Centres each image and brings it to order 1, and tells whether it varies beyond rounding."""
    axes = tuple(range(1, len(images.shape)))
    low, high = (f(images, axis=axes, keepdims=True) for f in (ops.min, ops.max))
    largest = ops.maximum(ops.abs(low), ops.abs(high))
    varies = high - low > 1e-6 * largest
    # Correlation does not depend on the scale, so no gradient flows through it.
    scale = ops.stop_gradient(ops.where(varies, high - low, ops.ones_like(low)))
    images = (images - low) / scale
    return images - ops.reshape(_mean(images), ops.shape(low)), ops.reshape(varies, (-1,))


@keras.saving.register_keras_serializable(package="tfreg")
class NCC(keras.losses.Loss):
    """The loss ``-NCC``, per image, averaged over the batch.

    Args:
        name: name of the loss.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> image = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype("float32")
    >>> round(float(losses.NCC()(image, image)), 5)
    -1.0

    Reference:
        de Vos et al., End-to-end unsupervised deformable image registration with a convolutional
        neural network, DLMIA 2017.
    """

    def __init__(self, name: str = "ncc", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return -ncc(y_true, y_pred)


def folding_penalty(displacement: Any, margin: float = 0.1) -> Any:
    """``mean(max(0, margin - det(I + grad u)))`` over the cells of the grid, per field.

    Args:
        displacement: tensor ``(batch, *spatial, ndim)`` in voxels.
        margin: determinants below this are penalised, so that folding is stopped before it begins.

    Returns:
        Tensor ``(batch,)``; 0 where the map shrinks no cell below ``margin``.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> float(losses.folding_penalty(np.zeros((1, 4, 4, 2), "float32"))[0])
    0.0
    """
    determinant = cell_determinant(displacement)
    return _mean(ops.relu(margin - determinant))


def _mean(values: Any) -> Any:
    """Mean of each item of a batch; not ``ops.mean``, which on JAX computes in float32."""
    count = 1
    for size in ops.shape(values)[1:]:
        count = count * size
    total = ops.sum(values, axis=tuple(range(1, len(values.shape))))
    return total / ops.cast(count, values.dtype)


def _at_least_float32(values: Any) -> Any:
    values = ops.convert_to_tensor(values)
    dtype = keras.backend.standardize_dtype(values.dtype)
    return values if dtype == "float64" else ops.cast(values, "float32")
