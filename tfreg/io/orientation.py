"""How the rows and columns of a picture lie, as TIFF and EXIF state it."""

import numpy as np

UPRIGHT = 1


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """A picture with its first row at the top and its first column at the left.

    Args:
        array: ``(rows, columns, ...)`` as stored.
        orientation: 1 to 8, as TIFF 6.0 numbers where the first row and column are; from 5 on the
            rows are stored as columns.

    Example:
        >>> upright(np.array([[1, 2], [3, 4]]), 6).tolist()
        [[3, 1], [4, 2]]
    """
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return array[rows, columns]
