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
        if first.fixed_mask is not None:
            options["fixed_mask"] = np.stack([pair.fixed_mask for pair in pairs])
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
