"""Shortening momenta until their maps do not fold."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops as keras_ops

_STEP = 0.9
_MOST = 20


def shortened(folds: Callable, added: Any, before: Any = 0.0) -> tuple[Any, np.ndarray]:
    """Momenta with as much of others as leads to no folding.

    Args:
        folds: ``(momenta) -> (batch,)``, whether each one folds.
        added: momenta ``(batch, *spatial, ndim)``, of which a tenth less is taken as long as the
            sum folds; if that does not help, nothing.
        before: momenta that do not fold, or 0.

    Returns:
        The sum, and the share of ``added`` in each pair, ``(batch,)`` float32.
    """
    share = np.ones(len(added), "float32")

    def total() -> Any:
        if (share == 1).all():
            return before + added
        return before + share.reshape((-1,) + (1,) * (len(added.shape) - 1)) * added

    for _ in range(_MOST):
        folded = keras_ops.convert_to_numpy(folds(total()))
        if not folded.any():
            return total(), share
        share = np.where(folded, _STEP * share, share).astype("float32")
    share = np.where(keras_ops.convert_to_numpy(folds(total())), 0, share).astype("float32")
    return total(), share
