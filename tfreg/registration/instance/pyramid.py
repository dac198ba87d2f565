"""The schedule of an instance optimisation: levels from coarse to fine, and named settings."""

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tfreg.errors import InputError
from tfreg.registration.instance.similarity import as_similarity, depth, names_of
from tfreg.registration.kinds import LINEAR, OPTIMISERS, TRANSFORMS

SETTINGS = ("fast", "default", "accurate")
_SMALLEST = 24  # no level is made whose finest shrunk axis would have fewer voxels
_ENOUGH = 64**2  # nor one below a level of so few voxels: it would add nothing
_MOST_LEVELS = 4
# Voxels from which "fast" does without the finest level; of linear transforms times channels.
_MANY = 2**20
_GRID = 4  # voxels of a level between control points


@dataclass(frozen=True)
class _Setting:
    """Steps on coarser levels and on the finest, and its learning rate.

    Chosen on validation patients (run optimise-cine --split validation) and phantoms.
    """

    coarse: int
    fine: int
    learning_rate: float = 0.5


_FREE_FORM = {
    "fast": _Setting(20, 10, 0.7),
    "default": _Setting(40, 20),
    "accurate": _Setting(100, 60),
}
# Steps from a network's answer, chosen on validation patients of cine MRI: with a weight of 0.1
# Dice is the same within 0.002, but twice as many pixels fold.
_REFINEMENT = {"fast": 30, "default": 60, "accurate": 120}
_REFINEMENT_WEIGHT = 0.3
# Steps on the finest level of large volumes, where the time goes. On validation pairs of
# `tfreg.data.breathing` three times as many take an eighth (local NCC) to a fifth off the error.
_FINEST = {"default": 20, "accurate": 60}
_LDDMM = {"fast": _Setting(10, 5), "default": _Setting(20, 10), "accurate": _Setting(50, 30)}
# Weights of a path's energy: beside the mean square difference of images in [0, 1] that of
# Quicksilver, |I - T|^2 / (2 sigma^2) with sigma = 0.2. By the overlap of labels of validation
# pairs that of NCC was chosen among 0.08, 0.25 and 0.8 (slices of brains), that of LNCC among 1, 3
# and 10 (hippocampi); those of the others, and of sums, follow LNCC's.
_LDDMM_WEIGHTS = {"mse": 2 * 0.2**2, "ncc": 0.8}
_LDDMM_WEIGHT = 3.0
_LINEAR = {"fast": _Setting(40, 10), "default": _Setting(80, 20), "accurate": _Setting(160, 80)}


def _is_finite(value: Any) -> bool:
    return isinstance(value, numbers.Real) and math.isfinite(value)


