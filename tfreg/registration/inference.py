"""A model, and how its answer is refined, as what registers a pair."""

import functools
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import losses, ops
from tfreg.errors import InputError
from tfreg.registration.answer import Registration
from tfreg.registration.images import Pair
from tfreg.registration.instance.arguments import check_content
from tfreg.registration.instance.contrast import inverted
from tfreg.registration.instance.optimisation import Refinement
from tfreg.registration.instance.pyramid import SETTINGS, Pyramid


class Inference:
    """A model with its options and its refinement.

    Args:
        model: a :class:`tfreg.models.registration.RegistrationModel`.
        refine, options: as its ``register`` takes them.
        masks: names of the masks that there are.

    Attributes:
        steps: of the refinement on the model's own parameters.
        refinement: the further transform that refines, or ``None``.

    Raises:
        InputError: on what the model does not take.
    """

    def __init__(
        self,
        model: Any,
        refine: int | str | Pyramid | Refinement = 0,
        options: dict[str, Any] | None = None,
        masks: Any = (),
    ) -> None:
        self.model = model
        self.options = options or {}
        self.steps, self.refinement = _refinement_of(model, refine, masks)
        self._given = refine
        model.check_arguments(self.options)

    def check(self, masks: Any, initial: Any = None, spacing: Any = None) -> None:
        """Raises ``InputError`` on what nothing would look at.

        Args:
            masks: names of the masks that there are.
            initial: of images in physical space; ``None`` for arrays.
            spacing: of arrays.
        """
        if spacing is not None and self.refinement is None:
            raise InputError(
                "spacing would have no effect: it is for a refinement by one of "
                f"{SETTINGS}. Received: refine={self._given!r}, spacing={spacing}"
            )
        used = set(masks) if self.refinement is not None or self.model.sees_masks else set()
        if initial is not None:
            if isinstance(initial, str):
                both = initial == "mass" and len(masks) == 2
                used |= set(masks) if both or initial == "search" else set()
            known = self.model.preprocessing
            if known is not None and known.centred:
                used.add("fixed_mask")
        for name in masks:
            if name not in used:
                raise InputError(
                    f"{name} would have no effect: a network sees no mask. Refine with one of "
                    f"{SETTINGS}, or align both masks with initial='mass'. "
                    f"Received: refine={self._given!r}"
                )

    def check_pair(self, fixed: np.ndarray, moving: np.ndarray) -> None:
        """Raises ``InputError`` on batches ``(batch, *spatial, 1)`` that the model cannot take."""
        same = fixed.shape == moving.shape
        if not same and not (self.model.sizes_may_differ and len(fixed) == len(moving)):
            raise InputError(
                "fixed and moving must have one shape. "
                f"Received: fixed {fixed.shape[:-1]}, moving {moving.shape[:-1]}, batch first"
            )
        self.model.check_size(fixed.shape[1:-1])

    def warnings(self, fixed: Any, images: dict[str, np.ndarray]) -> tuple[str, ...]:
        """What of arrays is unlike what the model was trained on, or may be a volume.

        Args:
            fixed: as it was given.
            images: ``"fixed"`` and ``"moving"``, ``(batch, *spatial, 1)``.
        """
        shape, said = np.shape(fixed), []
        if self.model.ndim == 2 and len(shape) == 3 and shape[0] > 1:
            said.append(
                f"an array of shape {shape} is taken for a batch of {shape[0]} images, each "
                f"registered on its own: a batch of shape {(*shape, 1)} says that it is one and no "
                "volume"
            )
        if self.model.preprocessing is not None:
            for name, batch in images.items():
                for image in batch:
                    said += self.model.preprocessing.array_warnings(name, image[..., 0])
        return tuple(dict.fromkeys(said))

    def __call__(self, pair: Pair) -> Registration:
        """What the model answers for a batch, refined in steps where that was asked for.

        Raises:
            InputError: on constant images.
        """
        begin = time.perf_counter()
        check_content({"fixed": pair.fixed, "moving": pair.moving})
        if not self.model.built:
            self.model.build()
        found = self.model.answer(pair, **self.options)
        if self.steps:
            found = self.model.refined(found, pair, self.steps)
        displacement = found.displacement
        if displacement is None:
            displacement = ops.linear_displacement(found.matrix, pair.shape)
        judged = found.judged or _judge()(displacement, pair.fixed, pair.moving)
        displacement, moved, before, after = map(
            keras_ops.convert_to_numpy, (displacement, *judged)
        )
        return Registration(
            fixed=pair.visible(pair.fixed),
            moving=pair.visible(pair.moving),
            moved=pair.visible(moved),
            displacement=displacement,
            similarity_before=before,
            similarity_after=after,
            seconds=time.perf_counter() - begin,
            remarks=tuple(map(inverted, before)),
            details={
                name: keras_ops.convert_to_numpy(values) for name, values in found.details.items()
            },
            path=found.path,
        )


def judged(displacement: Any, fixed: Any, moving: Any) -> tuple[Any, Any, Any]:
    """Moved images, and NCC with the fixed ones before and after."""
    moved = ops.resample(moving, displacement)
    return moved, losses.ncc(fixed, _centred(fixed, moving)), losses.ncc(fixed, moved)


@functools.cache
def _judge() -> Callable:
    return ops.compiled(judged)


def _centred(fixed: Any, moving: Any) -> Any:
    """The moving image on the grid of the fixed one, centre on centre."""
    shape, other = fixed.shape[1:-1], moving.shape[1:-1]
    if shape == other:
        return moving
    shift = np.array([(m - f) / 2 for f, m in zip(shape, other, strict=True)], "float32")
    return ops.resample(moving, np.broadcast_to(shift, (fixed.shape[0], *shape, len(shape))))


def _refinement_of(model: Any, refine: Any, masks: Any) -> tuple[int, Refinement | None]:
    """Steps on the model's parameters, and the further transform.

    Raises:
        InputError: on what is neither.
    """
    if isinstance(refine, Refinement):
        return 0, refine
    if isinstance(refine, str) and refine in model.refine_steps:
        return model.refine_steps[refine], None
    if isinstance(refine, Pyramid) or (isinstance(refine, str) and refine in SETTINGS):
        own = model.refinement
        # A model's own refinement confines where it can; who asks for it has to bring the masks.
        return 0, replace(own, pyramid=refine, confine=own.confine and len(masks) == 2)
    number = isinstance(refine, (int, float, np.number)) and not isinstance(refine, bool)
    if not number or not np.isfinite(refine) or int(refine) != refine or refine < 0:
        raise InputError(
            f"refine must be a number of steps, 0 or more, one of {SETTINGS}, a Pyramid or a "
            f"Refinement. Received: {refine!r}"
        )
    return int(refine), None
