"""Similarities by name, for instance optimisation: one value per pair, higher is better."""

import functools
from collections.abc import Callable
from typing import Any

from tfreg import losses
from tfreg.errors import InputError

SIMILARITIES: dict[str, Callable] = {
    "ncc": losses.ncc,
    "lncc": losses.lncc,
    "mi": functools.partial(
        losses.mutual_information, fixed_range=(0.0, 1.0), moved_range=(0.0, 1.0)
    ),
    "ngf": losses.ngf,
    "mse": lambda fixed, moved, mask=None: -losses.mse(fixed, moved, mask=mask),
}
# These see single voxels, so they can be computed from some of them.
VOXELWISE = ("ncc", "mi", "mse")


def similarity_of(name: str) -> Callable[..., Any]:
    """The function ``(fixed, moved, mask=) -> (batch,)`` behind a name.

    Raises:
        InputError: on an unknown name.
    """
    if name not in SIMILARITIES:
        raise InputError(
            f"similarity must be one of {tuple(SIMILARITIES)}. Received: similarity={name}"
        )
    return SIMILARITIES[name]
