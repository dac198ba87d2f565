"""Registration without a network: a transform optimised on the pair at hand, coarse to fine."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfreg.errors import InputError, InputWarning
from tfreg.registration.alignment import are_physical
from tfreg.registration.answer import LevelReport, Registration, StageReport
from tfreg.registration.arguments import (
    check_content,
    check_overlap,
    check_samples,
    kinds_of,
    mask_of,
    ndim_of,
    pyramids_of,
    spacing_of,
    start_of,
)
from tfreg.registration.contrast import CORRELATIONS, remarks
from tfreg.registration.engine import Clock, descend, draw, plan
from tfreg.registration.field_of_view import View
from tfreg.registration.images import as_image
from tfreg.registration.memory import check_memory
from tfreg.registration.physical import PhysicalRegistration, prepare, register_physical
from tfreg.registration.pyramid import Pyramid
from tfreg.registration.similarity import similarity_of
from tfreg.registration.transforms import LINEAR


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
    initial: Any = "geometry",
    samples: int | None = None,
    seed: int = 0,
    ndim: int | None = None,
    progress: Callable[[LevelReport], Any] | None = None,
) -> Registration | PhysicalRegistration:
    """Finds the map that makes a moving image most similar to a fixed one.

    ``min_p -S(f(x), m(x + u_p(x))) + w R(p)`` by Adam, level by level from coarse to fine, each
    level one compiled loop over the whole batch. Compiled functions are kept per shape: a second
    pair of the same size pays nothing.

    Args:
        fixed: one image ``(*spatial,)``; with ``ndim`` also a batch ``(batch, *spatial)``, of any
            real dtype and intensity range. Or an image in physical space, a ``tfreg.Image`` or a
            ``SimpleITK.Image``: then so are the masks, and the answer is in millimetres.
        moving: as ``fixed``; its spatial shape may differ, its voxels have the same size. In
            physical space any grid will do.
        transform: ``"translation"``, ``"rigid"``, ``"similarity"``, ``"affine"``, ``"bspline"``
            (cubic), ``"dense"`` (a displacement per voxel) or ``"velocity"`` (stationary, cubic
            spline); or several in sequence, such as ``["affine", "bspline"]``: each starts where
            the one before ended, displacements add up, a velocity's map is applied first.
        spacing: size of a voxel per axis, in mm or any unit, array-axis order; default 1 each. Of
            arrays only, as ``start`` and ``ndim``.
        similarity: ``"ncc"``, ``"lncc"``, ``"mi"`` or ``"ngf"`` (different modalities; NGF as minus
            its distance), or ``"mse"`` (minus the MSE of intensities, both divided by the range of
            both). Of an image with a mask the range is that within it.
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
        initial: the alignment of images in physical space before that, and of those only:
            ``"geometry"`` (the headers are trusted), ``"centre"`` (of the fields of view),
            ``"mass"`` (centres of both masks where both are given, else of mass), or a transform
            from fixed to moving points.
        samples: number of voxels of the fixed image that the similarity looks at per level, drawn
            at random once, within the mask if there is one; less time on large volumes. ``None``
            for all. For ncc, mi and mse.
        seed: seed of that draw. On one machine, repeated runs are equal to the bit.
        ndim: 2 or 3; needed for a batch only.
        progress: called with a :class:`LevelReport` after each level; its time is not charged.

    Returns:
        The answer, a :class:`PhysicalRegistration` for images in physical space. A transform with
        which the similarity got worse is left out, and
        ``answer.accepted`` says so; where it is the only one, the answer is the start.

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
    if are_physical(fixed, moving):
        for name, value in (("spacing", spacing), ("start", start), ("ndim", ndim)):
            if value is not None:
                raise InputError(
                    f"{name} is that of arrays; images in physical space have their own geometry, "
                    f"and initial aligns them. Received: {name}={value!r}"
                )
        prepared = prepare(fixed, moving, initial, fixed_mask, moving_mask)
        return register_physical(
            lambda inner: register(
                *(inner.fixed, inner.moving, transform),
                spacing=inner.grid.spacing[::-1],
                similarity=similarity,
                regulariser=regulariser,
                pyramid=pyramid,
                **inner.masks,
                start=inner.start,
                samples=samples,
                seed=seed,
                progress=progress,
            ),
            prepared,
        )
    if not isinstance(initial, str) or initial != "geometry":
        raise InputError(
            "initial aligns images in physical space; arrays have start. "
            f"Received: initial={initial!r}"
        )
    clock = Clock()
    kinds = kinds_of(transform)
    ndim = ndim_of(fixed, spacing, ndim)
    images = {"fixed": as_image(fixed, ndim, "fixed"), "moving": as_image(moving, ndim, "moving")}
    batch, single = len(images["fixed"]), np.ndim(fixed) == ndim
    if len(images["moving"]) != batch:
        raise InputError(
            "fixed and moving must be batches of one length. "
            f"Received: {batch} and {len(images['moving'])}"
        )
    for name, mask in (("fixed_mask", fixed_mask), ("moving_mask", moving_mask)):
        if mask is not None:
            images[name] = mask_of(mask, name, images[name.removesuffix("_mask")], ndim)
    check_content(images)
    shape = images["fixed"].shape[1:-1]
    spacing = spacing_of(spacing, ndim)
    similarity_of(similarity)
    if progress is not None and not callable(progress):
        raise InputError(f"progress must be a function. Received: progress={progress!r}")
    if regulariser not in ("bending", "diffusion", None):
        raise InputError(
            f"regulariser must be bending, diffusion or None. Received: regulariser={regulariser}"
        )
    pyramids = pyramids_of(pyramid, kinds, shape, spacing)
    check_samples(samples, seed, similarity)
    check_memory(images, kinds, pyramids, similarity)
    displacement = start_of(start, batch, shape, ndim)
    check_overlap(displacement, images)

    sizes = {name: array.shape[1:-1] for name, array in images.items()}
    linear = [kind in LINEAR for kind in kinds]
    view = View(images)
    bounded = tuple(bool(view.at(displacement, one)) for one in linear)
    stages = plan(
        *(kinds, pyramids, sizes, spacing, similarity, regulariser),
        *(displacement is not None, samples, bounded),
    )
    voxels = draw(stages, batch, images.get("fixed_mask"), samples, seed)
    clock.compile(stages, sizes, batch, voxels)
    answer, reports = descend(stages, images, view, displacement, voxels, clock, progress)
    seconds = clock.seconds
    start = displacement
    displacement, first, after, each, moved = answer
    accepted = each.all(axis=0)
    said = ("",) * batch
    if similarity in CORRELATIONS:
        plain = {name: array[..., 0] for name, array in images.items()}
        known = (first, after) if similarity == "ncc" else None
        # Of a linear transform `check` says it, which looked at nothing else.
        said = remarks(plain, start, displacement, known, None if linear[-1] else view.padded)
    take = (lambda array: array[0]) if single else (lambda array: array)
    found = Registration(
        fixed=take(images["fixed"][..., 0]),
        moving=take(images["moving"][..., 0]),
        moved=take(moved[..., 0]),
        displacement=take(displacement),
        similarity_before=float(first[0]) if single else first,
        similarity_after=float(after[0]) if single else after,
        seconds=seconds,
        compile_seconds=clock.compile_seconds,
        similarity=similarity,
        accepted=bool(accepted[0]) if single else accepted,
        levels=reports,
        stages=tuple(map(StageReport, kinds, each)),
        remarks=said,
    )
    for line in found.warnings:
        warnings.warn(line, InputWarning, stacklevel=2)
    return found
