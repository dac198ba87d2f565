"""Sums, means and extents per item of a batch, with or without weights."""

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops


def inner_axes(values: Any) -> tuple[int, ...]:
    """All axes but the batch."""
    return tuple(range(1, len(values.shape)))


def reduce(function: Callable, values: Any, axes: Sequence[int], keepdims: bool = False) -> Any:
    """``ops.sum``, ``ops.min`` or ``ops.max`` over axes, the first of them on its own.

    XLA adds whole rows at a time then, where a sum over all axes at once goes value by value: an
    NCC with its gradient takes a third of the time on a CPU.
    """
    first, rest = axes[0], tuple(axes[1:])
    values = function(values, axis=first, keepdims=True)
    if rest:
        values = function(values, axis=rest, keepdims=True)
    return values if keepdims else ops.squeeze(values, axis=tuple(axes))


def mean(values: Any) -> Any:
    """Mean of each item of a batch; not ``ops.mean``, which on JAX computes in float32."""
    return _mean_over(values, inner_axes(values), keepdims=False)


def weighted_sum(values: Any, mask: Any) -> Any:
    """Sum of each item, ``(batch,)``, weighted by a mask that broadcasts, or ``None``."""
    return reduce(ops.sum, values if mask is None else values * mask, inner_axes(values))


def weighted_mean(values: Any, mask: Any) -> Any:
    """Mean of each item, ``(batch,)``; 0 where the weights sum to zero."""
    if mask is None:
        return mean(values)
    return _mean_over(values * mask, inner_axes(values), False) / _safe_mean_weight(mask, False)


def mean_per_channel(values: Any, mask: Any) -> Any:
    """Mean over space, ``(batch, 1, ..., channels)``; 0 where the weights sum to zero."""
    axes = inner_axes(values)[:-1]
    if mask is None:
        return _mean_over(values, axes, keepdims=True)
    return _mean_over(values * mask, axes, True) / _safe_mean_weight(mask, True)


def extent(values: Any, mask: Any, axes: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """Smallest and largest value where the mask is above zero, and whether they differ.

    They differ where the difference is more than rounding, 1e-6 of the largest magnitude. Where
    the mask is zero everywhere, both are 0.

    Args:
        values: tensor ``(batch, *spatial, channels)``.
        mask: tensor that broadcasts against ``values``, or ``None``.
        axes: axes to reduce; they stay with size 1.

    Returns:
        The tensors low, high and varies (boolean).
    """
    if mask is None:
        low, high = (reduce(f, values, axes, keepdims=True) for f in (ops.min, ops.max))
    else:
        inside = mask > 0
        some = ops.any(inside, axis=axes, keepdims=True)
        low = reduce(ops.min, ops.where(inside, values, float("inf")), axes, keepdims=True)
        high = reduce(ops.max, ops.where(inside, values, -float("inf")), axes, keepdims=True)
        low, high = (ops.where(some, v, ops.zeros_like(v)) for v in (low, high))
    largest = ops.maximum(ops.abs(low), ops.abs(high))
    return low, high, high - low > 1e-6 * largest


def divide(numerator: Any, denominator: Any) -> Any:
    """The quotient, and 0 with a zero gradient wherever the denominator is not positive."""
    defined = denominator > 0
    # The inner where keeps the gradient of the unused branch finite.
    quotient = numerator / ops.where(defined, denominator, ops.ones_like(denominator))
    return ops.where(defined, quotient, ops.zeros_like(quotient))


def _mean_over(values: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    count = 1
    for axis in axes:
        count = count * ops.shape(values)[axis]
    return reduce(ops.sum, values, axes, keepdims) / ops.cast(count, values.dtype)


def _safe_mean_weight(mask: Any, keepdims: bool) -> Any:
    """Mean of the weights; 1 where they are all zero, and so are the weighted values."""
    weight = _mean_over(mask, inner_axes(mask), keepdims)
    return ops.where(weight > 0, weight, ops.ones_like(weight))
