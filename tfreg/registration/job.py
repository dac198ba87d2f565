"""The one way from two images to an answer: prepare, run, conclude.

For arrays and for images in physical space, with a model, without one, and with a refinement; pairs
of one kind run as one batch.
"""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfreg.errors import InputError, InputWarning
from tfreg.registration.answer import Registration
from tfreg.registration.images import Pair, as_image, stacked
from tfreg.registration.inference import Inference
from tfreg.registration.instance.arguments import mask_of, ndim_of, spacing_of, start_of
from tfreg.registration.instance.optimisation import Optimisation, Refinement
from tfreg.registration.instance.similarity import names_of
from tfreg.registration.search.search import Found, compares_contours, search
from tfreg.registration.space.alignment import SEARCH, are_physical, image_of, mask_image
from tfreg.registration.space.grids import Inner
from tfreg.registration.space.physical import PhysicalRegistration, Prepared
from tfreg.registration.space.physical import prepare as in_space

Method = Optimisation | Inference


@dataclass(frozen=True)
class Job:
    """A checked pair, ready to run.

    Attributes:
        pair: what is registered, in voxels; of arrays it may be a batch.
        single: whether it is one pair.
        refined: what a refinement sees, where that looks at other voxels.
        space: the way back to where the images are; ``None`` for arrays.
        said: what the user should know of arrays.
        seconds: how long preparing it took, without compiling.
        search: how the images were aligned, where that was searched for.
    """

    pair: Pair
    single: bool
    refined: Pair | None = None
    space: Prepared | None = None
    said: tuple[str, ...] = ()
    seconds: float = 0.0
    search: Found | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know of the input."""
        return self.said if self.space is None else self.space.warnings

    @property
    def kind(self) -> tuple:
        """What single pairs have in common that can run together."""
        refined = None if self.refined is None else self.refined.kind
        return self.pair.kind, refined, self.space is None


def prepare(
    method: Method,
    fixed: Any,
    moving: Any,
    *,
    initial: Any = "geometry",
    fixed_mask: Any = None,
    moving_mask: Any = None,
    spacing: Any = None,
    start: Any = None,
    ndim: int | None = None,
    channels: bool = False,
) -> Job:
    """Checks a pair, and brings it onto the voxels on which it is registered.

    Args:
        method: what will register it.
        fixed, moving, initial, fixed_mask, moving_mask, spacing, start, ndim, channels: as in
            :func:`tfreg.registration.register`.

    Raises:
        InputError: on a pair that cannot be registered.
    """
    begin = time.perf_counter()
    masks = {"fixed_mask": fixed_mask, "moving_mask": moving_mask}
    masks = {name: mask for name, mask in masks.items() if mask is not None}
    arrays_only = {"spacing": spacing, "start": start, "ndim": ndim}
    arrays_only["channels"] = channels or None
    if are_physical(fixed, moving):
        if isinstance(method, Inference):
            method.check(masks, initial)
        for name, value in arrays_only.items():
            if value is not None:
                raise InputError(
                    f"{name} is that of arrays; images in physical space have their own geometry, "
                    f"and initial aligns them. Received: {name}={value!r}"
                )
        prepared = _in_space(method, fixed, moving, initial, masks)
    else:
        if isinstance(method, Inference):
            method.check(masks, spacing=spacing)
        if not isinstance(initial, str) or initial != "geometry":
            raise InputError(
                "initial aligns images in physical space; arrays have start. "
                f"Received: initial={initial!r}"
            )
        prepared = _of_arrays(method, fixed, moving, masks, spacing, start, ndim, channels)
    compiling = 0.0 if prepared.search is None else prepared.search.compile_seconds
    return replace(prepared, seconds=time.perf_counter() - begin - compiling)


def run(method: Method, jobs: Sequence[Job]) -> list[Registration]:
    """Registers prepared pairs, several of one kind as one batch.

    Args:
        method: that they were prepared for.
        jobs: one, or several single pairs of one kind.

    Returns:
        The answer of each in voxels. Of several, each has its share of the time.

    Raises:
        InputError: on a pair that cannot be registered.
    """
    answer = method(stacked([job.pair for job in jobs]))
    if method.refinement is not None:
        answer = _refined(method.refinement, jobs, answer)
    answer = replace(answer, seconds=answer.seconds + sum(job.seconds for job in jobs))
    searches = [job.search for job in jobs]
    compiling = sum(found.compile_seconds for found in searches if found is not None)
    answer = replace(answer, compile_seconds=answer.compile_seconds + compiling)
    if not jobs[0].single:
        return [answer]
    if len(jobs) > 1:
        answer.jacobian_determinant  # noqa: B018 - once for all is sooner than one by one
    items = [answer.item(index) for index in range(len(jobs))]
    return [
        item if found is None else replace(item, search=found.report)
        for item, found in zip(items, searches, strict=True)
    ]


def conclude(job: Job, answer: Registration) -> Registration | PhysicalRegistration:
    """Takes the voxel answer of a pair back to where its images are."""
    return answer if job.space is None else job.space.conclude(answer)


def register(
    method: Method, fixed: Any, moving: Any, **given: Any
) -> Registration | PhysicalRegistration:
    """All three for one pair, or one batch of arrays; warns of what was found.

    Args:
        method: what registers.
        fixed, moving, given: as :func:`prepare` takes them.

    Raises:
        InputError: on a pair that cannot be registered.
    """
    job = prepare(method, fixed, moving, **given)
    for line in job.warnings:
        warnings.warn(line, InputWarning, stacklevel=3)
    answer = run(method, [job])[0]
    for line in answer.warnings:
        warnings.warn(line, InputWarning, stacklevel=3)
    return conclude(job, answer)


def _of_arrays(
    method: Method,
    fixed: Any,
    moving: Any,
    masks: dict[str, Any],
    spacing: Any,
    start: Any,
    ndim: int | None,
    channels: bool,
) -> Job:
    model, said = method.model, ()
    ndim = ndim_of(fixed, spacing, ndim, channels) if model is None else model.ndim
    images = {
        name: as_image(values, ndim, name, channels)
        for name, values in (("fixed", fixed), ("moving", moving))
    }
    if isinstance(method, Inference):
        method.check_pair(images["fixed"], images["moving"])
        said = method.warnings(fixed, images)
        spacing = model.voxel_size if spacing is None else spacing
        images = {name: model.clipped(image) for name, image in images.items()}
    batch, channels_of = ([image.shape[axis] for image in images.values()] for axis in (0, -1))
    if len(set(batch)) > 1:
        raise InputError(
            f"fixed and moving must be batches of one length. Received: {batch[0]} and {batch[1]}"
        )
    if len(set(channels_of)) > 1:
        raise InputError(
            "fixed and moving must have as many channels. "
            f"Received: {channels_of[0]} and {channels_of[1]}"
        )
    for name, mask in masks.items():
        images[name] = mask_of(mask, name, images[name.removesuffix("_mask")], ndim)
    pair = Pair(
        **images,
        spacing=spacing_of(spacing, ndim),
        start=start_of(start, batch[0], images["fixed"].shape[1:-1], ndim),
        channels=channels,
    )
    return Job(pair, single=np.ndim(fixed) == ndim + channels, said=said)


def _in_space(method: Method, fixed: Any, moving: Any, initial: Any, masks: dict[str, Any]) -> Job:
    model, refinement = method.model, method.refinement
    finer = refinement is not None and refinement.grid == "fixed"
    found = None
    if isinstance(initial, str) and initial == SEARCH:
        found = _searched(method, fixed, moving, masks)
        initial = found.transform
    space = in_space(fixed, moving, initial, **masks, model=model, refined=finer)
    # Most networks see no mask: only what is optimised looks at them.
    sees = model is None or model.sees_masks or (refinement is not None and not finer)
    pair = _pair(space.inner, model, sees)
    if isinstance(method, Inference):
        method.check_pair(pair.fixed, pair.moving)
    refined = None if space.refined is None else _pair(space.refined, model, True)
    return Job(pair, True, refined, space, search=found)


def _searched(method: Method, fixed: Any, moving: Any, masks: dict[str, Any]) -> Found:
    """The initial alignment of images that may lie in any way."""
    fixed, moving = image_of(fixed, "fixed"), image_of(moving, "moving")
    if fixed.geometry.ndim != moving.geometry.ndim:
        raise InputError(
            "fixed and moving must both be 2-D or both 3-D. "
            f"Received: shapes {fixed.geometry.shape} and {moving.geometry.shape}"
        )
    sides = {"fixed_mask": fixed, "moving_mask": moving}
    seen = {name: mask_image(mask, name, sides[name])[0] for name, mask in masks.items()}
    used = names_of(getattr(method, "similarity", "ncc"))
    return search(fixed, moving, **seen, contours=compares_contours(used))


def _pair(inner: Inner, model: Any, masked: bool) -> Pair:
    """What is registered of images on inner grids."""
    images = {name: getattr(inner, name)[None, ..., None] for name in ("fixed", "moving")}
    if model is not None:
        images = {name: model.clipped(image) for name, image in images.items()}
    if masked:
        images |= {k: mask[None, ..., None].astype("float32") for k, mask in inner.masks.items()}
    start = None if inner.start is None else inner.start[None].astype("float32")
    return Pair(**images, spacing=inner.grid.spacing[::-1], start=start)


def _refined(refinement: Refinement, jobs: Sequence[Job], answer: Registration) -> Registration:
    """The answer of a model with the further transform of its refinement."""
    begin = time.perf_counter()
    pair, start = stacked([job.pair for job in jobs]), answer.displacement
    if jobs[0].refined is not None:
        pair = stacked([job.refined for job in jobs])
        start = np.stack(
            [job.space.carried(one) for job, one in zip(jobs, answer.displacement, strict=True)]
        )
    better = refinement(pair, start)
    seconds = time.perf_counter() - begin - better.compile_seconds
    return replace(better, seconds=answer.seconds + seconds, details=answer.details)
