"""Distance of normalised gradient fields."""

import math
import numbers
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfreg.losses.means import divide, extent, mean_per_channel, weighted_mean
from tfreg.losses.pair import prepare
from tfreg.ops.field import gradient


def ngf(
    fixed: Any,
    moved: Any,
    eta: float | Sequence[float] | None = None,
    spacing: float | Sequence[float] | None = None,
    mask: Any = None,
) -> Any:
    """``mean_x 1 - <grad f, grad m>^2 / ((|grad f|^2 + eta_f^2) (|grad m|^2 + eta_m^2))``.

    The gradients are central differences, one-sided at the border. ``eta`` tells edges from noise:
    gradients well below it do not count, so the distance is near 1 where an image is flat, and
    above 0 for equal images too. Several channels are averaged.

    With a mask the mean is weighted, and over those voxels only whose differences reach no voxel
    of weight zero.

    Args:
        fixed: tensor ``(batch, *spatial, channels)``.
        moved: tensor of the same shape.
        eta: edge parameter in intensity per unit of ``spacing``, one for both images or a pair for
            (fixed, moved); ``None``: of each image and channel the mean of ``|grad|``, over the
            voxels that count. The gradient of the distance includes that of this mean.
        spacing: size of a voxel, one for all axes or one per axis, in array-axis order; ``None``:
            1, gradients per voxel.
        mask: tensor ``(batch, *spatial, 1)`` of weights >= 0. Where no voxel counts, the result is
            0 and so is its gradient.

    Returns:
        Tensor ``(batch,)`` in [0, 1]; 1 with a zero gradient where an image is constant.

    Raises:
        ValueError: if the shapes do not fit, or ``eta`` or ``spacing`` is not positive.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> ramp = np.arange(30, dtype="float32").reshape(1, 5, 6, 1)
    >>> round(float(losses.ngf(ramp, 4 - ramp)[0]), 4)  # |grad| = eta everywhere: 1 - 1/2^2
    0.75

    Reference:
        Haber & Modersitzki, Intensity gradient based registration and fusion of multi-modal
        images, MICCAI 2006.
    """
    fixed, moved, mask = prepare(fixed, moved, mask)
    ndim = len(fixed.shape) - 2
    steps = _positive("spacing", 1.0 if spacing is None else spacing, ndim)
    etas = (None, None) if eta is None else _positive("eta", eta, 2)
    counts = None if mask is None else _whole_stencils(mask)
    f, f_squared = _gradient_field(fixed, etas[0], steps, mask, counts)
    m, m_squared = _gradient_field(moved, etas[1], steps, mask, counts)
    product = sum(a * b for a, b in zip(f, m, strict=True))
    similarity = divide(product * product, f_squared * m_squared)
    return weighted_mean(1 - similarity, counts)


def _gradient_field(
    images: Any, eta: float | None, spacing: tuple[float, ...], mask: Any, counts: Any
) -> tuple[list[Any], Any]:
    """The gradient per axis, and its squared length with ``eta``, both on an image of order 1."""
    low, high, varies = extent(images, mask, tuple(range(1, len(images.shape) - 1)))
    # The distance does not depend on a common scale of image and eta: no gradient through it.
    scale = ops.stop_gradient(ops.where(varies, high - low, ops.ones_like(low)))
    images = ops.where(varies, (images - low) / scale, ops.zeros_like(images))
    parts = [gradient(images, axis=1 + a) / step for a, step in enumerate(spacing)]
    squared = sum(part * part for part in parts)
    if eta is not None:
        return parts, squared + (eta / scale) ** 2
    steep = squared > 0
    # The root has no derivative at zero; the inner where keeps it from there.
    length = ops.sqrt(ops.where(steep, squared, ops.ones_like(squared)))
    mean_length = mean_per_channel(ops.where(steep, length, ops.zeros_like(length)), counts)
    return parts, squared + mean_length**2


def _whole_stencils(mask: Any) -> Any:
    """The mask, zero wherever a neighbour along an axis is, because differences reach there."""
    inside = mask > 0
    outside = ops.cast(ops.logical_not(inside), mask.dtype)
    for axis in range(1, len(mask.shape) - 1):
        pads = [(1, 1) if a == axis else (0, 0) for a in range(len(mask.shape))]
        size = ops.shape(mask)[axis]
        padded = ops.pad(outside, pads)  # beyond the image nothing is reached
        index = [slice(None)] * len(mask.shape)
        for start in (0, 2):
            index[axis] = slice(start, start + size)
            inside = ops.logical_and(inside, padded[tuple(index)] == 0)
    return ops.where(inside, mask, ops.zeros_like(mask))


def _positive(name: str, value: Any, count: int) -> tuple[float, ...]:
    values = (value,) * count if isinstance(value, numbers.Real) else value
    if (
        not isinstance(values, Sequence)
        or len(values) != count
        or not all(isinstance(v, numbers.Real) and 0 < v < math.inf for v in values)
    ):
        raise ValueError(
            f"{name} must be a positive number, or {count} of them. Received: {name}={value!r}"
        )
    return tuple(float(v) for v in values)


@keras.saving.register_keras_serializable(package="tfreg")
class NGF(keras.losses.Loss):
    """The loss ``ngf``, per image, averaged over the batch.

    Args:
        eta: edge parameter, see :func:`ngf`.
        spacing: size of a voxel, one for all axes or one per axis.
        name: name of the loss.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> ramp = np.arange(30, dtype="float32").reshape(1, 5, 6, 1)
    >>> round(float(losses.NGF()(ramp, ramp)), 4)
    0.75
    """

    def __init__(
        self,
        eta: float | Sequence[float] | None = None,
        spacing: float | Sequence[float] | None = None,
        name: str = "ngf",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.eta, self.spacing = eta, spacing
        if eta is not None:
            _positive("eta", eta, 2)
        if spacing is not None:
            _positive("spacing", spacing, len(spacing) if isinstance(spacing, Sequence) else 1)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ngf(y_true, y_pred, eta=self.eta, spacing=self.spacing)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "eta": self.eta, "spacing": self.spacing}