@dataclass(frozen=True)
class Level:
    """One level of a pyramid.

    Attributes:
        shrink: down-sampling factor per axis, or one for all; both images are smoothed against
            aliasing first.
        smoothing: standard deviation of a further Gaussian, in voxels of this level.
        grid_spacing: distance of control points, in the unit of the images' spacing (mm, or
            voxels); rounded to whole voxels of the level; ``None``: 4 voxels of it. Of B-splines
            and velocities only.
        steps: most steps of the optimiser; of L-BFGS evaluations.
        learning_rate: Adam's step, in voxels of this level: by about so much a step moves a
            control point, or the border of the image under a linear transform. Of the others the
            first step: by so much it changes the parameter that changes most. Momenta count in
            the voxels by which they would move points if they were constant.
        decay: what is left of the learning rate at the last step; it falls along a cosine. L-BFGS
            has none, since it looks for the length of each step.
        weight: weight of the regulariser, which is dimensionless, beside the similarity. Linear
            transforms have none.
        optimiser: ``"adam"``, ``"lbfgs"``, or ``"descent"``, steps along the gradient whose
            length stands in a fixed proportion to it; ``None``: L-BFGS for momenta, else Adam.

    Raises:
        InputError: on a value out of range.

    Example:

    >>> from tfreg.registration import Level, Pyramid
    >>> Pyramid((Level(shrink=2, steps=30), Level(grid_spacing=4.0, steps=10))).levels[0].steps
    30
    """

    shrink: int | tuple[int, ...] = 1
    smoothing: float = 0.0
    grid_spacing: float | None = None
    steps: int = 50
    learning_rate: float = 0.5
    decay: float = 0.1
    weight: float = 0.1
    optimiser: str | None = None

    def __post_init__(self) -> None:
        shrink = self.shrink if isinstance(self.shrink, tuple) else (self.shrink,)
        if any(isinstance(f, bool) or not isinstance(f, int) or f < 1 for f in shrink):
            raise InputError(
                f"shrink must be a positive integer or a tuple of such. Received: {self.shrink!r}"
            )
        whole = isinstance(self.steps, numbers.Integral) and not isinstance(self.steps, bool)
        if not whole or self.steps < 0:
            raise InputError(f"steps must be an integer, 0 or more. Received: steps={self.steps}")
        if not (_is_finite(self.decay) and 0 <= self.decay <= 1):
            raise InputError(f"decay must be 0 to 1. Received: decay={self.decay}")
        if self.optimiser is not None and self.optimiser not in OPTIMISERS:
            raise InputError(
                f"optimiser must be one of {OPTIMISERS} or None. Received: {self.optimiser!r}"
            )
        for name in ("smoothing", "weight"):
            value = getattr(self, name)
            if not (_is_finite(value) and value >= 0):
                raise InputError(f"{name} must be 0 or more. Received: {name}={value}")
        for name in ("learning_rate", "grid_spacing"):
            value = getattr(self, name)
            if value is None and name == "grid_spacing":
                continue
            if not (_is_finite(value) and value > 0):
                raise InputError(f"{name} must be positive. Received: {name}={value}")

    def optimiser_of(self, transform: str) -> str:
        """That of the level, or else of the transform."""
        return self.optimiser or ("lbfgs" if transform == "lddmm" else "adam")

    def shrink_of(self, ndim: int) -> tuple[int, ...]:
        """The factor per axis."""
        factors = self.shrink if isinstance(self.shrink, tuple) else (self.shrink,) * ndim
        if len(factors) != ndim:
            raise InputError(f"shrink must have {ndim} factors. Received: shrink={self.shrink}")
        return factors


@dataclass(frozen=True)
class Pyramid:
    """Levels in the order in which they run, coarse to fine.

    Attributes:
        levels: the levels.
        tolerance: a pair leaves a level early when its loss improved by less than this over 20
            steps; 0 runs all steps.

    Raises:
        InputError: on no level, or a tolerance out of range.
    """

    levels: tuple[Level, ...]
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if not self.levels or not all(isinstance(level, Level) for level in self.levels):
            raise InputError(f"levels must be one Level or more. Received: levels={self.levels}")
        if not (_is_finite(self.tolerance) and self.tolerance >= 0):
            raise InputError(f"tolerance must be 0 or more. Received: tolerance={self.tolerance}")


@dataclass(frozen=True)
class Schedule:
    """A named pyramid with another weight, made when the size of the images is known.

    Attributes:
        setting: ``"fast"``, ``"default"`` or ``"accurate"``.
        weight: of the regulariser of what bends.

    Raises:
        InputError: on an unknown setting, or a weight out of range.
    """

    setting: str
    weight: float

    def __post_init__(self) -> None:
        if self.setting not in SETTINGS:
            raise InputError(
                f"pyramid must be one of {SETTINGS} or a Pyramid. Received: {self.setting}"
            )
        Level(weight=self.weight)

    def pyramid(
        self, transform: str, shape: Sequence[int], spacing: Sequence[float], similarity: Any
    ) -> Pyramid:
        """:func:`pyramid` of a transform, with the weight where it bends."""
        found = pyramid(self.setting, transform, shape, spacing, similarity)
        if transform in LINEAR:
            return found
        return replace(found, levels=tuple(replace(k, weight=self.weight) for k in found.levels))


