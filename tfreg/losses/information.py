"""Mutual information of two images."""

from typing import Any

import keras
from keras import ops

from tfreg.losses.means import divide, extent, inner_axes
from tfreg.losses.pair import prepare

# Bins at either end that the intensities leave free, for the B-spline of Mattes et al.
_MARGIN = 2
# Voxels per partial histogram: few enough for float32 to count them all without rounding.
_PART = 16384


def mutual_information(
    fixed: Any,
    moved: Any,
    bins: int = 32,
    fixed_range: tuple[float, float] | None = None,
    moved_range: tuple[float, float] | None = None,
    mask: Any = None,
) -> Any:
    """``MI = sum_kl p_kl log(p_kl / (p_k q_l))`` of each image pair, in nats (Mattes et al.).

    ``p_kl = sum_x w(x) beta0(k - s(f(x))) beta3(l - s(m(x))) / sum_x w(x)``; ``p_k`` and ``q_l``
    are its marginals and ``w`` the mask, or 1. ``beta0`` puts a voxel of the fixed image into one
    bin; ``beta3``, the cubic B-spline, spreads one of the moved image over four, which makes MI
    differentiable with respect to it. There is no gradient with respect to the fixed image.
    ``s(v) = 2 + (bins - 4) (v - low) / (high - low)`` takes the range of the intensities to the
    bins but for two at either end; values beyond a given range count as its ends.

    Args:
        fixed: tensor ``(batch, *spatial, 1)``.
        moved: tensor of the same shape.
        bins: bins per image, at least 5.
        fixed_range: (low, high) of the intensities of the fixed image; ``None``: the smallest and
            the largest of each image, where the mask is above zero.
        moved_range: the same of the moved image.
        mask: tensor ``(batch, *spatial, 1)`` of weights >= 0. Where they are all zero, the result
            is 0 and so is its gradient.

    Returns:
        Tensor ``(batch,)``, at least 0; 0 where an image is constant.

    Raises:
        ValueError: if the shapes do not fit, there is more than one channel, too few bins or an
            empty range.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> image = np.tile(np.float32([0, 1]), 32).reshape(1, 8, 8, 1)
    >>> round(float(losses.mutual_information(image, 7 - 3 * image)[0]), 4)  # log 2
    0.6931

    Reference:
        Mattes et al., PET-CT image registration in the chest using free-form deformations, IEEE
        TMI 2003.
    """
    fixed, moved, mask = prepare(fixed, moved, mask)
    if fixed.shape[-1] != 1:
        raise ValueError(
            "mutual_information takes images of one channel. "
            f"Received: fixed.shape={tuple(fixed.shape)}"
        )
    _check(bins, fixed_range=fixed_range, moved_range=moved_range)
    rows = (ops.shape(fixed)[0], -1)
    fixed_at = ops.reshape(_position(fixed, bins, fixed_range, mask), rows)
    moved_at = ops.reshape(_position(moved, bins, moved_range, mask), rows)
    weights = ops.ones_like(moved_at) if mask is None else ops.reshape(mask, rows)
    joint = _joint_histogram(fixed_at, moved_at, weights, bins)
    joint = divide(joint, ops.sum(joint, axis=(1, 2), keepdims=True))
    product = ops.sum(joint, axis=1, keepdims=True) * ops.sum(joint, axis=2, keepdims=True)
    ratio = divide(joint, product)
    logarithm = ops.log(ops.where(ratio > 0, ratio, ops.ones_like(ratio)))
    return ops.sum(joint * logarithm, axis=(1, 2))


def _position(images: Any, bins: int, limits: tuple[float, float] | None, mask: Any) -> Any:
    """Intensities in units of bins, in [2, bins - 2]."""
    if limits is None:
        low, high, varies = extent(images, mask, inner_axes(images))
        fraction = (images - low) / ops.where(varies, high - low, ops.ones_like(low))
        fraction = ops.where(varies, fraction, ops.zeros_like(fraction))
    else:
        fraction = (images - limits[0]) / (limits[1] - limits[0])
    return _MARGIN + (bins - 2 * _MARGIN) * ops.clip(fraction, 0.0, 1.0)


def _joint_histogram(fixed_at: Any, moved_at: Any, weights: Any, bins: int) -> Any:
    """Weighted counts ``(batch, bins, bins)``; only the four bins that a voxel reaches are made."""
    batch, voxels = (ops.shape(moved_at)[axis] for axis in (0, 1))
    fixed_bin, moved_bin = (
        ops.clip(ops.cast(ops.floor(at), "int32"), _MARGIN, bins - _MARGIN - 1)
        for at in (fixed_at, moved_at)
    )
    t = moved_at - ops.cast(moved_bin, moved_at.dtype)
    s = 1 - t
    cubic = [
        s * s * s / 6,
        2 / 3 - t * t + t * t * t / 2,
        2 / 3 - s * s + s * s * s / 2,
        t * t * t / 6,
    ]
    parts = (voxels + _PART - 1) // _PART
    part = ops.expand_dims(ops.arange(batch, dtype="int32") * parts, 1) + ops.expand_dims(
        ops.arange(voxels, dtype="int32") // _PART, 0
    )
    first = (part * bins + fixed_bin) * bins + moved_bin - 1
    histogram = ops.segment_sum(
        ops.reshape(ops.stack([weights * value for value in cubic]), (-1,)),
        ops.reshape(ops.stack([first + step for step in range(4)]), (-1,)),
        num_segments=batch * parts * bins * bins,
    )
    return ops.sum(ops.reshape(histogram, (batch, parts, bins, bins)), axis=1)


def _check(bins: Any, **ranges: Any) -> None:
    least = 2 * _MARGIN + 1
    if not isinstance(bins, int) or isinstance(bins, bool) or bins < least:
        raise ValueError(f"bins must be an integer of at least {least}. Received: bins={bins!r}")
    for name, limits in ranges.items():
        if limits is not None and not (
            isinstance(limits, (tuple, list)) and len(limits) == 2 and limits[0] < limits[1]
        ):
            raise ValueError(
                f"{name} must be a pair (low, high), low < high. Received: {name}={limits!r}"
            )


@keras.saving.register_keras_serializable(package="tfreg")
class MutualInformation(keras.losses.Loss):
    """The loss ``-mutual_information``, per image, averaged over the batch.

    Args:
        bins: bins per image, at least 5.
        fixed_range: (low, high) of the intensities of the fixed images; ``None``: of each its own.
        moved_range: the same of the moved images.
        name: name of the loss.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> image = np.tile(np.float32([0, 1]), 32).reshape(1, 8, 8, 1)
    >>> round(float(losses.MutualInformation(bins=16)(image, image)), 4)
    -0.6931
    """

    def __init__(
        self,
        bins: int = 32,
        fixed_range: tuple[float, float] | None = None,
        moved_range: tuple[float, float] | None = None,
        name: str = "mutual_information",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        _check(bins, fixed_range=fixed_range, moved_range=moved_range)
        self.bins, self.fixed_range, self.moved_range = bins, fixed_range, moved_range

    def call(self, y_true: Any, y_pred: Any) -> Any:
        ranges = {"fixed_range": self.fixed_range, "moved_range": self.moved_range}
        return -mutual_information(y_true, y_pred, bins=self.bins, **ranges)

    def get_config(self) -> dict[str, Any]:
        ranges = {"fixed_range": self.fixed_range, "moved_range": self.moved_range}
        return {**super().get_config(), "bins": self.bins, **ranges}
