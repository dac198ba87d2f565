"""What demons and matching begin and end with: channels at the start, and the whole map."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.registration.answer import LevelReport, Registration, StageReport
from tfreg.registration.channels import Features, nearness, standardised
from tfreg.registration.images import Pair
from tfreg.registration.instance.engine import Clock
from tfreg.registration.instance.level import forgettable

_ROUNDING = 1e-5  # of a similarity


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


def unit_weights(mask: np.ndarray | None) -> np.ndarray | None:
    """A mask with 1 as the largest weight of each pair: what a pair gets is its own affair."""
    if mask is None:
        return None
    return mask / mask.max(axis=tuple(range(1, mask.ndim)), keepdims=True)


def concluded(
    pair: Pair,
    seen: tuple[np.ndarray, np.ndarray],
    displacement: Any,
    start: np.ndarray | None,
    features: Features | None,
    kind: str,
    levels: tuple[LevelReport, ...],
    clock: Clock,
) -> Registration:
    """The answer of a method: its displacement before the start, or where that is worse the start.

    Args:
        pair: what was registered.
        seen: its channels, of :func:`described`.
        displacement: what was found, ``(batch, *spatial, ndim)``.
        start: where it started.
        features: what described the images.
        kind: what the method is called.
        levels: what it did.
        clock: of the method.
    """
    if start is None:
        start = np.zeros(displacement.shape, "float32")
    masks = () if pair.fixed_mask is None else (pair.fixed_mask,)
    arguments = displacement, start, *seen, pair.moving, *masks
    answer = prepared(conclusion(), *arguments, clock=clock)
    field, moved, before, after, accepted = map(keras_ops.convert_to_numpy, answer)
    return Registration(
        fixed=pair.visible(pair.fixed),
        moving=pair.visible(pair.moving),
        moved=pair.visible(moved),
        displacement=field,
        similarity_before=before,
        similarity_after=after,
        seconds=clock.seconds,
        compile_seconds=clock.compile_seconds,
        similarity="nearness" if features is None else features.name,
        accepted=accepted,
        stages=(StageReport(kind, accepted),),
        levels=levels,
    )


@forgettable
@functools.cache
def started() -> Callable:
    """Compiled: the moving channels on the fixed grid at the start, and where they are shown."""

    def run(moving: Any, start: Any) -> tuple[Any, Any]:
        ones = keras_ops.ones_like(moving[..., :1])
        return ops.resample(moving, start), ops.resample(ones, start, mode="constant")

    return ops.compiled(run, identity="described started")


@forgettable
@functools.cache
def conclusion() -> Callable:
    """Compiled: the whole displacement, the moved images, nearness before and after within the
    mask, and whether that is no worse; where it is not better, all is that of the start."""

    def run(
        displacement: Any, start: Any, fixed: Any, moving: Any, image: Any, *masks: Any
    ) -> tuple:
        total = ops.compose(start, displacement)

        def alike(field: Any) -> Any:
            return nearness(fixed, ops.resample(moving, field), *(masks or (None,)))

        before, after = alike(start), alike(total)
        better = after >= before
        # Where nothing could be gained, rounding may take a little: that is no failure.
        accepted = after >= before - _ROUNDING
        chosen = keras_ops.reshape(better, (-1,) + (1,) * (len(total.shape) - 1))
        total = keras_ops.where(chosen, total, start)
        after = keras_ops.where(better, after, before)
        return total, ops.resample(image, total), before, after, accepted

    return ops.compiled(run, identity="described conclusion")
