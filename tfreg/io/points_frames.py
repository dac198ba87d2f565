"""The frame and the unit that a file of points states."""

from pathlib import Path

import numpy as np

from tfreg.errors import InputError

_SIGNS = {"LPS": 1.0, "RAS": -1.0}


def in_lps(points: np.ndarray, frame: str, path: Path) -> np.ndarray:
    """Points of the frame that a file states, in LPS.

    Args:
        points: ``(n, 2)`` or ``(n, 3)``.
        frame: "LPS" or "RAS", of which the first two axes are opposite.
        path: of the file, for the message.

    Raises:
        InputError: on another frame.

    Example:
        >>> in_lps(np.array([[10.0, 20.0, 30.0]]), "RAS", Path("a.vtk")).tolist()
        [[-10.0, -20.0, 30.0]]
    """
    sign = _SIGNS.get(frame.strip().upper())
    if sign is None:
        raise InputError(f"{path} must hold points in LPS or RAS. Received: {frame!r:.80}")
    return points * ([sign, sign, 1.0][: points.shape[1]])


def check_unit(unit: str, path: Path) -> None:
    """Refuses a unit that is not the millimetre."""
    if unit.strip().lower() not in ("mm", "millimeter", "millimetre", "millimeters", "millimetres"):
        raise InputError(f"{path} must hold points in mm. Received: {unit!r:.80}")
