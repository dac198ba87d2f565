"""Registration without a network: a transform optimised on the pair at hand, coarse to fine."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.errors import InputError
from tfreg.registration import level as levels
from tfreg.registration.answer import LevelReport, Registration
from tfreg.registration.images import as_image
from tfreg.registration.memory import check_memory
from tfreg.registration.pyramid import Level, Pyramid
from tfreg.registration.pyramid import pyramid as named_pyramid
from tfreg.registration.similarity import VOXELWISE, scaled_for, similarity_of
from tfreg.registration.transforms import LINEAR, TRANSFORMS, Grid, transform_of

# A pair whose compiled functions exist for its shapes pays no compilation.
_compiled: set[tuple] = set()


def register(
    fixed: Any,
    moving: Any,
    transform: str | Sequence[str] = "bspline",
    *,
    spacing: Sequence[float] | None = None,
    similarity: str = "ncc",
    regulariser: str | None = "bending",
    pyramid: str | Pyramid | Sequence[Pyramid] = "default",
    fixed_mask: Any = None,
    moving_mask: Any = None,
    start: Any = None,
    samples: int | None = None,
    seed: int = 0,
    ndim: int | None = None,
    progress: Callable[[LevelReport], Any] | None = None,
) -> Registration:
    """Finds the map that makes a moving image most similar to a fixed one.

    ``min_p -S(f(x), m(x + u_p(x))) + w R(p)`` by Adam, level by level from coarse to fine, each
    level one compiled loop over the whole batch. Compiled functions are kept per shape: a second
    pair of the same size pays nothing.

    Args:
        fixed: one image ``(*spatial,)``; with ``ndim`` also a batch ``(batch, *spatial)``, of any
            real dtype and intensity range.
        moving: as ``fixed``; its spatial shape may differ, its voxels have the same size.
        transform: ``"translation"``, ``"rigid"``, ``"similarity"``, ``"affine"``, ``"bspline"``
            (cubic), ``"dense"`` (a displacement per voxel) or ``"velocity"`` (stationary, cubic
            spline); or several in sequence, such as ``["affine", "bspline"]``: each starts where
            the one before ended, displacements add up, a velocity's map is applied first.
        spacing: size of a voxel per axis, in mm or any unit, array-axis order; default 1 each.
        similarity: ``"ncc"``, ``"lncc"``, ``"mi"`` or ``"ngf"`` (different modalities; NGF as minus
            its distance), or ``"mse"`` (minus the MSE of intensities scaled to [0, 1]).
        regulariser: ``"bending"``, ``"diffusion"`` or ``None``; of control points in units of their
            cells. Linear transforms have none.
        pyramid: ``"fast"``, ``"default"`` or ``"accurate"``, or a :class:`Pyramid`; for a sequence
            of transforms one for all or one per transform.
        fixed_mask: weights ``>= 0`` of the shape of ``fixed``: where the similarity looks.
        moving_mask: the same for ``moving``; then what lies outside the moving image does not count
            either. Without it, the moving image continues as at its border.
        start: where to start: a displacement ``(*spatial, ndim)`` in voxels (of a batch with its
            axis), a matrix ``(ndim, ndim + 1)`` from fixed to moving voxels, or a `Registration`,
            such as a network's answer. Default: no displacement.
        samples: number of voxels of the fixed image that the similarity looks at per level, drawn
            at random once, for large volumes; ``None`` for all. For ncc, mi and mse.
        seed: seed of that draw. On one machine, repeated runs are equal to the bit.
        ndim: 2 or 3; needed for batches only.
        progress: called with a :class:`LevelReport` after each level.

    Returns:
        The answer. Where the similarity would have got worse, it is the start, and
        ``answer.accepted`` says so.

    Raises:
        InputError: on input that cannot be registered: shapes that do not fit, values that are not
            finite, constant images, masks without a voxel, a start without overlap, images smaller
            than a level can be, or not enough memory.

    Example:

    >>> import numpy as np
    >>> from tfreg.registration import register
    >>> y, x = np.mgrid[:32, :32]
    >>> disc = ((y - 15) ** 2 + (x - 15) ** 2 < 60).astype("float32")
    >>> answer = register(disc, np.roll(disc, 2, axis=1), "translation")
    >>> [round(float(v), 1) + 0.0 for v in answer.displacement[16, 16]]
    [0.0, 2.0]

    Reference:
        Klein, Staring and Pluim, Evaluation of optimization methods for nonrigid medical image
        registration using mutual information and B-splines, IEEE TIP 16(12), 2007.
    """
    kinds = _kinds(transform)
    ndim = _ndim(fixed, spacing, ndim)
    images = {"fixed": as_image(fixed, ndim, "fixed"), "moving": as_image(moving, ndim, "moving")}
    batch, single = len(images["fixed"]), np.ndim(fixed) == ndim
    if len(images["moving"]) != batch:
        raise InputError(
            "fixed and moving must be batches of one length. "
            f"Received: {batch} and {len(images['moving'])}"
        )
    for name, mask in (("fixed_mask", fixed_mask), ("moving_mask", moving_mask)):
        if mask is not None:
            images[name] = _mask(mask, name, images[name.removesuffix("_mask")], ndim)
    _check_content(images)
    shape = images["fixed"].shape[1:-1]
    spacing = _spacing(spacing, ndim)
    similarity_of(similarity)
    if regulariser not in ("bending", "diffusion", None):
        raise InputError(
            f"regulariser must be bending, diffusion or None. Received: regulariser={regulariser}"
        )
    pyramids = _pyramids(pyramid, kinds, shape, spacing)
    _check_samples(samples, similarity, shape)
    check_memory(images, kinds, pyramids)
    displacement = _start(start, batch, shape, ndim)
    _check_overlap(displacement, images)

    clock = _Clock()
    reports: list[LevelReport] = []
    units = {
        **images,
        "fixed": scaled_for(similarity, images["fixed"]),
        "moving": scaled_for(similarity, images["moving"]),
    }
    first = accepted = None
    for kind, stage in zip(kinds, pyramids, strict=True):
        full = Grid(shape, (1,) * ndim, spacing)
        problem = parameters = None
        for step in stage.levels:
            grid = Grid(shape, step.shrink_of(ndim), spacing)
            finer = levels.Problem(
                transform_of(kind, grid, step.grid_spacing),
                similarity,
                None if kind in LINEAR else regulariser,
                "fixed_mask" in images,
                "moving_mask" in images,
                displacement is not None,
                samples is not None,
            )
            if parameters is None:
                parameters = finer.transform.start(batch)
            else:
                move = levels.refinement(problem.transform, finer.transform)
                parameters = clock.run(("refine", problem, finer), move, parameters)
            problem = finer
            parameters, report = _descend(
                problem,
                step,
                stage.tolerance,
                parameters,
                units,
                displacement,
                samples,
                seed,
                clock,
            )
            reports.append(report)
            if progress is not None:
                progress(report)
        data = {**units, "raw": images["moving"]}
        if displacement is not None:
            data["start"] = displacement
        whole = replace(problem, sampled=False)
        names = tuple(data)
        finish = levels.conclusion(whole, full, names)
        answer = clock.run(("finish", whole, names), finish, parameters, *data.values())
        displacement, before, after, better, moved = answer
        first = before if first is None else first
        accepted = better if accepted is None else keras_ops.logical_or(accepted, better)

    arrays = (displacement, first, after, accepted, moved)
    displacement, first, after, accepted, moved = map(keras_ops.convert_to_numpy, arrays)
    take = (lambda array: array[0]) if single else (lambda array: array)
    return Registration(
        fixed=take(images["fixed"][..., 0]),
        moving=take(images["moving"][..., 0]),
        moved=take(moved[..., 0]),
        displacement=take(displacement),
        similarity_before=float(first[0]) if single else first,
        similarity_after=float(after[0]) if single else after,
        seconds=clock.seconds,
        compile_seconds=clock.compile_seconds,
        similarity=similarity,
        accepted=bool(accepted[0]) if single else accepted,
        levels=tuple(reports),
    )


def _descend(
    problem: levels.Problem,
    step: Level,
    tolerance: float,
    parameters: Any,
    images: dict[str, np.ndarray],
    start: Any,
    samples: int | None,
    seed: int,
    clock: "_Clock",
) -> tuple[Any, LevelReport]:
    """Runs one level."""
    grid = problem.transform.grid
    begin = clock.seconds
    data = dict(images)
    if max(grid.shrink) > 1 or step.smoothing:
        small = levels.shrink(grid.shrink, float(step.smoothing))
        key = ("shrink", grid.shrink, float(step.smoothing), *data)
        data = dict(zip(data, clock.run(key, small, *data.values()), strict=True))
    if start is not None:
        data["start"] = start
        if max(grid.shrink) > 1:
            small = levels.shrink_displacement(grid.shrink)
            data["start"] = clock.run(("start", grid.shrink), small, start)
    if samples is not None:
        voxels = int(np.prod(grid.shape))
        rng = np.random.default_rng([seed, *grid.shrink])
        chosen = rng.choice(voxels, min(samples, voxels), replace=False)
        data["voxels"] = np.sort(chosen).astype("int32")
    run = levels.descent(problem, tuple(data))
    settings = (np.float32(step.learning_rate), np.float32(step.decay), np.float32(tolerance))
    arguments = (*settings, parameters, np.float32(step.weight), *data.values())
    # No step at all compiles the loop.
    clock.warm(("descent", problem, *data), run, np.int32(0), *arguments)
    answer = clock.run(("descent", problem, *data), run, np.int32(step.steps), *arguments)
    parameters, after, before, taken = answer
    report = LevelReport(
        transform=getattr(problem.transform, "kind", ""),
        shape=grid.shape,
        steps=keras_ops.convert_to_numpy(taken),
        loss_before=keras_ops.convert_to_numpy(before),
        loss_after=keras_ops.convert_to_numpy(after),
        seconds=clock.seconds - begin,
    )
    return parameters, report


class _Clock:
    """Runs compiled functions and keeps the time of compiling apart."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.compile_seconds = 0.0

    def run(self, key: tuple, function: Callable, *arguments: Any) -> Any:
        self.warm(key, function, *arguments)
        begin = time.perf_counter()
        answer = _finished(function(*arguments))
        self.seconds += time.perf_counter() - begin
        return answer

    def warm(self, key: tuple, function: Callable, *arguments: Any) -> None:
        """Calls the function once if it was not compiled for these shapes yet."""
        key = (*key, *(np.shape(a) for a in arguments))
        if key in _compiled:
            return
        begin = time.perf_counter()
        _finished(function(*arguments))
        self.compile_seconds += time.perf_counter() - begin
        _compiled.add(key)


