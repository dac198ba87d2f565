"""tfreg's instance optimisation as a method of a benchmark."""

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.pairs import Pair
from tfreg.registration import Pyramid, pyramid, register
from tfreg.registration.kinds import LINEAR


class Instance:
    """``tfreg.registration.register`` with fixed options.

    Args:
        weight: of the regulariser of the B-splines; ``None``: that of the named pyramid.
        options: keyword arguments of ``register``.
    """

    def __init__(self, weight: float | None = None, **options: Any) -> None:
        self.weight = weight
        self.options = options

    def __call__(self, pairs: list[Pair]) -> tuple[np.ndarray, float, float]:
        """Registers pairs of one shape as one batch.

        Returns:
            Displacements ``(n, *spatial, ndim)``, seconds of the whole batch without compiling, and
            seconds of compiling, which are 0 from the second call for a shape on.
        """
        first = pairs[0]
        options = dict(self.options)
        masks = ("fixed_mask", "moving_mask") if options.get("confine") else ("fixed_mask",)
        for name in masks:
            if getattr(first, name) is not None:
                options[name] = np.stack([getattr(pair, name) for pair in pairs])
        if self.weight is not None:
            options["pyramid"] = [self._pyramid(kind, first) for kind in options["transform"]]
        ndim = first.fixed.ndim
        if first.start is not None:
            shifts = np.array([pair.start for pair in pairs])[..., None]
            unit = np.broadcast_to(np.eye(ndim), (len(pairs), ndim, ndim))
            options["start"] = np.concatenate([unit, shifts], axis=-1)
        answer = register(
            np.stack([pair.fixed for pair in pairs]),
            np.stack([pair.moving for pair in pairs]),
            spacing=first.spacing,
            ndim=ndim,
            **options,
        )
        return answer.displacement, answer.seconds, answer.compile_seconds

    def _pyramid(self, kind: str, pair: Pair) -> Pyramid:
        found = pyramid(self.options["pyramid"], kind, pair.fixed.shape, pair.spacing)
        return found if kind in LINEAR else weighted(found, self.weight)


def weighted(levels: Pyramid, weight: float) -> Pyramid:
    """A pyramid with another weight of the regulariser."""
    return replace(levels, levels=tuple(replace(one, weight=weight) for one in levels.levels))
