"""Diffeomorphic demons of images or of many channels: one compiled loop per level."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.errors import InputError
from tfreg.losses.means import mean
from tfreg.ops.backend import held
from tfreg.ops.grid import identity_grid
from tfreg.ops.separable import apply_per_axis
from tfreg.registration import job
from tfreg.registration.answer import LevelReport, Registration
from tfreg.registration.channels import Features
from tfreg.registration.described.ends import (
    concluded,
    described,
    prepared,
    started,
    unit_weights,
)
from tfreg.registration.described.force import GRADIENTS, force, smoothed, squarings
from tfreg.registration.images import Pair
from tfreg.registration.instance.arguments import check_content, start_of
from tfreg.registration.instance.engine import Clock
from tfreg.registration.instance.level import forgettable, shrink
from tfreg.registration.space.physical import PhysicalRegistration

SHRINK, STEPS = (4, 2, 1), 50
_COARSEST = 12  # voxels along each axis that a level must have


def demons(
    fixed: Any,
    moving: Any,
    *,
    features: Features | None = None,
    shrink: Sequence[int] = SHRINK,
    steps: int | Sequence[int] = STEPS,
    sigma: float = 1.0,
    update_sigma: float = 0.0,
    step_length: float = 0.5,
    gradient: str = "symmetric",
    tolerance: float = 0.0,
    spacing: Sequence[float] | None = None,
    fixed_mask: Any = None,
    start: Any = None,
    initial: Any = "geometry",
    ndim: int | None = None,
    channels: bool = False,
) -> Registration | PhysicalRegistration:
    """Diffeomorphic demons: ``u <- G (u o exp(v))``, ``v`` the mean of the forces of all channels.

    Args:
        fixed, moving: as :func:`tfreg.registration.register` takes them.
        features: channels in the place of intensities.
        shrink: of the images at each level, coarse to fine, each a multiple of the next; levels on
            which an axis has less than 12 voxels are left out, but for the last one.
        steps: of each level, or one number for all.
        sigma: of the Gaussian ``G`` that smooths the displacement after each step, in voxels of the
            level.
        update_sigma: of one that smooths each update before.
        step_length: largest step, in voxels of the level (of voxels that are no cubes in units of
            the root of the mean square of their edges).
        gradient: ``"symmetric"`` (of both images), ``"fixed"`` or ``"moved"``.
        tolerance: of the root mean square of the last update, in voxels, below which a level ends,
            of a batch that of all its pairs; 0: it takes all steps.
        fixed_mask: where forces act and channels are compared, weights ``>= 0`` of the shape of
            ``fixed``.
        spacing, start, initial, ndim, channels: as in :func:`tfreg.registration.register`. A start
            is left as it is, and what is found comes before it.

    Returns:
        The answer; where the channels became less alike, it is the start, and ``accepted`` says so.

    Raises:
        InputError: on values or images that cannot be registered.

    Example:

    >>> import numpy as np
    >>> from tfreg.registration import demons
    >>> y, x = np.mgrid[:32, :32]
    >>> disc = 1 / (1 + np.exp(((y - 15) ** 2 + (x - 15) ** 2 - 60) / 20))
    >>> answer = demons(disc, np.roll(disc, 2, axis=1), shrink=(1,))
    >>> round(float(answer.displacement[15, 7, 1]))
    2

    Reference:
        T. Vercauteren, X. Pennec, A. Perchant and N. Ayache, Diffeomorphic demons: efficient
        non-parametric image registration, NeuroImage 45(1), 2009.
    """
    counts = tuple(steps) if isinstance(steps, (list, tuple)) else (steps,) * len(tuple(shrink))
    method = Demons(
        features, tuple(shrink), counts, sigma, update_sigma, step_length, gradient, tolerance
    )
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
class Demons:
    """How :func:`demons` registers, which says what the attributes are.

    Raises:
        InputError: on a value that no pair could be registered with.
    """

    features: Features | None = None
    shrink: tuple[int, ...] = SHRINK
    steps: tuple[int, ...] = (STEPS,) * len(SHRINK)
    sigma: float = 1.0
    update_sigma: float = 0.0
    step_length: float = 0.5
    gradient: str = "symmetric"
    tolerance: float = 0.0
    model: ClassVar[None] = None  # it refines no network
    refinement: ClassVar[None] = None

    def __post_init__(self) -> None:
        if self.features is not None and not isinstance(self.features, Features):
            raise InputError(f"features must be Features. Received: features={self.features!r}")
        whole = all(isinstance(n, (int, np.integer)) for n in (*self.shrink, *self.steps))
        if not whole or not self.shrink or min(*self.shrink, *self.steps, 1) < 1:
            raise InputError(
                "shrink and steps must be positive integers. "
                f"Received: shrink={self.shrink}, steps={self.steps}"
            )
        finer = zip(self.shrink, self.shrink[1:], strict=False)
        if len(self.steps) != len(self.shrink) or any(a % b for a, b in finer):
            raise InputError(
                "There must be steps for each level, and each must divide the shrink factor of the "
                f"one before. Received: shrink={self.shrink}, steps={self.steps}"
            )
        for name in ("sigma", "update_sigma", "tolerance"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise InputError(f"{name} must be 0 or more. Received: {name}={value}")
        if not 0 < self.step_length <= 8:
            raise InputError(
                "step_length must be above 0 and at most 8 voxels. "
                f"Received: step_length={self.step_length}"
            )
        if self.gradient not in GRADIENTS:
            raise InputError(
                f"gradient must be one of {GRADIENTS}. Received: gradient={self.gradient!r}"
            )

    def levels(self, shape: Sequence[int]) -> list[tuple[int, int]]:
        """Factor and steps of the levels that fit an image, coarse to fine."""
        found = list(zip(self.shrink, self.steps, strict=True))
        fitting = [one for one in found[:-1] if min(shape) // one[0] >= _COARSEST]
        return [*fitting, found[-1]]

    def __call__(self, pair: Pair) -> Registration:
        """Registers a batch of pairs.

        Raises:
            InputError: on images that cannot be registered.
        """
        clock = Clock()
        check_content(pair.arrays)
        fixed, moving = described(pair, self.features)
        batch, shape, ndim = len(fixed), pair.shape, pair.ndim
        start = start_of(pair.start, batch, shape, ndim)
        data, begun = {"fixed": fixed, "moving": moving}, moving.shape[1:-1] != shape
        if start is not None or begun:
            start = np.zeros((batch, *shape, ndim), "float32") if start is None else start
            data["moving"], data["shown"] = prepared(started(), moving, start, clock=clock)
        weight = unit_weights(pair.fixed_mask)
        if weight is not None:
            data["weight"] = weight
        displacement, factor, reports = None, None, []
        for each, steps in self.levels(shape):
            begin, arrays = clock.seconds, tuple(data.values())
            if each > 1:
                arrays = prepared(shrink((each,) * ndim, 0.0), *arrays, clock=clock)
            small = tuple(arrays[0].shape[1:-1])
            if displacement is None:
                displacement = np.zeros((batch, *small, ndim), "float32")
            else:
                finer = _finer(small, factor, each)
                displacement = prepared(finer, displacement, clock=clock)
            how = self.sigma, self.update_sigma, self.step_length, self.gradient
            run = _loop(pair.spacing, *how, tuple(data)[2:])
            settings = displacement, *arrays
            clock.prepare([(run, (np.int32(0), np.float32(0), *settings))])
            displacement, before, after, taken = run(
                np.int32(steps), np.float32(self.tolerance), *settings
            )
            values = (np.asarray(keras_ops.convert_to_numpy(v)) for v in (before, after))
            count = np.full(batch, int(taken))
            reports.append(LevelReport("demons", small, count, *values, clock.seconds - begin))
            factor = each
        if factor > 1:
            displacement = prepared(_finer(shape, factor, 1), displacement, clock=clock)
        seen, levels = (fixed, moving), tuple(reports)
        return concluded(pair, seen, displacement, start, self.features, "demons", levels, clock)


@forgettable
@functools.lru_cache(maxsize=8)
def _loop(
    spacing: tuple[float, ...],
    sigma: float,
    update_sigma: float,
    step_length: float,
    gradient: str,
    names: tuple[str, ...],
) -> Callable:
    """Compiled: all steps of a level.

    A function ``(steps, tolerance, displacement, fixed, moving, *masks) -> (displacement, mean
    square of the differences before, after, steps taken)``. Of the masks that ``names`` lists
    ``"shown"`` is 1 where the moving image is, and ``"weight"`` where forces act.
    """
    halvings = squarings(step_length)

    def run(steps: Any, tolerance: Any, start: Any, fixed: Any, moving: Any, *masks: Any) -> tuple:
        known = dict(zip(names, masks, strict=True))
        weight = known.get("weight", 1.0)
        least, most = 0.0, [float(n) - 1 for n in moving.shape[1:-1]]
        grid = identity_grid(fixed.shape[1:-1])

        def moved_by(displacement: Any) -> Any:
            return ops.resample(moving, displacement, image_gradient=False)

        def unlike(displacement: Any) -> Any:
            return mean(weight * keras_ops.square(fixed - moved_by(displacement)))

        def step(count: Any, displacement: Any, change: Any) -> tuple:
            moved = held(moved_by, fixed, displacement)
            update = force(fixed, moved, spacing, step_length, gradient)
            where = grid + displacement
            inside = keras_ops.all((where >= least) & (where <= most), axis=-1, keepdims=True)
            update = update * weight * keras_ops.cast(inside, update.dtype)
            if "shown" in known:
                there = ops.resample(known["shown"], displacement, image_gradient=False)
                update = update * there
            if update_sigma:
                update = smoothed(update, update_sigma)
            change = keras_ops.sqrt(keras_ops.max(mean(update * update))) * math.sqrt(len(spacing))
            update = held(lambda u: ops.exponential(u, halvings), displacement, update)
            displacement = held(lambda u, v: ops.compose(u, v), displacement, displacement, update)
            return count + 1, smoothed(displacement, sigma), change

        def unfinished(count: Any, displacement: Any, change: Any) -> Any:
            return keras_ops.logical_and(count < steps, change >= tolerance)

        begin = (keras_ops.zeros((), "int32"), start, tolerance)
        count, displacement, _ = keras_ops.while_loop(unfinished, step, begin)
        return displacement, unlike(start), unlike(displacement), count

    how = f"{spacing} {sigma} {update_sigma} {step_length} {gradient} {names}"
    return ops.compiled(run, identity=f"demons {how}")


@forgettable
@functools.lru_cache(maxsize=64)
def _finer(shape: tuple[int, ...], coarse: int, fine: int) -> Callable:
    """Compiled: a displacement of a level on the grid of a finer one, in its voxels."""

    def run(displacement: Any) -> Any:
        old = displacement.shape[1:-1]
        matrices = [_linear(n, o, coarse, fine) for n, o in zip(shape, old, strict=True)]
        return apply_per_axis(displacement, matrices) * (coarse / fine)

    return ops.compiled(run, identity=f"demons finer {shape} {coarse} {fine}")


def _linear(size: int, old: int, coarse: int, fine: int) -> np.ndarray:
    """``(size, old)``: linear between the voxels of the coarser level, constant beyond them."""
    places = (np.arange(size) + 0.5) * (fine / coarse) - 0.5
    places = np.clip(places, 0, old - 1)
    below = np.minimum(places.astype(int), max(old - 2, 0))
    matrix = np.zeros((size, old))
    rows = np.arange(size)
    matrix[rows, below] = 1 - (places - below)
    np.add.at(matrix, (rows, np.minimum(below + 1, old - 1)), places - below)
    return matrix
