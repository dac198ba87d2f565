"""tfreg's registration without a network as a contender."""

from typing import Any

import numpy as np

from benchmarks.methods.contender import Answer
from benchmarks.pairs import Pair

AFFINE_FIRST = ("affine", "bspline")


class Instance:
    """``tfreg.registration.register`` with fixed options.

    Args:
        name: of the line.
        weight: of the regulariser of the B-splines; ``None``: that of the named pyramid.
        options: keyword arguments of ``register``.
    """

    ours = True

    def __init__(self, name: str, weight: float | None = None, **options: Any) -> None:
        self.name = name
        self.weight = weight
        self.options = options

    def unavailable(self) -> None:
        """It can always run."""

    def warm(self, pair: Pair) -> float:
        """Compiles for the size of the pair; answers how long that took."""
        from tfreg.registration import forget

        forget()  # what an earlier method compiled is not given to this one
        return self._registered([pair]).compile_seconds

    def register(self, pair: Pair) -> Answer:
        """Registers one pair; compiling is not in its seconds."""
        found = self._registered([pair])
        return Answer(found.displacement[0], found.seconds)

    def answer(self, pair: Pair) -> Any:
        """The whole answer of one pair, of a batch of one."""
        return self._registered([pair])

    def batch(self, pairs: list[Pair]) -> float:
        """Registers the pairs as one batch."""
        return self._registered(pairs).seconds

    def close(self) -> None:
        """Holds nothing."""

    def _registered(self, pairs: list[Pair]) -> Any:
        from tfreg.registration import register

        first = pairs[0]
        options = dict(self.options)
        # The settings of a task say themselves what they do with masks.
        both = options.get("confine") or "settings" in options
        masks = ("fixed_mask", "moving_mask") if both else ("fixed_mask",)
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
        return register(
            np.stack([pair.fixed for pair in pairs]),
            np.stack([pair.moving for pair in pairs]),
            spacing=first.spacing,
            ndim=ndim,
            **options,
        )

    def _pyramid(self, kind: str, pair: Pair) -> Any:
        """The named pyramid of a transform, with the weight where it bends."""
        from dataclasses import replace

        from tfreg.registration import pyramid
        from tfreg.registration.kinds import LINEAR

        found = pyramid(self.options["pyramid"], kind, pair.fixed.shape, pair.spacing)
        if kind in LINEAR:
            return found
        return replace(found, levels=tuple(replace(k, weight=self.weight) for k in found.levels))


def of_task(settings: str, pyramid: str | None = None, **options: Any) -> Instance:
    """A contender with the settings of a task, and a pyramid other than theirs if one is named.

    Example:

    >>> from benchmarks.methods.instance import of_task
    >>> of_task("lung-ct").name
    'tfreg lung-ct'
    """
    if pyramid is not None:
        name = f"tfreg {settings} {pyramid}"
        return Instance(name, settings=settings, pyramid=pyramid, **options)
    return Instance(f"tfreg {settings}", settings=settings, **options)


def instances(*settings: str, suffix: str = "", **options: Any) -> list[Instance]:
    """A contender for each named pyramid.

    Args:
        settings: names of pyramids.
        suffix: of the names of the lines.
        options: of :class:`Instance`.

    Example:

    >>> from benchmarks.methods.instance import instances
    >>> [one.name for one in instances("fast", "default", suffix=" LNCC", similarity="lncc")]
    ['tfreg fast LNCC', 'tfreg default LNCC']
    """
    return [Instance(f"tfreg {one}{suffix}", pyramid=one, **options) for one in settings]
