"""tfreg's instance optimisation as a method of a benchmark."""

from typing import Any

import numpy as np

from benchmarks.pairs import Pair
from tfreg.registration import register


class Instance:
    """``tfreg.registration.register`` with fixed options.

    Args:
        options: keyword arguments of ``register``.
    """

    def __init__(self, **options: Any) -> None:
        self.options = options

    def __call__(self, pairs: list[Pair]) -> tuple[np.ndarray, float, float]:
        """Registers pairs of one shape as one batch.

        Returns:
            Displacements ``(n, *spatial, ndim)``, seconds of the whole batch without compiling, and
            seconds of compiling, which are 0 from the second call for a shape on.
        """
        first = pairs[0]
        options = dict(self.options)
        for name in ("fixed_mask", "moving_mask"):
            if getattr(first, name) is not None:
                options[name] = np.stack([getattr(pair, name) for pair in pairs])
        ndim = first.fixed.ndim
        if first.start is not None:
            shift = np.concatenate([np.eye(ndim), np.array(first.start)[:, None]], axis=1)
            options["start"] = shift
        answer = register(
            np.stack([pair.fixed for pair in pairs]),
            np.stack([pair.moving for pair in pairs]),
            spacing=first.spacing,
            ndim=ndim,
            **options,
        )
        return answer.displacement, answer.seconds, answer.compile_seconds
