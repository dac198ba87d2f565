"""What demons and matching begin and end with: channels at the start, and the whole map."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import losses, ops
from tfreg.registration.channels import Features, standardised
from tfreg.registration.images import Pair
from tfreg.registration.instance.engine import Clock


def described(pair: Pair, features: Features | None) -> tuple[np.ndarray, np.ndarray]:
    """Standardised channels of both images: of features, or their own."""
    if features is None:
        return standardised(pair.fixed, pair.moving)
    seen = features.of(pair)
    return seen.fixed, seen.moving


def prepared(function: Callable, *arguments: Any, clock: Clock) -> Any:
    """What a compiled function answers, compiled off the clock."""
    clock.prepare([(function, arguments)])
    return function(*arguments)


@functools.cache
def started() -> Callable:
    """Compiled: the moving channels on the fixed grid at the start, and where they are shown."""

    def run(moving: Any, start: Any) -> tuple[Any, Any]:
        ones = keras_ops.ones_like(moving[..., :1])
        return ops.resample(moving, start), ops.resample(ones, start, mode="constant")

    return ops.compiled(run, identity="described started")


@functools.cache
def conclusion() -> Callable:
    """Compiled: the whole displacement, the moved images, how alike before and after, and whether
    that is better; where it is not, all is that of the start."""

    def run(
        displacement: Any, start: Any, fixed: Any, moving: Any, image: Any, other: Any
    ) -> tuple:
        total = ops.compose(start, displacement)

        def alike(field: Any) -> Any:
            return -losses.mse(fixed, ops.resample(moving, field))

        before, after = alike(start), alike(total)
        better = after >= before
        chosen = keras_ops.reshape(better, (-1,) + (1,) * (len(total.shape) - 1))
        total = keras_ops.where(chosen, total, start)
        after = keras_ops.where(better, after, before)
        return total, ops.resample(other, total), before, after, better

    return ops.compiled(run, identity="described conclusion")
