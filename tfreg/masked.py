"""NumPy's masked arrays, whose mask every calculation here would lose."""

from typing import Any

import numpy as np

from tfreg.errors import InputError


def refuse_masked(values: Any, name: str) -> None:
    """Raises an ``InputError`` where values are masked; a mask that hides nothing may be lost.

    Args:
        values: anything.
        name: what to call it.

    Example:
        >>> refuse_masked(np.ma.masked_less([1.0, 2.0], 0), "fixed")
    """
    hidden = int(np.ma.count_masked(values)) if isinstance(values, np.ma.MaskedArray) else 0
    if hidden:
        raise InputError(
            f"{name} must be a plain array: fill it with numpy.ma.filled, and hand in its mask on "
            f"its own where there is an argument for one. Received: {hidden} masked values of "
            f"{values.size}"
        )
