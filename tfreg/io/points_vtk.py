"""Points as VTK's legacy ASCII files."""

from pathlib import Path

import numpy as np

from tfreg.errors import InputError


def parse_vtk(text: str, path: Path) -> np.ndarray:
    """The points ``(n, 3)`` of a legacy ASCII file; its cells and data are left out."""
    lines = text.splitlines()
    if not lines or not lines[0].startswith("# vtk DataFile"):
        raise InputError(f"{path} is not a legacy VTK file. Received: {text[:40]!r}")
    if len(lines) < 3 or lines[2].strip().upper() != "ASCII":
        received = lines[2][:40] if len(lines) > 2 else ""
        raise InputError(f"{path} must be an ASCII file of VTK. Received: {received!r}")
    for number, line in enumerate(lines[3:], 3):
        words = line.split()
        if words and words[0].upper() == "POINTS":
            if len(words) != 3 or not words[1].isdecimal():
                raise InputError(f"{path} has a broken header. Received: {line[:80]!r}")
            return _numbers(lines[number + 1 :], int(words[1]), path)
    raise InputError(f"{path} holds no POINTS.")


def _numbers(lines: list[str], count: int, path: Path) -> np.ndarray:
    values: list[float] = []
    for line in lines:
        if len(values) >= 3 * count:
            break
        try:
            values += [float(word) for word in line.split()]
        except ValueError:  # the next section of the file
            break
    if len(values) != 3 * count:
        raise InputError(
            f"{path} is truncated: {count} points are promised. Received: {len(values)} coordinates"
        )
    return np.array(values).reshape(count, 3)


def print_vtk(points: np.ndarray) -> str:
    """A legacy ASCII file of poly data with one vertex per point; z is 0 in 2-D."""
    count, ndim = points.shape
    points = np.pad(points, ((0, 0), (0, 3 - ndim)))
    lines = ["# vtk DataFile Version 3.0", "points in LPS mm", "ASCII", "DATASET POLYDATA"]
    lines.append(f"POINTS {count} double")
    lines += [" ".join(map(repr, row)) for row in points.tolist()]
    lines.append(f"VERTICES {count} {2 * count}")
    lines += [f"1 {number}" for number in range(count)]
    return "\n".join(lines) + "\n"
