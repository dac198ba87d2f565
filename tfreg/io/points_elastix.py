"""Points as elastix and transformix read and write them."""

import re
from pathlib import Path

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import Geometry


def parse_elastix(text: str, path: Path, geometry: Geometry | None) -> np.ndarray:
    """The points ``(n, ndim)`` in LPS mm of an input or an output file of transformix."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and lines[0].lower().startswith("point") and "OutputPoint" in lines[0]:
        return _output(lines, path)
    if len(lines) < 2 or lines[0].lower() not in ("point", "index"):
        raise InputError(
            f"{path} must begin with a line 'point' or 'index' and one with the number of points. "
            f"Received: {text[:40]!r}"
        )
    if not lines[1].isdecimal():
        raise InputError(f"{path} needs the number of points. Received: {lines[1][:40]!r}")
    rows = lines[2:]
    if len(rows) != int(lines[1]):
        raise InputError(
            f"{path} is truncated or its header is wrong: {lines[1]} points are promised. "
            f"Received: {len(rows)}"
        )
    points = _table([row.split() for row in rows], path)
    if lines[0].lower() == "point":
        return points
    if geometry is None:
        raise InputError(f"{path} holds indices, so the geometry of their image is needed.")
    if points.shape[1] != geometry.ndim:
        raise InputError(
            f"{path} must hold {geometry.ndim} numbers per index. Received: {points.shape[1]}"
        )
    return geometry.to_physical(points[:, ::-1])  # indices are x, y, z, ours z, y, x


def print_elastix(points: np.ndarray, geometry: Geometry | None) -> str:
    """A file of points; of indices into the image where its geometry is given."""
    kind = "point" if geometry is None else "index"
    values = points if geometry is None else geometry.to_index(points)[:, ::-1]
    lines = [kind, str(len(values)), *(" ".join(map(repr, row)) for row in values.tolist())]
    return "\n".join(lines) + "\n"


def _output(lines: list[str], path: Path) -> np.ndarray:
    rows = []
    for line in lines:
        found = re.search(r"OutputPoint\s*=\s*\[([^\]]*)\]", line)
        if not found:
            raise InputError(f"{path} is truncated: no OutputPoint. Received: {line[:40]!r}")
        rows.append(found[1].split())
    return _table(rows, path)


def _table(rows: list[list[str]], path: Path) -> np.ndarray:
    try:
        values = [[float(word) for word in row] for row in rows]
    except ValueError as error:
        raise InputError(f"{path} must hold numbers: {error}") from error
    lengths = {len(row) for row in values}
    if not lengths:
        raise InputError(f"{path} holds no points.")
    if lengths not in ({2}, {3}):
        raise InputError(
            f"{path} must hold 2 or 3 numbers per point. Received: {sorted(lengths)} numbers"
        )
    return np.array(values)