def _finished(answer: Any) -> Any:
    """Waits for what the backend may still be computing."""
    for part in answer if isinstance(answer, tuple) else (answer,):
        if hasattr(part, "block_until_ready"):
            part.block_until_ready()
    return answer


def _kinds(transform: str | Sequence[str]) -> tuple[str, ...]:
    kinds = (transform,) if isinstance(transform, str) else tuple(transform)
    if not kinds or any(kind not in TRANSFORMS for kind in kinds):
        raise InputError(f"transform must be of {TRANSFORMS}. Received: transform={transform}")
    return kinds


def _ndim(fixed: Any, spacing: Any, ndim: int | None) -> int:
    if ndim is None:
        ndim = len(spacing) if spacing is not None else np.ndim(fixed)
        if np.ndim(fixed) == 4:
            raise InputError("A batch needs ndim=2 or ndim=3. Received: a 4-D array")
    if ndim not in (2, 3):
        raise InputError(f"Images are 2-D or 3-D. Received: {ndim} axes")
    return ndim


def _spacing(spacing: Any, ndim: int) -> tuple[float, ...]:
    if spacing is None:
        return (1.0,) * ndim
    values = tuple(float(s) for s in spacing)
    if len(values) != ndim or not all(np.isfinite(s) and s > 0 for s in values):
        raise InputError(f"spacing must be {ndim} positive numbers. Received: spacing={spacing}")
    return values


