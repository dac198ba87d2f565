"""Registering two sections without a network."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from tfreg.errors import InputError
from tfreg.registration import Level, Pyramid, Registration, register

# Shrink factor, px between control points, and steps. Grid and weight were chosen on validation
# sections, see the table ssem-choices.
_LEVELS = ((4, 128.0, 60), (4, 64.0, 60), (2, 32.0, 40), (2, 16.0, 40))
FINEST = 16.0  # px
WEIGHT = 0.2  # of the bending of the control points


def pyramid_for(shape: Sequence[int], finest: float = FINEST) -> Pyramid:
    """The levels for sections of a size: control points from 128 px apart on.

    Args:
        shape: height and width; of small sections the coarser levels are left out.
        finest: px between control points at last, 128, 64, 32 or 16.

    Raises:
        InputError: on another finest distance.

    Example:

    >>> from tfreg.serial import pyramid_for
    >>> [level.grid_spacing for level in pyramid_for((512, 512)).levels]
    [128.0, 64.0, 32.0, 16.0]
    """
    distances = [spacing for _, spacing, _ in _LEVELS]
    if finest not in distances:
        raise InputError(f"finest must be one of {distances}. Received: finest={finest}")
    levels = _LEVELS[: distances.index(finest) + 1]
    fitting = [level for level in levels if 2 * level[1] <= min(shape)] or [levels[-1]]
    return Pyramid(tuple(Level(k, grid_spacing=s, steps=n, weight=WEIGHT) for k, s, n in fitting))


def register_sections(
    fixed: np.ndarray,
    moving: np.ndarray,
    fixed_mask: Any = None,
    moving_mask: Any = None,
    finest: float = FINEST,
) -> Registration:
    """Cubic B-splines on NCC, coarse to fine: :func:`tfreg.registration.register` for sections.

    Args:
        fixed: ``(height, width)``.
        moving: a section of the same shape.
        fixed_mask, moving_mask: where they show tissue; ``None``: everywhere.
        finest: of :func:`pyramid_for`.

    Returns:
        What :func:`tfreg.registration.register` answers.

    Raises:
        InputError: as that does.

    Example:

    >>> import numpy as np
    >>> from tfreg.data import tissue
    >>> from tfreg.serial import register_sections
    >>> section = tissue.block(1, (64, 64)).images[0]
    >>> answer = register_sections(section[:, :-3], section[:, 3:])
    >>> round(float(answer.displacement[32, 32, 1]))
    -3
    """
    masks = {"fixed_mask": fixed_mask, "moving_mask": moving_mask}
    pyramid = pyramid_for(np.shape(fixed), finest)
    answer = register(fixed, moving, "bspline", pyramid=pyramid, **masks)
    return cast("Registration", answer)  # of arrays


def sections_by(model: Any) -> Callable[..., Registration]:
    """A model as what registers a pair of sections for :func:`tfreg.serial.align`.

    Args:
        model: a :class:`tfreg.models.RegistrationModel`; what lies outside the sections does not
            count where its ``sees_masks`` is true.

    Returns:
        Function ``(fixed, moving, fixed_mask=, moving_mask=)``.
    """
    if model.sees_masks:
        return model.register
    return lambda fixed, moving, **masks: model.register(fixed, moving)
