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
from tfreg.ops.backend import gather
from tfreg.registration import job
from tfreg.registration.answer import LevelReport, Registration
from tfreg.registration.channels import Features
from tfreg.registration.described.ends import concluded, described, prepared, started
from tfreg.registration.described.search import distinctiveness, found_again, interpolated, unit
from tfreg.registration.images import Pair
from tfreg.registration.instance.arguments import check_content, start_of
from tfreg.registration.instance.engine import Clock
from tfreg.registration.instance.level import forgettable
from tfreg.registration.space.physical import PhysicalRegistration

_SHOWN = 0.5  # of a voxel that must lie within the moving image


class Round(NamedTuple):
    """One round of a matching.

    Attributes:
        share: of the voxels that may be looked at, the most distinctive ones, that drive it.
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
        fixed_mask: voxels of the fixed image that are looked for and found, and where channels are
            compared.
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
        begun = prepared(started(), moving, start, clock=clock)
        sides = [fixed, *map(keras_ops.convert_to_numpy, begun)]
        mask = np.ones_like(sides[-1]) if pair.fixed_mask is None else pair.fixed_mask
        found = [
            self._matched(*(side[k : k + 1] for side in (*sides, mask > 0)), clock)
            for k in range(batch)
        ]
        levels = tuple(
            _report(shape, parts) for parts in zip(*(log for _, log in found), strict=True)
        )
        field, seen = np.concatenate([one for one, _ in found]), (fixed, moving)
        return concluded(pair, seen, field, start, self.features, "matching", levels, clock)

    def _matched(
        self,
        fixed: np.ndarray,
        moving: np.ndarray,
        shown: np.ndarray,
        mask: np.ndarray,
        clock: Clock,
    ) -> tuple[np.ndarray, list[tuple[float, float, float]]]:
        """The displacement of one pair, a batch of one, and what each round did.

        Args:
            fixed, moving: channels, of the moving image at the start.
            shown: 1 where the moving image is there, ``(1, *spatial, 1)``.
            mask: where the fixed image is looked at.
            clock: of the registration.
        """
        shape = fixed.shape[1:-1]
        distinct = [prepared(_distinct(), one, clock=clock) for one in (fixed, moving)]
        own = keras_ops.convert_to_numpy(distinct[0])
        displacement = np.zeros((1, *shape, len(shape)), "float32")
        log = []
        for one in self.rounds:
            begin = clock.seconds
            moved = prepared(_moved(), distinct[1], shown, displacement, clock=clock)
            other, there = map(keras_ops.convert_to_numpy, moved)
            keys = (
                *_driving(own, mask, one.share),
                *_driving(other, mask & (there > _SHOWN), one.share),
            )
            run = _search(one.radius, one.stride, one.sigma, self.nearer)
            limits = mask.astype("float32"), (there > _SHOWN).astype("float32")
            arguments = fixed, moving, displacement, *limits, *keys, np.float32(self.threshold)
            displacement, before, after = prepared(run, *arguments, clock=clock)
            log.append((float(before), float(after), clock.seconds - begin))
        return keras_ops.convert_to_numpy(displacement), log


def _report(shape: Sequence[int], parts: Sequence[tuple[float, float, float]]) -> LevelReport:
    before, after, seconds = (np.array(values) for values in zip(*parts, strict=True))
    ones = np.ones(len(before), int)
    return LevelReport("matching", tuple(shape), ones, before, after, float(seconds.sum()))


def _driving(
    distinct: np.ndarray, allowed: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices of the most distinctive voxels, and which of them drive: a share of those that
    are allowed, and none that looks like its neighbours.

    There are as many for every pair of a size, else each would be compiled anew.
    """
    values = np.where(allowed, distinct, -1).ravel()
    count, wanted = (max(int(share * n), 1) for n in (values.size, allowed.sum()))
    keys = np.argpartition(values, values.size - count)[-count:]
    keys = keys[np.argsort(-values[keys], kind="stable")]
    drives = (np.arange(count) < wanted) & (values[keys] > 0)
    order = np.argsort(keys)
    return keys[order].astype("int32"), drives[order].astype("float32")


@forgettable
@functools.cache
def _distinct() -> Callable:
    return ops.compiled(distinctiveness, identity="matching distinctiveness")


@forgettable
@functools.cache
def _moved() -> Callable:
    """Compiled: how distinctive the voxels of the moved image are, and where it is shown."""

    def run(distinct: Any, shown: Any, displacement: Any) -> tuple[Any, Any]:
        there = ops.resample(shown, displacement, mode="constant")
        return ops.resample(distinct, displacement), there

    return ops.compiled(run, identity="matching moved")


@forgettable
@functools.lru_cache(maxsize=32)
def _search(radius: int, stride: int, sigma: float, nearer: float) -> Callable:
    """Compiled: one round.

    A function ``(fixed, moving, displacement, mask, shown, keys, drive, others, others_drive,
    threshold) -> (displacement, mean square of the differences before, after)``: ``mask`` and
    ``shown`` are 1 where a voxel of the fixed and of the moved image may be found, ``keys`` and
    ``others`` those that are looked for, where ``drive`` is 1.
    """

    def run(
        fixed: Any,
        moving: Any,
        displacement: Any,
        mask: Any,
        shown: Any,
        keys: Any,
        drive: Any,
        others: Any,
        others_drive: Any,
        threshold: Any,
    ) -> tuple[Any, Any, Any]:
        shape = fixed.shape[1:-1]
        moved = ops.resample(moving, displacement, image_gradient=False)
        here, there = unit(fixed)[0], unit(moved)[0]
        found, alike = found_again(here, there, keys, radius, stride, nearer)
        # Back: where a voxel of the moved image lies in the fixed one; the map is the other way.
        back, alike_back = found_again(there, here, others, radius, stride, nearer)
        ends = _at(keys, found, shape), _at(others, back, shape)
        drive = drive * gather(keras_ops.reshape(shown, (-1,)), ends[0])
        others_drive = others_drive * gather(keras_ops.reshape(mask, (-1,)), ends[1])
        places = keras_ops.concatenate([keys, ends[1]])
        offsets = keras_ops.concatenate([found, -back])
        weights = keras_ops.relu(keras_ops.concatenate([alike, alike_back]) - threshold)
        weights = weights * keras_ops.concatenate([drive, others_drive])
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
