"""Linear transforms: translations, rigid and similarity transforms, affine maps."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.transforms.base import Transform

_SINGULAR = 1e-12  # smallest singular value over the largest, below which space is flattened


@dataclass(frozen=True, eq=False)
class Affine(Transform):
    """``T(x) = matrix (x - centre) + centre + translation``.

    Args:
        matrix: ``(ndim, ndim)``, rows and columns x, y[, z]; invertible.
        translation: ``(ndim,)`` in mm.
        centre: the fixed point of the matrix, ``(ndim,)`` LPS mm; the origin where None.

    Raises:
        InputError: on other shapes, numbers that are not finite, or a singular matrix.

    Example:

    >>> turn = Affine([[0, -1], [1, 0]], [0, 0], centre=[5, 5])
    >>> turn.apply_points([[6.0, 5.0]]).tolist()
    [[5.0, 6.0]]
    >>> turn.inverse().apply_points([[5.0, 6.0]]).tolist()
    [[6.0, 5.0]]
    """

    matrix: np.ndarray
    translation: np.ndarray
    centre: np.ndarray | None = None

    def __post_init__(self):
        matrix = _numbers(self.matrix, "matrix")
        if matrix.shape not in ((2, 2), (3, 3)):
            raise InputError(f"matrix must be 2 x 2 or 3 x 3. Received: shape={matrix.shape}")
        ndim = len(matrix)
        translation = _numbers(self.translation, "translation")
        centre = np.zeros(ndim) if self.centre is None else _numbers(self.centre, "centre")
        for name, vector in (("translation", translation), ("centre", centre)):
            if vector.shape != (ndim,):
                raise InputError(f"{name} must be ({ndim},). Received: shape={vector.shape}")
        scales = np.linalg.svd(matrix, compute_uv=False)
        if not scales[-1] > _SINGULAR * scales[0]:
            raise InputError(f"matrix must be invertible. Received: {matrix.tolist()}")
        for name, value in (("matrix", matrix), ("translation", translation), ("centre", centre)):
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    @classmethod
    def identity(cls, ndim: int) -> "Affine":
        """The map of every point to itself.

        Args:
            ndim: 2 or 3.
        """
        return cls(np.eye(ndim), np.zeros(ndim))

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return len(self.matrix)

    @property
    def offset(self) -> np.ndarray:
        """``b`` of ``T(x) = matrix x + b``, ``(ndim,)`` in mm."""
        return self.centre + self.translation - self.matrix @ self.centre

    def inverse(self) -> "Affine":
        """``T^-1(y) = matrix^-1 (y - centre) + centre - matrix^-1 translation``."""
        matrix = np.linalg.inv(self.matrix)
        return Affine(matrix, -matrix @ self.translation, self.centre)

    def _map(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        return (points - self.centre) @ self.matrix.T + (self.centre + self.translation)

    def _jacobian(self, points: np.ndarray, continued: bool = False) -> np.ndarray:
        return np.tile(self.matrix, (len(points), 1, 1))


def _numbers(values: Any, name: str) -> np.ndarray:
    try:
        values = np.array(values, dtype="float64")
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must hold numbers: {error}.") from error
    if not np.isfinite(values).all():
        raise InputError(f"{name} must be finite. Received: {values.tolist()}")
    return values
