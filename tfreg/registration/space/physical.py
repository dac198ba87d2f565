"""Registering images in physical space: LPS millimetres, any grids."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfreg import transforms
from tfreg.errors import InputError
from tfreg.image import Image
from tfreg.registration.answer import Check, Registration
from tfreg.registration.images import check_contrast
from tfreg.registration.path import FlowPath, GeodesicPath
from tfreg.registration.search_report import SearchReport
from tfreg.registration.space.alignment import (
    check_overlap,
    image_of,
    initial_transform,
    inside,
    mask_image,
)
from tfreg.registration.space.grids import Inner, on_fixed_grid, on_network_grid
from tfreg.transforms.base import grid_points, slabs


@dataclass(frozen=True)
class PhysicalRegistration:
    """The answer to "where in the moving image is each point of the fixed image?", in millimetres.

    Attributes:
        fixed, moving: the images.
        moved: the moving image on the fixed image's own grid, in its own intensities, float32;
            resampled once, linearly, with the whole transform; its lowest value outside.
        transform: points of the fixed image to points of the moving one, LPS mm: a displacement,
            after which comes the initial alignment.
        initial: the initial alignment.
        displacement: the whole transform on the fixed image's own grid, float32.
        outside: share of the voxels of the fixed image that are taken outside the moving image.
        inner: the voxel answer, on the grids on which the images were registered.
        seconds: time of resampling, registration and warping, without compiling.
        warnings: what the user should know of the input.
        grids: where the voxels of ``inner`` are; ``None``: not known.
    """

    fixed: Image
    moving: Image
    moved: Image
    transform: transforms.Transform
    initial: transforms.Transform
    displacement: transforms.Displacement
    outside: float
    inner: Registration
    seconds: float
    warnings: tuple[str, ...] = ()
    grids: Inner | None = None

    @property
    def search(self) -> SearchReport | None:
        """What ``initial="search"`` tried, ``None`` without it."""
        return self.inner.search

    @property
    def similarity(self) -> str:
        """Name of the similarity."""
        return self.inner.similarity

    @property
    def similarity_before(self) -> float:
        """Under the initial alignment, on the inner grid; higher is better."""
        return float(self.inner.similarity_before)

    @property
    def similarity_after(self) -> float:
        """At the end, on the inner grid."""
        return float(self.inner.similarity_after)

    def warp_points(self, points: Any) -> np.ndarray:
        """Takes points of the fixed image to where they are in the moving image.

        Args:
            points: ``(n, ndim)``, (x, y[, z]) in LPS mm.

        Returns:
            Array of the same shape, LPS mm.
        """
        return self.transform.apply_points(points)

    def at(self, time: float) -> transforms.Transform:
        """The transform on the way: of a velocity or an LDDMM, that at a time of its path.

        Args:
            time: 0 is the initial alignment, 1 the answer; beyond, the path goes on.

        Raises:
            InputError: as :meth:`tfreg.registration.Registration.at`.
        """
        return self._grids.transform(self.inner.at(time), self.fixed.geometry)

    def inverse(self) -> transforms.Transform:
        """The map from moving to fixed points.

        Of a velocity the flow of ``-v``, which is at hand, after the inverse of what it started
        from, where the grid is on which it was registered; beyond, the latter alone. Of others by
        iteration.
        """
        path = self.inner.path
        if not isinstance(path, FlowPath):
            return self.transform.inverse()
        grids = self._grids
        back = transforms.Displacement.from_voxels(path.flow(-1.0), grids.grid, grids.grid)
        before = grids.transform(path.at(0), self.fixed.geometry)
        return transforms.compose(before.inverse(), back)

    @property
    def steps(self) -> np.ndarray:
        """Of a model that walks, the transforms on its way.

        Raises:
            InputError: as :attr:`tfreg.registration.Registration.steps`.
        """
        return self.inner.steps

    @property
    def momentum(self) -> tuple[Image, ...]:
        """Of an LDDMM, the initial momentum: an image per component, x, y[, z] of LPS.

        Raises:
            InputError: where the answer is not the end of a path.
        """
        if not isinstance(self.inner.path, GeodesicPath):
            raise InputError(
                "Only an answer whose last transform is lddmm has a momentum. Received: "
                f"{', '.join(s.transform for s in self.inner.stages) or 'a network'}"
            )
        grid = self._grids.grid
        axes = np.concatenate([np.zeros((1, grid.ndim)), np.eye(grid.ndim)])
        corners = grid.to_physical(axes)
        # A covector: its product with a velocity is the same in voxels and in millimetres.
        to_world = np.linalg.inv((corners[1:] - corners[0]).T)
        parts = np.moveaxis(self.inner.path.momentum @ to_world, -1, 0).astype("float32")
        return tuple(Image(part, grid) for part in parts)

    @property
    def _grids(self) -> Inner:
        if self.grids is None:
            raise InputError("This answer does not know the grid of its path. Received: grids=None")
        return self.grids

    def check(self) -> Check:
        """Folding and Jacobian of the displacement, similarity, share of voxels outside.

        Folding and Jacobian are those found on the inner grid, of the displacement without the
        initial alignment; ``outside`` is of the fixed image, under the whole transform.
        """
        return replace(self.inner.check(), outside=100 * self.outside)

    def summary(self) -> dict[str, Any]:
        """The figures of the registration as plain numbers, for JSON."""
        check = self.check()
        return {
            "similarity": self.similarity,
            "similarity_before": round(self.similarity_before, 6),
            "similarity_after": round(self.similarity_after, 6),
            "accepted": check.accepted,
            "folding": check.folding / 100,
            "jacobian_min": round(check.jacobian_min, 6),
            "jacobian_max": round(check.jacobian_max, 6),
            "outside": round(check.outside / 100, 6),
            "seconds": round(self.seconds, 4),
            "compile_seconds": round(self.inner.compile_seconds, 4),
            **({} if self.inner.search is None else {"search": self.inner.search.to_dict()}),
            "warnings": list(self.warnings),
            "fixed_geometry": self.fixed.geometry.to_dict(),
            "moving_geometry": self.moving.geometry.to_dict(),
            "inner_shape": list(np.shape(self.inner.fixed)),
        }

    def save(
        self,
        folder: str | os.PathLike,
        suffix: str = ".nii.gz",
        record: dict[str, Any] | None = None,
        others: dict[str, Callable] | None = None,
    ) -> None:
        """Writes the moved image, the transform for ITK and elastix, and the figures.

        Args:
            folder: made if absent; its files ``moved<suffix>`` (in the moving image's dtype),
                ``transform.h5`` (ITK), ``TransformParameters.txt`` (elastix, which names the files
                beside it that it builds on) and ``registration.json`` are written all or none.
            suffix: of the format of the moved image.
            record: what else ``registration.json`` is to say, before the figures.
            others: further files: the name, and the function that writes to the path it is given.

        Raises:
            InputError: if the folder cannot be written to, or the format is unknown.
        """
        from tfreg import io

        folder = Path(folder)
        grid, content = self.fixed.geometry, {**(record or {}), **self.summary()}
        files = {f"moved{suffix}": lambda path: io.write(self.stored(), path)}
        for name in ("transform.h5", "TransformParameters.txt"):
            files |= transforms.writers(self.transform, folder / name, grid)[0]
        files["registration.json"] = lambda path: path.write_text(
            json.dumps(content, indent=2) + "\n", encoding="utf-8"
        )
        io.write_together(folder, {**files, **(others or {})})

    def stored(self) -> Image:
        """The moved image in the dtype of the moving one: see :meth:`tfreg.Image.as_stored`."""
        return self.moved.as_stored(self.moving.array.dtype)


@dataclass(frozen=True)
class Prepared:
    """A checked pair, ready to register in voxels.

    Attributes:
        fixed, moving: the images.
        inner: the same on the grids on which they are registered.
        warnings: what was found.
        refined: the same on the grids on which the answer of a network is refined, where these are
            others.
    """

    fixed: Image
    moving: Image
    inner: Inner
    warnings: tuple[str, ...]
    refined: Inner | None = None

    def carried(self, displacement: np.ndarray) -> np.ndarray:
        """A displacement on the grids of the network in voxels of those of the refinement."""
        return self.refined.voxels(self.inner.field(displacement, self.fixed.geometry))

    def conclude(self, answer: Registration) -> PhysicalRegistration:
        """Takes the voxel answer back to where the images are.

        Args:
            answer: of this pair, refined or on the inner grids.
        """
        begin = time.perf_counter()
        inner = self.refined or self.inner
        transform = inner.transform(answer.displacement, self.fixed.geometry)
        found = in_physical_space(
            self.fixed,
            self.moving,
            transform,
            inner.initial,
            answer,
            self.warnings + answer.warnings,
        )
        seconds = answer.seconds + time.perf_counter() - begin
        return replace(found, seconds=seconds, grids=inner)


def in_physical_space(
    fixed: Image,
    moving: Image,
    transform: transforms.Transform,
    initial: transforms.Transform,
    answer: Registration,
    warnings: tuple[str, ...] = (),
) -> PhysicalRegistration:
    """The voxel answer together with what its transform makes of the images.

    Args:
        fixed, moving: the images.
        transform: from fixed to moving points.
        initial: the alignment that it began with.
        answer: the voxel answer, whose time is taken.
        warnings: what the user should know.
    """
    grid, fill = fixed.geometry, float(moving.array.min())
    field = transform.to_displacement(grid)
    moved = field.apply(moving, grid, "linear", fill=fill)
    outside = 0
    for rows in slabs(grid):
        points = grid_points(grid, rows) + field.field[rows].reshape(-1, grid.ndim)
        outside += int((~inside(moving.geometry, moving.geometry.to_index(points))).sum())
    return PhysicalRegistration(
        fixed=fixed,
        moving=moving,
        moved=Image(moved.array.astype("float32", copy=False), grid),
        transform=transform,
        initial=initial,
        displacement=transforms.Displacement(field.field.astype("float32"), grid),
        outside=outside / moved.array.size,
        inner=answer,
        seconds=answer.seconds,
        warnings=warnings,
    )


def prepare(
    fixed: Any,
    moving: Any,
    initial: Any,
    fixed_mask: Any = None,
    moving_mask: Any = None,
    model: Any = None,
    refined: bool = False,
) -> Prepared:
    """Checks a pair of physical images and brings them onto the grids of the registration.

    Args:
        fixed, moving: ``tfreg.Image`` or ``SimpleITK.Image``.
        initial: see :func:`tfreg.registration.alignment.initial_transform`.
        fixed_mask, moving_mask: the same kinds of image, or ``None``.
        model: the network that will register them; ``None``: none will.
        refined: whether its answer will be refined on the voxels of the fixed image.

    Raises:
        InputError: on images that cannot be registered.
    """
    fixed, moving = image_of(fixed, "fixed"), image_of(moving, "moving")
    if fixed.geometry.ndim != moving.geometry.ndim:
        raise InputError(
            "fixed and moving must both be 2-D or both 3-D. "
            f"Received: shapes {fixed.geometry.shape} and {moving.geometry.shape}"
        )
    if model is not None and fixed.geometry.ndim != model.ndim:
        raise InputError(
            f"The network registers {model.ndim}-D images. "
            f"Received: fixed image of shape {fixed.geometry.shape}"
        )
    masks, said = {}, ()
    for name, mask, image in (
        ("fixed_mask", fixed_mask, fixed),
        ("moving_mask", moving_mask, moving),
    ):
        masks[name], more = mask_image(mask, name, image)
        said += more
    initial = initial_transform(initial, fixed, moving, **masks)
    said += check_overlap(initial, fixed, moving, **masks)
    if model is None:
        inner = on_fixed_grid(fixed, moving, masks, initial)
    else:
        preprocessing = model.preprocessing
        for name, image in (("fixed", fixed), ("moving", moving)):
            if preprocessing is not None:
                said += preprocessing.warnings(name, image.array, image.geometry)
            check_contrast(name, image.array, model.intensity_range)
        whole = model.sees_all_moving
        inner = on_network_grid(preprocessing, fixed, moving, masks, initial, whole)
    finer = on_fixed_grid(fixed, moving, masks, initial) if refined else None
    for name, mask in (finer or inner).masks.items():
        if not mask.any():
            raise InputError(f"{name} holds no voxel on the grid of the registration.")
    return Prepared(fixed, moving, inner, said, finer)
