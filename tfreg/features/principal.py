"""Principal components of vectors that come in batches."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

_TINY = 1e-8  # share of the largest variance below which a direction holds rounding alone


class Principal(NamedTuple):
    """The directions in which vectors vary most.

    Attributes:
        mean: ``(length,)``.
        directions: ``(length, count)``, orthonormal columns, the most varying first.
        variances: ``(count,)``, along them.
    """

    mean: np.ndarray
    directions: np.ndarray
    variances: np.ndarray

    @property
    def whitening(self) -> np.ndarray:
        """``(length, count)``: what centred vectors are multiplied with, so that they vary alike
        along all directions."""
        floor = max(float(self.variances[0]) * _TINY, 1e-30)
        return self.directions / np.sqrt(np.maximum(self.variances, floor))


def principal(batches: Iterable[np.ndarray], count: int) -> Principal:
    """Principal components of all vectors of some batches, of which one is held at a time.

    A direction is turned so that the sum of its components is not negative: else its sign would be
    an accident.

    Args:
        batches: arrays ``(n, length)``.
        count: of directions, at most ``length``.

    Raises:
        ValueError: without two vectors, or on more directions than components.

    Example:

    >>> import numpy as np
    >>> from tfreg.features.principal import principal
    >>> line = np.arange(10.0)[:, None] * [3, 4] + [1, 0]
    >>> found = principal([line[:5], line[5:]], 1)
    >>> found.directions[:, 0].round(6).tolist(), found.mean.tolist()
    ([0.6, 0.8], [14.5, 18.0])
    """
    number, total, square, shift = 0, 0.0, 0.0, None
    for batch in batches:
        values = np.asarray(batch, "float64")
        shift = values.mean(axis=0) if shift is None else shift  # against cancellation
        values = values - shift
        number, total = number + len(values), total + values.sum(axis=0)
        square = square + values.T @ values
    if number < 2 or count > len(total) or count < 1:
        raise ValueError(
            "There must be two vectors or more, and no more directions than components. "
            f"Received: {number} vectors, count={count}"
        )
    centre = total / number
    covariance = square / number - np.outer(centre, centre)
    variances, directions = np.linalg.eigh(covariance)
    variances, directions = variances[::-1][:count], directions[:, ::-1][:, :count]
    directions = directions * np.where(directions.sum(axis=0) < 0, -1, 1)
    return Principal(shift + centre, directions, np.maximum(variances, 0))