def pyramid(
    setting: str,
    transform: str,
    shape: Sequence[int],
    spacing: Sequence[float],
    similarity: Any = "mse",
) -> Pyramid:
    """The levels behind a named setting, for images of a size and spacing.

    Each level halves the resolution of the next, first along the axes with the smallest voxels,
    until the voxels are as isotropic as factors of two allow. Small images have one or two levels,
    large volumes up to four. From 2^20 voxels on ``"fast"`` leaves the finest out, and linear
    transforms from 2^20 values on, voxels times what the similarity sees of each: 12 or 13 with
    MIND.

    Args:
        setting: ``"fast"``, ``"default"`` or ``"accurate"``.
        transform: the name of one transform, as in :func:`tfreg.registration.register`.
        shape: spatial shape of the fixed image.
        spacing: size of its voxels.
        similarity: beside which the weight stands. It decides the weight of ``"lddmm"``, and with
            MIND whether a linear transform has the finest level; one of your own counts as
            ``"ncc"``.

    Returns:
        A pyramid, to use as it is or to change with ``dataclasses.replace``.

    Raises:
        InputError: on an unknown setting, transform or similarity, or a shape and spacing that do
            not fit.

    Example:

    >>> from tfreg.registration import pyramid
    >>> levels = pyramid("fast", "bspline", (64, 128, 128), (2.5, 1, 1)).levels
    >>> [level.shrink for level in levels]
    [(1, 4, 4), (1, 2, 2), (1, 1, 1)]
    """
    if setting not in SETTINGS:
        raise InputError(f"pyramid must be one of {SETTINGS} or a Pyramid. Received: {setting}")
    if transform not in TRANSFORMS:
        raise InputError(f"transform must be one of {TRANSFORMS}. Received: transform={transform}")
    names = names_of(as_similarity(similarity)) or ("ncc",)
    if len(shape) != len(spacing) or not all(_is_finite(s) and s > 0 for s in spacing):
        raise InputError(
            f"spacing must be {len(shape)} positive numbers. Received: spacing={spacing}"
        )
    linear = transform in LINEAR
    geodesic = transform == "lddmm"
    chosen = (_LINEAR if linear else _LDDMM if geodesic else _FREE_FORM)[setting]
    octaves = _octaves(shape, spacing)
    # A linear transform has few parameters: many channels tell it no more than many voxels do.
    seen = math.prod(shape) * (depth(as_similarity(similarity), 1, len(shape)) if linear else 1)
    if (linear or setting == "fast") and len(octaves) > 1 and seen > _MANY:
        octaves = octaves[1:]
    weight = 0.0 if linear else 0.1
    if geodesic:
        weight = _LDDMM_WEIGHTS.get(names[0], _LDDMM_WEIGHT) if len(names) == 1 else _LDDMM_WEIGHT
    levels = [
        Level(
            shrink=factors,
            grid_spacing=_GRID * edge if transform in ("bspline", "velocity") else None,
            # A level that is alone has all the way to go.
            steps=chosen.coarse if index or len(octaves) == 1 else chosen.fine,
            learning_rate=chosen.learning_rate,
            decay=1.0 if index and not linear else 0.2,
            weight=weight,
        )
        for index, (factors, edge) in enumerate(octaves)
    ]
    return Pyramid(tuple(reversed(levels)))


def refining(setting: str, shape: Sequence[int], spacing: Sequence[float] | None = None) -> Pyramid:
    """The B-spline that refines the answer of a network, which spares the coarser levels.

    Args:
        setting: ``"fast"``, ``"default"`` or ``"accurate"``.
        shape: spatial shape of the images.
        spacing: size of their voxels; ``None``: cubes.

    Returns:
        The finest level of :func:`pyramid` alone, of volumes the two finest, of large volumes with
        fewer steps on the finest.

    Raises:
        InputError: on an unknown setting.
    """
    levels = pyramid(setting, "bspline", shape, spacing or (1.0,) * len(shape)).levels
    changes = {"learning_rate": 0.5, "weight": _REFINEMENT_WEIGHT, "steps": _REFINEMENT[setting]}
    # A coarser level takes an eighth of the time in a volume, and spares the finest large steps.
    kept = levels[-2:] if len(shape) == 3 else levels[-1:]
    refined = [replace(level, **changes) for level in kept]
    if len(shape) == 3 and math.prod(shape) > _MANY and setting in _FINEST:
        refined[-1] = replace(refined[-1], steps=_FINEST[setting])
    return Pyramid(tuple(refined))


def _octaves(shape: Sequence[int], spacing: Sequence[float]) -> list[tuple[tuple[int, ...], float]]:
    """Shrink factors of the levels, fine to coarse, and the edge of the voxel each aims at."""
    found, voxels = [], math.inf
    for octave in range(_MOST_LEVELS):
        edge = min(spacing) * 2**octave
        factors = tuple(2 ** max(0, int(math.log2(edge / s + 1e-6))) for s in spacing)
        sizes = [n / f for n, f in zip(shape, factors, strict=True)]
        shrunk = [n for n, f in zip(sizes, factors, strict=True) if f > 1]
        if octave and (min(shrunk) < _SMALLEST or voxels <= _ENOUGH):
            break
        voxels = math.prod(sizes)
        found.append((factors, edge))
    return found
