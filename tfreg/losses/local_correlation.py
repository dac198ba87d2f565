"""Normalised cross correlation in windows."""

import functools
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from tfreg.losses.box import box_mean, box_mean_transposed, box_sum
from tfreg.losses.means import divide, extent, mean_per_channel, weighted_mean
from tfreg.losses.pair import prepare
from tfreg.ops.backend import compiled

VARIANCE_FLOOR = 1e-4


def lncc(fixed: Any, moved: Any, window: int | Sequence[int] = 9, mask: Any = None) -> Any:
    """``sum_x w(x) cov_x(f, m)^2 / (var_x(f) var_x(m)) / sum_x w(x)``: squared NCC in windows.

    ``cov_x`` and ``var_x`` belong to the window centred at voxel ``x``:
    ``cov_x(f, m) = E_x[f m] - E_x[f] E_x[m]``, ``E_x`` the mean, weighted by the mask ``w``, over
    those voxels of the window that lie in the image. Several channels are averaged.

    A variance counts as at least 1e-4 of the variance of the whole image (of that channel, under
    the mask): windows that are flatter fade out, and flat ones give 0 with a zero gradient. Images
    are centred and brought to order 1 first, so that the variances do not cancel.

    Args:
        fixed: tensor ``(batch, *spatial, channels)``.
        moved: tensor of the same shape.
        window: odd number of voxels, one for all axes or one per axis.
        mask: tensor ``(batch, *spatial, 1)`` of weights >= 0, which themselves get no gradient.
            Where they are all zero, the result is 0 and so is its gradient.

    Returns:
        Tensor ``(batch,)`` in [0, 1].

    Raises:
        ValueError: if the shapes do not fit, or the window is not odd and positive.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> image = np.random.default_rng(0).normal(size=(1, 12, 10, 1)).astype("float32")
    >>> round(float(losses.lncc(image, 5 - 2 * image, window=5)[0]), 4)
    1.0

    Reference:
        Avants et al., Symmetric diffeomorphic image registration with cross-correlation, Medical
        Image Analysis 2008.
    """
    fixed, moved, mask = prepare(fixed, moved, mask)
    windows = _windows(window, len(fixed.shape) - 2)
    return _kernel(windows)(fixed, moved, *(() if mask is None else (mask,)))


@functools.lru_cache(maxsize=64)
def _kernel(window: tuple[int, ...]) -> Callable:
    """The computation for one window as a compiled island, several times as fast on TensorFlow."""

    def compute(fixed: Any, moved: Any, mask: Any = None) -> Any:
        mask = None if mask is None else ops.stop_gradient(mask)
        fixed, fixed_floor = _standardise(fixed, mask)
        moved, moved_floor = _standardise(moved, mask)
        arguments = (fixed, moved, fixed_floor, moved_floor)
        squares = squared(*arguments) if mask is None else squared(*arguments, mask)
        return weighted_mean(squares, mask)

    squared = ops.custom_gradient(lambda *tensors: _squared(window, *tensors))
    return compiled(compute)


