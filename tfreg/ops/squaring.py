"""The flow of a stationary velocity inside a compiled loop: scaling and squaring with its adjoint.

Differentiated automatically in one compiled piece, the squarings are fused into each other and
computed anew for each corner of each cell: two orders of magnitude more work than the flow. Here
the forward loop keeps the field before every squaring, and the loop back applies the transpose of
each: ``g <- g + (grad u)(x + u)^T g + splat(g, u)``.
"""

import functools
import numbers
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tfreg.ops.backend import scan
from tfreg.ops.precision import at_least_float32
from tfreg.ops.sampler import sampler_parts
from tfreg.ops.splat import splat

_STEP = 0.25  # voxels that the first step may go


def flow(velocity: Any, most: int = 7) -> Any:
    """The displacement of ``exp(v)``, with as many squarings as the velocity needs.

    As :func:`tfreg.ops.exponential`, but the first step ``v / 2^n`` has the least ``n`` with which
    it goes no further than a quarter of a voxel, each item of a batch its own, and the gradient is
    written out. ``flow(-v)`` is the inverse.

    Args:
        velocity: tensor ``(batch, *spatial, ndim)`` in voxels per unit time, 2-D or 3-D, of known
            spatial shape.
        most: the largest ``n``, 1 or more.

    Returns:
        The displacement, of the same shape, in voxels. For its gradient ``most`` fields are kept.

    Raises:
        ValueError: if ``most`` is not positive, or the shape is not that of a field.

    Example:

    >>> import numpy as np
    >>> from tfreg import ops
    >>> float(ops.flow(np.ones((1, 4, 5, 2), "float32"))[0, 0, 0, 0])
    1.0

    Reference:
        Arsigny et al., A log-Euclidean framework for statistics on diffeomorphisms, MICCAI 2006.
    """
    velocity = at_least_float32(velocity)
    if isinstance(most, bool) or not isinstance(most, numbers.Integral) or most < 1:
        raise ValueError(f"most must be a positive integer. Received: most={most!r}")
    ndim = velocity.shape[-1]
    if len(velocity.shape) != ndim + 2 or ndim not in (2, 3):
        raise ValueError(
            "velocity must be (batch, *spatial, ndim), 2-D or 3-D. "
            f"Received: velocity.shape={tuple(velocity.shape)}"
        )
    return _flow(keras.config.backend(), int(most))(velocity)


def squarings(velocity: Any, most: int = 7) -> Any:
    """How many squarings :func:`flow` takes for each item of a batch, int32 ``(batch,)``."""
    axes = tuple(range(1, len(velocity.shape)))
    largest = ops.max(ops.abs(velocity), axis=axes)
    count = ops.cast(ops.zeros_like(largest), "int32")
    for number in range(most):  # without a logarithm, whose rounding would decide
        count = count + ops.cast(largest > _STEP * 2**number, "int32")
    return count


@functools.cache
def _flow(backend: str, most: int) -> Callable:
    """``f(velocity)`` with its gradient, for one backend."""
    value, of_where, _ = sampler_parts("displacement", "linear", "border", 0.0)

    def halved(field: Any, count: Any) -> Any:
        parts = ops.power(ops.cast(0.5, field.dtype), ops.cast(count, field.dtype))
        return field * _each(parts, field)

    def loop(step: Callable, field: Any, count: Any, given: tuple, **options: Any) -> tuple:
        """The steps of those items that take them; what none takes is left out."""

        def squared(state: tuple, row: tuple) -> tuple:
            (field,), (number, *others) = state, row
            active = number < count

            def moved() -> Any:
                return ops.where(_each(active, field), step(field, *others), field)

            kept = (field,) if options.get("kept") else ()
            return (ops.cond(ops.any(active), moved, lambda: field),), kept

        rows = ops.arange(most, dtype="int32")
        return scan(squared, (field,), (rows, *given), **options)

    def forward(velocity: Any) -> tuple[Any, Any, Any]:
        count = squarings(velocity, most)
        first = halved(velocity, count)
        (field,), (kept,) = loop(lambda u: u + value(u, u), first, count, (), kept=1)
        return field, kept, count

    def backward(kept: Any, count: Any, upstream: Any) -> Any:
        def pulled(gradient: Any, field: Any) -> Any:
            along = of_where(field, field, gradient)
            return gradient + along + splat(gradient, field)

        (gradient,), _ = loop(pulled, upstream, count, (kept,), reverse=True)
        return halved(gradient, count)

    @ops.custom_gradient
    def flowing(velocity: Any) -> Any:
        field, kept, count = forward(ops.stop_gradient(velocity))

        def gradient(*args: Any, upstream: Any = None) -> Any:
            return backward(kept, count, args[0] if upstream is None else upstream)

        return field, gradient

    return flowing


def _each(values: Any, like: Any) -> Any:
    """``(batch,)`` against a field."""
    return ops.reshape(values, (-1,) + (1,) * (len(like.shape) - 1))
