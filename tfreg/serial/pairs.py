"""Registering two sections without a network."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfreg.registration import Level, Pyramid, Registration, register

# Shrink factor, px between control points, and steps. A knife bends a section over a hundred px;
# with a finer grid NCC rises further, by deforming tissue that has changed into what it was.
_LEVELS = ((4, 128.0, 60), (4, 64.0, 60), (2, 32.0, 40))


def pyramid_for(shape: Sequence[int]) -> Pyramid:
    """The levels for sections of a size: control points from 128 to 32 px apart.

    Args:
        shape: height and width; of small sections the coarser levels are left out.

    Example:

    >>> from tfreg.serial import pyramid_for
    >>> [level.grid_spacing for level in pyramid_for((512, 512)).levels]
    [128.0, 64.0, 32.0]
    """
    fitting = [level for level in _LEVELS if 2 * level[1] <= min(shape)] or [_LEVELS[-1]]
    return Pyramid(tuple(Level(k, grid_spacing=s, steps=n) for k, s, n in fitting))


def register_sections(
    fixed: np.ndarray, moving: np.ndarray, fixed_mask: Any = None, moving_mask: Any = None
) -> Registration:
    """Cubic B-splines on NCC, coarse to fine: :func:`tfreg.registration.register` for sections.

    Args:
        fixed: ``(height, width)``.
        moving: a section of the same shape.
        fixed_mask, moving_mask: where they show tissue; ``None``: everywhere.
    """
    masks = {"fixed_mask": fixed_mask, "moving_mask": moving_mask}
    return register(fixed, moving, "bspline", pyramid=pyramid_for(np.shape(fixed)), **masks)


def sections_by(model: Any) -> Callable[..., Registration]:
    """A model as what registers a pair of sections for :func:`tfreg.serial.align`.

    Args:
        model: a :class:`tfreg.models.RegistrationModel`; what lies outside the sections does not
            count where its ``sees_masks`` is true.
    """
    if model.sees_masks:
        return model.register
    return lambda fixed, moving, **masks: model.register(fixed, moving)
