"""Matching of features in the manner of HAMMER: driving voxels, windows, a dense field; repeated.

A workable scheme of its own after the published descriptions, not the original code.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.errors import InputError
from tfreg.losses.means import mean
from tfreg.registration import job
from tfreg.registration.answer import LevelReport, Registration, StageReport
from tfreg.registration.channels import Features
from tfreg.registration.described.ends import conclusion, described, prepared, started
from tfreg.registration.described.search import distinctiveness, found_again, interpolated, unit
from tfreg.registration.images import Pair
from tfreg.registration.instance.arguments import check_content, start_of
from tfreg.registration.instance.engine import Clock
from tfreg.registration.space.physical import PhysicalRegistration


class Round(NamedTuple):
    """One round of a matching.

    Attributes:
        share: of all voxels, the most distinctive ones, that drive it.
        radius: of the window in which each is looked for, in voxels.
        stride: voxels between the places that are tried.
        sigma: of the Gaussian that makes a dense field of what was found, in voxels.
    """

    share: float
    radius: int
    stride: int
    sigma: float


ROUNDS = (
    Round(0.03, 6, 2, 5.0),
    Round(0.06, 4, 2, 4.0),
    Round(0.12, 3, 1, 3.0),
    Round(0.25, 2, 1, 2.0),
    Round(0.40, 1, 1, 1.5),
)


def match(
    fixed: Any,
    moving: Any,
    *,
    features: Features | None = None,
    rounds: Sequence[Round] = ROUNDS,
    threshold: float = 0.2,
    nearer: float = 0.05,
    spacing: Sequence[float] | None = None,
    fixed_mask: Any = None,
    start: Any = None,
    initial: Any = "geometry",
    ndim: int | None = None,
    channels: bool = False,
) -> Registration | PhysicalRegistration:
    """Finds distinctive voxels of each image in the other by their features, coarse to fine.

    In each round the most distinctive voxels of both images, more in every round, are looked for in
    the other image within a window that shrinks, by the correlation of features over a sub-volume;
    what is alike enough and agrees with its surroundings becomes a dense displacement, which is
    composed with that of the rounds before.

    Args:
        fixed, moving: as :func:`tfreg.registration.register` takes them.
        features: what describes every voxel; without it images of several channels are their own.
        rounds: one :class:`Round` after the other.
        threshold: correlation from which a match counts.
        nearer: by how much more alike a match at the edge of the window must be than one at its
            middle.
        fixed_mask: voxels of the fixed image that are looked for, and found.
        spacing, start, initial, ndim, channels: as in :func:`tfreg.registration.register`. A start
            is left as it is, and what is found comes before it.

    Returns:
        The answer; where the channels became less alike, it is the start, and ``accepted`` says so.

    Raises:
        InputError: on values or images that cannot be registered.

    Example:

    >>> import numpy as np
    >>> from scipy import ndimage
    >>> from tfreg.registration import match
    >>> noise = np.random.default_rng(0).normal(size=(40, 44, 6))
    >>> texture = ndimage.gaussian_filter(noise, (2, 2, 0))
    >>> answer = match(texture, np.roll(texture, 3, axis=1), channels=True)
    >>> round(float(answer.displacement[20, 22, 1]))
    3

    Reference:
        D. Shen and C. Davatzikos, HAMMER: hierarchical attribute matching mechanism for elastic
        registration, IEEE TMI 21(11), 2002; G. Wu, M. Kim, Q. Wang and D. Shen, S-HAMMER, Human
        Brain Mapping 35(3), 2014.
    """
    method = Matching(features, tuple(Round(*one) for one in rounds), threshold, nearer)
    return job.register(
        method,
        fixed,
        moving,
        initial=initial,
        fixed_mask=fixed_mask,
        spacing=spacing,
        start=start,
        ndim=ndim,
        channels=channels,
    )


@dataclass(frozen=True)
class Matching:
    """How :func:`match` registers, which says what the attributes are.

    Raises:
        InputError: on a value that no pair could be registered with.
    """

    features: Features | None = None
    rounds: tuple[Round, ...] = ROUNDS
    threshold: float = 0.2
    nearer: float = 0.05
    model: ClassVar[None] = None  # it refines no network
    refinement: ClassVar[None] = None

    def __post_init__(self) -> None:
        if self.features is not None and not isinstance(self.features, Features):
            raise InputError(f"features must be Features. Received: features={self.features!r}")
        if not self.rounds:
            raise InputError("There must be a round or more. Received: rounds=()")
        for one in self.rounds:
            if not 0 < one.share <= 1 or one.radius < 1 or one.stride < 1 or not one.sigma > 0:
                raise InputError(
                    "A round has a share above 0 and at most 1, radius and stride of a voxel or "
                    f"more, and a positive sigma. Received: {one}"
                )
        if not -1 <= self.threshold < 1:
            raise InputError(
                f"threshold must be at least -1 and below 1. Received: threshold={self.threshold}"
            )
        if not self.nearer >= 0:
            raise InputError(f"nearer must be 0 or more. Received: nearer={self.nearer}")

    def __call__(self, pair: Pair) -> Registration:
        """Registers a batch of pairs, one after the other.

        Raises:
            InputError: on images that cannot be registered.
        """
        clock = Clock()
        check_content(pair.arrays)
        if self.features is None and pair.fixed.shape[-1] == 1:
            raise InputError(
                "Matching needs features, or images of several channels: one intensity correlates "
                "with any other. Received: features=None"
            )
        fixed, moving = described(pair, self.features)
        batch, shape, ndim = len(fixed), pair.shape, pair.ndim
        start = start_of(pair.start, batch, shape, ndim)
        if start is None:
            start = np.zeros((batch, *shape, ndim), "float32")
        begun, _ = prepared(started(), moving, start, clock=clock)
        begun = keras_ops.convert_to_numpy(begun)
        fields, logs = [], []
        for item in range(batch):
            mask = None if pair.fixed_mask is None else pair.fixed_mask[item, ..., 0] > 0
            field, log = self._matched(fixed[item], begun[item], mask, clock)
            fields.append(field)
            logs.append(log)
        answer = prepared(
            conclusion(),
            np.stack(fields),
            start,
            fixed,
            moving,
            pair.fixed,
            pair.moving,
            clock=clock,
        )
        field, moved, before, after, better = map(keras_ops.convert_to_numpy, answer)
        return Registration(
            fixed=pair.visible(pair.fixed),
            moving=pair.visible(pair.moving),
            moved=pair.visible(moved),
            displacement=field,
            similarity_before=before,
            similarity_after=after,
            seconds=clock.seconds,
            compile_seconds=clock.compile_seconds,
            similarity="mse" if self.features is None else self.features.name,
            accepted=better,
            stages=(StageReport("matching", better),),
            levels=tuple(_report(shape, parts) for parts in zip(*logs, strict=True)),
        )

    def _matched(
        self, fixed: np.ndarray, moving: np.ndarray, mask: np.ndarray | None, clock: Clock
    ) -> tuple[np.ndarray, list[tuple[float, float, float]]]:
        """The displacement of one pair ``(*spatial, channels)``, and what each round did."""
        shape = fixed.shape[:-1]
        fixed, moving = fixed[None], moving[None]
        distinct = [prepared(_distinct(), one, clock=clock) for one in (fixed, moving)]
        own = _chosen(distinct[0], mask)
        displacement = np.zeros((1, *shape, len(shape)), "float32")
        log = []
        for one in self.rounds:
            begin = clock.seconds
            other = prepared(_moved(), distinct[1], displacement, clock=clock)
            count = max(int(one.share * fixed[0, ..., 0].size), 1)
            keys = _most(own, count), _most(_chosen(other, mask), count)
            run = _search(one.radius, one.stride, one.sigma, self.nearer)
            limit = np.float32(self.threshold)
            arguments = fixed, moving, displacement, *keys, limit
            displacement, before, after = prepared(run, *arguments, clock=clock)
            log.append((float(before), float(after), clock.seconds - begin))
        return keras_ops.convert_to_numpy(displacement)[0], log


def _report(shape: Sequence[int], parts: Sequence[tuple[float, float, float]]) -> LevelReport:
    before, after, seconds = (np.array(values) for values in zip(*parts, strict=True))
    ones = np.ones(len(before), int)
    return LevelReport("matching", tuple(shape), ones, before, after, float(seconds.sum()))


def _chosen(distinct: Any, mask: np.ndarray | None) -> np.ndarray:
    values = keras_ops.convert_to_numpy(distinct)[0, ..., 0]
    return values if mask is None else np.where(mask, values, -1)


def _most(values: np.ndarray, count: int) -> np.ndarray:
    """Flat indices of the largest values, in the order of the grid."""
    flat = values.ravel()
    return np.sort(np.argpartition(flat, len(flat) - count)[-count:]).astype("int32")


@functools.cache
def _distinct() -> Callable:
    return ops.compiled(distinctiveness, identity="matching distinctiveness")


@functools.cache
def _moved() -> Callable:
    return ops.compiled(ops.resample, identity="matching moved")


@functools.lru_cache(maxsize=32)
def _search(radius: int, stride: int, sigma: float, nearer: float) -> Callable:
    """Compiled: one round.

    A function ``(fixed, moving, displacement, keys, moving_keys, threshold) -> (displacement, mean
    square of the differences before, after)``.
    """

    def run(
        fixed: Any, moving: Any, displacement: Any, keys: Any, others: Any, threshold: Any
    ) -> tuple[Any, Any, Any]:
        shape = fixed.shape[1:-1]
        moved = ops.resample(moving, displacement, image_gradient=False)
        here, there = unit(fixed)[0], unit(moved)[0]
        found, alike = found_again(here, there, keys, radius, stride, nearer)
        # Back: where a voxel of the moved image lies in the fixed one; the map is the other way.
        back, alike_back = found_again(there, here, others, radius, stride, nearer)
        places = keras_ops.concatenate([keys, _at(others, back, shape)])
        offsets = keras_ops.concatenate([found, -back])
        weights = keras_ops.relu(keras_ops.concatenate([alike, alike_back]) - threshold)
        step = interpolated(places, offsets, weights, shape, sigma)
        total = ops.compose(displacement, step[None])
        after = ops.resample(moving, total, image_gradient=False)
        differences = [mean(keras_ops.square(fixed - one))[0] for one in (moved, after)]
        return total, *differences

    return ops.compiled(run, identity=f"matching {radius} {stride} {sigma} {nearer}")


def _at(keys: Any, offsets: Any, shape: Sequence[int]) -> Any:
    """Flat indices of the voxels nearest to keys moved by offsets."""
    index, rest = keras_ops.zeros_like(keys), keys
    steps = keras_ops.cast(keras_ops.round(offsets), "int32")
    for axis, size in enumerate(shape):
        below = int(np.prod(shape[axis + 1 :]))
        place = keras_ops.clip(rest // below + steps[:, axis], 0, size - 1)
        index, rest = index + place * below, rest % below
    return index
