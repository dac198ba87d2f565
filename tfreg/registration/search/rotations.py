"""Rotations that lie evenly among all that there are."""

import numpy as np

# The two constants of a spiral on the sphere of unit quaternions that leaves no gap.
_PHI = np.sqrt(2.0)
_PSI = 1.533751168755204288118041


def rotations(ndim: int, count: int) -> np.ndarray:
    """Matrices ``(count, ndim, ndim)``, the identity first.

    In the plane, angles of equal distance; in space super-Fibonacci spirals, turned so that one of
    them is the identity.

    Args:
        ndim: 2 or 3.
        count: how many, 1 or more.

    Example:

    >>> from tfreg.registration.search.rotations import rotations
    >>> rotations(2, 4).round().astype(int)[1].tolist()
    [[0, -1], [1, 0]]

    Reference:
        Alexa, Super-Fibonacci spirals: fast, low-discrepancy sampling of SO(3), CVPR 2022.
    """
    if ndim == 2:
        angle = 2 * np.pi * np.arange(count) / count
        rows = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        return np.moveaxis(np.array(rows), -1, 0)
    place = np.arange(count) + 0.5
    share, turns = place / count, 2 * np.pi * place
    inner, outer = np.sqrt(share), np.sqrt(1 - share)
    x, y = inner * np.sin(turns / _PHI), inner * np.cos(turns / _PHI)
    z, w = outer * np.sin(turns / _PSI), outer * np.cos(turns / _PSI)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrices = np.moveaxis(np.array(rows), -1, 0)
    return matrices @ matrices[0].T


def angle_of(matrix: np.ndarray) -> float:
    """By how many degrees a rotation turns, 0 to 180."""
    ndim = len(matrix)
    cosine = np.trace(matrix) / 2 if ndim == 2 else (np.trace(matrix) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
