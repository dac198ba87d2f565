"""Points and sections through linear maps and displacements."""

import numpy as np

from tfreg.serial import lattice


def through(matrix: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Points ``(..., 2)`` px through ``[A | b]``."""
    return places @ matrix[:, :2].T + matrix[:, 2]


def warped(
    image: np.ndarray, displacement: np.ndarray, order: int = 1, mode: str = "constant"
) -> np.ndarray:
    """``image(x + u(x))`` in the dtype of the image.

    Args:
        image: ``(height, width)``.
        displacement: ``(height, width, 2)`` px.
        order: of interpolation.
        mode: beyond the image ``"constant"``: 0, or ``"nearest"``: what its border shows.
    """
    from scipy.ndimage import map_coordinates

    where = np.moveaxis(lattice.points(image.shape, 1) + displacement, -1, 0)
    values = map_coordinates(image, where, "float64", order, mode=mode)
    whole = np.issubdtype(image.dtype, np.integer)
    return (np.rint(values) if whole else values).astype(image.dtype)