def _mask(mask: Any, name: str, image: np.ndarray, ndim: int) -> np.ndarray:
    array = as_image(mask, ndim, name)
    if array.shape[1:] != image.shape[1:] or len(array) not in (1, len(image)):
        raise InputError(
            f"{name} must have the shape of its image. "
            f"Received: {array.shape[1:-1]}, image {image.shape[1:-1]}"
        )
    if (array < 0).any():
        raise InputError(f"{name} must be 0 or more. Received: {array.min()}")
    for index, part in enumerate(array):
        if not part.any():
            raise InputError(f"{name} holds no voxel. Received: all zeros in image {index}")
    return np.broadcast_to(array, image.shape) if len(array) < len(image) else array


def _check_content(images: dict[str, np.ndarray]) -> None:
    for name in ("fixed", "moving"):
        for index, image in enumerate(images[name]):
            mask = images.get(f"{name}_mask")
            values = image if mask is None else image[mask[index] > 0]
            if values.min() == values.max():
                where = "" if mask is None else " within its mask"
                raise InputError(
                    f"{name} must not be constant{where}: nothing can be aligned. "
                    f"Received: {float(values.min()):g} everywhere in image {index}"
                )


def _pyramids(
    given: Any, kinds: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]
) -> tuple[Pyramid, ...]:
    each = (given,) * len(kinds) if isinstance(given, (str, Pyramid)) else tuple(given)
    if len(each) != len(kinds):
        raise InputError(f"pyramid must be one, or one per transform. Received: {len(each)}")
    found = []
    for kind, item in zip(kinds, each, strict=True):
        stage = item if isinstance(item, Pyramid) else named_pyramid(item, kind, shape, spacing)
        previous = None
        for level in stage.levels:
            factors = level.shrink_of(len(shape))
            small = [-(-n // f) for n, f in zip(shape, factors, strict=True)]
            if min(small) < 4:
                raise InputError(
                    "A level must have 4 voxels or more along each axis. "
                    f"Received: images {shape}, shrink={level.shrink}"
                )
            if previous and any(a % b for a, b in zip(previous, factors, strict=True)):
                raise InputError(
                    "Each level must divide the shrink factors of the one before. "
                    f"Received: {previous}, then {factors}"
                )
            previous = factors
        found.append(stage)
    return tuple(found)


def _check_samples(samples: Any, similarity: str, shape: tuple[int, ...]) -> None:
    if samples is None:
        return
    if isinstance(samples, bool) or int(samples) != samples or samples < 16:
        raise InputError(f"samples must be an integer, 16 or more. Received: samples={samples}")
    if similarity not in VOXELWISE:
        raise InputError(
            f"Only {VOXELWISE} can be computed from samples. Received: similarity={similarity}"
        )


def _start(start: Any, batch: int, shape: tuple[int, ...], ndim: int) -> np.ndarray | None:
    if start is None:
        return None
    if isinstance(start, Registration):
        start = start.displacement
    array = np.asarray(start, dtype="float32")
    if array.shape in ((ndim, ndim + 1), (batch, ndim, ndim + 1)):
        matrix = np.broadcast_to(array, (batch, ndim, ndim + 1))
        array = keras_ops.convert_to_numpy(ops.linear_displacement(matrix, shape))
    elif array.shape == (*shape, ndim):
        array = np.broadcast_to(array, (batch, *shape, ndim))
    if array.shape != (batch, *shape, ndim):
        raise InputError(
            f"start must be a displacement {(*shape, ndim)}, a matrix {(ndim, ndim + 1)} or a "
            f"Registration. Received: shape={array.shape}"
        )
    if not np.isfinite(array).all():
        raise InputError("start must hold finite values. Received: NaN or infinity")
    return np.ascontiguousarray(array)


def _check_overlap(displacement: np.ndarray | None, images: dict[str, np.ndarray]) -> None:
    """At least one voxel of the fixed image must start inside the moving image."""
    if displacement is None:
        return
    size = np.array(images["moving"].shape[1:-1])
    where = np.moveaxis(np.indices(displacement.shape[1:-1], dtype="float32"), 0, -1)
    for index, field in enumerate(displacement):
        target = where + field
        inside = ((target >= 0) & (target <= size - 1)).all(axis=-1)
        if "fixed_mask" in images:
            inside &= images["fixed_mask"][index, ..., 0] > 0
        if not inside.any():
            raise InputError(
                "start must bring the images to overlap. Received: a start that takes every voxel "
                f"of fixed image {index} outside the moving image"
            )
