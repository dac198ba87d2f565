"""Optimising a transform on the pair at hand, coarse to fine: alone, or from a model's answer."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from tfreg.errors import InputError
from tfreg.registration.answer import LevelReport, Registration, StageReport
from tfreg.registration.channels import Features, nearness
from tfreg.registration.images import Pair
from tfreg.registration.instance.arguments import (
    check_content,
    check_samples,
    check_start,
    check_symmetric,
    kinds_of,
    pyramids_of,
    start_of,
)
from tfreg.registration.instance.contrast import CORRELATIONS, remarks
from tfreg.registration.instance.engine import Clock, descend, draw, plan
from tfreg.registration.instance.field_of_view import View
from tfreg.registration.instance.level import Regulariser
from tfreg.registration.instance.memory import check_memory
from tfreg.registration.instance.pyramid import SETTINGS, Pyramid, Schedule, refining
from tfreg.registration.instance.similarity import Similarity, as_similarity, name_of, names_of
from tfreg.registration.kinds import LINEAR
from tfreg.registration.space.confine import confined

GRIDS = ("network", "fixed")


@dataclass(frozen=True)
class Optimisation:
    """How :func:`tfreg.registration.register` registers, which says what the attributes are.

    Raises:
        InputError: on a value that no pair could be registered with.
    """

    transform: str | Sequence[str] = "bspline"
    similarity: Similarity = "ncc"
    regulariser: Regulariser = "bending"
    pyramid: str | Pyramid | Schedule | Sequence[Pyramid] = "default"
    confine: bool = False
    samples: int | None = None
    seed: int = 0
    progress: Callable[[LevelReport], Any] | None = None
    symmetric: bool = False
    # It has no model, whose answer it would refine.
    model: ClassVar[None] = None
    refinement: ClassVar[None] = None

    def __post_init__(self) -> None:
        kinds_of(self.transform)
        object.__setattr__(self, "similarity", as_similarity(self.similarity))
        if isinstance(self.pyramid, str) and self.pyramid not in SETTINGS:
            raise InputError(
                f"pyramid must be one of {SETTINGS} or a Pyramid. Received: {self.pyramid}"
            )
        known = self.regulariser is None or self.regulariser in ("bending", "diffusion")
        if not known and not (
            callable(self.regulariser) and isinstance(self.regulariser, Hashable)
        ):
            raise InputError(
                "regulariser must be bending, diffusion, a function of the displacement, or None. "
                f"Received: regulariser={self.regulariser}"
            )
        if not isinstance(self.confine, bool):
            raise InputError(f"confine must be True or False. Received: confine={self.confine}")
        if self.progress is not None and not callable(self.progress):
            raise InputError(f"progress must be a function. Received: progress={self.progress!r}")
        check_samples(self.samples, self.seed, self.similarity)
        check_symmetric(self.symmetric, self.transform, self.samples)

    def pyramids(self, shape: tuple[int, ...], spacing: tuple[float, ...]) -> tuple[Pyramid, ...]:
        """The levels of each transform, for images of a size."""
        kinds = kinds_of(self.transform)
        return pyramids_of(self.pyramid, kinds, shape, spacing, self.similarity)

    def __call__(self, pair: Pair, start: np.ndarray | None = None) -> Registration:
        """Registers a batch of pairs.

        Args:
            pair: what is registered.
            start: the displacement from which it starts in the place of the pair's own, at which
                the similarity before is taken none the less.

        Raises:
            InputError: on images that cannot be registered.
        """
        clock = Clock()
        kinds, shape = kinds_of(self.transform), pair.shape
        check_content(pair.arrays)
        if "mind" in names_of(self.similarity) and pair.fixed.shape[-1] > 1:
            raise InputError(
                "mind compares images of one channel, whose descriptors it computes. "
                f"Received: {pair.fixed.shape[-1]} channels"
            )
        seen = confined(pair) if self.confine else pair
        similarity, described = self.similarity, isinstance(self.similarity, Features)
        if isinstance(similarity, Features):
            # A function of the module: what is compiled serves all features.
            seen, similarity = similarity.of(seen), nearness
        images, batch = seen.arrays, len(pair.fixed)
        pyramids = self.pyramids(shape, pair.spacing)
        check_memory(images, kinds, pyramids, similarity)
        own = start_of(pair.start, batch, shape, pair.ndim)
        origin = None
        if start is not None:
            origin = np.zeros_like(start) if own is None else own
        start = own if start is None else start
        check_start(start, images)
        sizes = {name: array.shape[1:-1] for name, array in images.items()}
        linear = [kind in LINEAR for kind in kinds]
        view = View(images)
        bounded = tuple(bool(view.at(start, one)) for one in linear)
        stages = plan(
            kinds,
            pyramids,
            sizes,
            pair.spacing,
            similarity,
            self.regulariser,
            start is not None,
            self.samples,
            bounded,
            self.confine or described,
            self.symmetric,
        )
        voxels = draw(stages, batch, images.get("fixed_mask"), self.samples, self.seed)
        depths = seen.fixed.shape[-1], pair.moving.shape[-1]
        clock.compile(stages, sizes, batch, voxels, *depths)
        answer, reports, path = descend(
            stages, images, pair.moving, view, start, voxels, clock, self.progress, origin
        )
        seconds = clock.seconds
        displacement, before, after, each, moved = answer
        said = ("",) * batch
        names = names_of(self.similarity)
        if names and {*names} <= {*CORRELATIONS} and pair.fixed.shape[-1] == 1:
            plain = {name: array[..., 0] for name, array in pair.arrays.items()}
            known = (before, after) if self.similarity == "ncc" else None
            # Of a linear transform `check` says it, which looked at nothing else.
            padded = None if linear[-1] else view.padded
            said = remarks(plain, start, displacement, known, padded)
        return Registration(
            fixed=pair.visible(pair.fixed),
            moving=pair.visible(pair.moving),
            moved=pair.visible(moved),
            displacement=displacement,
            similarity_before=before,
            similarity_after=after,
            seconds=seconds,
            compile_seconds=clock.compile_seconds,
            similarity=name_of(self.similarity),
            accepted=each.all(axis=0),
            levels=reports,
            stages=tuple(map(StageReport, kinds, each)),
            remarks=said,
            path=path,
        )


@dataclass(frozen=True)
class Refinement(Optimisation):
    """How the answer of a model is refined: a further transform, optimised on the pair at hand.

    Args:
        pyramid: ``"fast"``, ``"default"`` or ``"accurate"``, which spare a B-spline the coarser
            levels, or a :class:`Pyramid`.
        grid: of images in physical space, the voxels that it looks at: ``"network"``, those that
            the model saw, or ``"fixed"``, those of the fixed image.
        transform, similarity, regulariser, confine, samples, seed, progress: as in
            :func:`tfreg.registration.register`.

    Raises:
        InputError: on a value that no answer could be refined with.

    Example:

    >>> from tfreg.registration import Refinement
    >>> Refinement("bspline", similarity="lncc", pyramid="fast").grid
    'network'
    """

    grid: str = "network"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.grid not in GRIDS:
            raise InputError(f"grid must be one of {GRIDS}. Received: grid={self.grid!r}")

    def pyramids(self, shape: tuple[int, ...], spacing: tuple[float, ...]) -> tuple[Pyramid, ...]:
        """As above; a name means the levels that a model's answer leaves to do."""
        if isinstance(self.pyramid, str) and self.transform == "bspline":
            return replace(self, pyramid=refining(self.pyramid, shape, spacing)).pyramids(
                shape, spacing
            )
        return super().pyramids(shape, spacing)