def _squared(
    window: tuple[int, ...],
    fixed: Any,
    moved: Any,
    fixed_floor: Any,
    moved_floor: Any,
    mask: Any = None,
) -> tuple[Any, Callable]:
    """The square of the correlation in the window about each voxel, and its gradient.

    With means ``<.>`` over the window, ``c = <fm> - <f><m>``, ``v = <mm> - <m><m>``, ``w`` of the
    fixed image alike and ``u`` the upstream gradient, that of ``c^2 / vw`` is ``f A(a) - A(a<f>) -
    m A(b) + A(b<m>)`` with ``a = 2uc / vw``, ``b = 2uc^2 / v^2w`` and ``A`` the transpose of the
    mean. Automatically it would be twice the sums.
    """
    if mask is None:
        mean = functools.partial(box_mean, window=window)
        transposed = functools.partial(box_mean_transposed, window=window)
    else:
        weights = box_sum(mask, window)

        def mean(values: Any) -> Any:
            return divide(box_sum(values * mask, window), weights)

        def transposed(values: Any) -> Any:
            return box_sum(divide(values, weights), window) * mask

    images = [fixed, moved, fixed * fixed, moved * moved, fixed * moved]
    # All in one pass: the images become channels.
    f, m, ff, mm, fm = ops.split(mean(ops.concatenate(images, axis=-1)), 5, axis=-1)
    covariance = fm - f * m
    of_fixed, of_moved = ff - f * f, mm - m * m
    fixed_variance = ops.maximum(of_fixed, fixed_floor)
    moved_variance = ops.maximum(of_moved, moved_floor)
    both = fixed_variance * moved_variance
    squares = divide(covariance * covariance, both)

    def gradient(*args: Any, upstream: Any = None) -> tuple[Any, ...]:
        upstream = args[0] if upstream is None else upstream
        a = 2 * divide(upstream * covariance, both)
        bent = (
            2 * divide(upstream * squares, fixed_variance),
            2 * divide(upstream * squares, moved_variance),
        )
        free = of_fixed > fixed_floor, of_moved > moved_floor
        b_fixed, b_moved = (
            ops.where(is_free, b, ops.zeros_like(b)) for is_free, b in zip(free, bent, strict=True)
        )
        floors = [
            -ops.sum(b - kept, axis=tuple(range(1, len(window) + 1)), keepdims=True) / 2
            for b, kept in zip(bent, (b_fixed, b_moved), strict=True)
        ]
        at, bt, rest = ops.split(
            transposed(ops.concatenate([a, b_moved, b_moved * m - a * f], axis=-1)), 3, axis=-1
        )
        of_the_moved = fixed * at - moved * bt + rest
        bt, rest = ops.split(
            transposed(ops.concatenate([b_fixed, b_fixed * f - a * m], axis=-1)), 2, axis=-1
        )
        found = (moved * at - fixed * bt + rest, of_the_moved, *floors)
        return found if mask is None else (*found, ops.zeros_like(mask))

    return squares, gradient


def _standardise(images: Any, mask: Any) -> tuple[Any, Any]:
    """Centres each channel and brings it to order 1; 0 where it is constant. Also its floor."""
    low, high, varies = extent(images, mask, tuple(range(1, len(images.shape) - 1)))
    # Correlation does not depend on the scale, so no gradient flows through it.
    scale = ops.stop_gradient(ops.where(varies, high - low, ops.ones_like(low)))
    images = (images - low) / scale
    images = images - mean_per_channel(images, mask)
    inside = varies if mask is None else ops.logical_and(varies, mask > 0)
    images = ops.where(inside, images, ops.zeros_like(images))
    return images, VARIANCE_FLOOR * mean_per_channel(images * images, mask)


def _windows(window: Any, ndim: int) -> tuple[int, ...]:
    lengths = (window,) * ndim if isinstance(window, numbers.Integral) else window
    if (
        not isinstance(lengths, Sequence)
        or len(lengths) != ndim
        or not all(isinstance(n, numbers.Integral) and n > 0 and n % 2 for n in lengths)
        or any(isinstance(n, bool) for n in lengths)
    ):
        raise ValueError(
            f"window must be an odd positive integer, or {ndim} of them, one per axis. "
            f"Received: window={window!r}"
        )
    return tuple(int(n) for n in lengths)


@keras.saving.register_keras_serializable(package="tfreg")
class LNCC(keras.losses.Loss):
    """The loss ``-lncc``, per image, averaged over the batch.

    Args:
        window: odd number of voxels, one for all axes or one per axis.
        name: name of the loss.

    Example:

    >>> import numpy as np
    >>> from tfreg import losses
    >>> image = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype("float32")
    >>> round(float(losses.LNCC(window=5)(image, image)), 4)
    -1.0
    """

    def __init__(self, window: int | Sequence[int] = 9, name: str = "lncc", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        one = isinstance(window, numbers.Integral)
        # The number of axes is known at the first call only; the lengths are checked here.
        lengths = _windows(window, 1 if one or not isinstance(window, Sequence) else len(window))
        self.window = lengths[0] if one else lengths

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return -lncc(y_true, y_pred, window=self.window)

    def get_config(self) -> dict[str, Any]:
        window = self.window if isinstance(self.window, int) else list(self.window)
        return {**super().get_config(), "window": window}
