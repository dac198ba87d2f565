"""Points as CSV: with a header of columns, or with the comments of 3D Slicer's ``.fcsv``."""

import csv
import re
from pathlib import Path

import numpy as np

from tfreg.errors import InputError
from tfreg.io.points_frames import check_unit, in_lps

_STATEMENT = re.compile(r"#\s*([a-z ]+?)\s*[=:]\s*(.*)")
_KEYS = {"coordinatesystem": "frame", "space": "frame", "frame": "frame", "columns": "columns"}
_KEYS |= {"unit": "unit", "units": "unit", "coordinateunits": "unit"}
_COLUMN = re.compile(r"([xyzraslp])\s*(?:[_(\[]\s*(\w+)\s*[)\]]?)?")
_AXES = {"xyz": None, "ras": "ras", "lps": "lps"}  # names of columns, and the frame they state
_NUMBERS = {"0": "ras", "1": "lps", "2": "ijk"}  # as 3D Slicer counts its frames


def parse_csv(text: str, path: Path) -> np.ndarray:
    """The points ``(n, ndim)`` in LPS mm of a file with a header of columns.

    The columns x, y[, z] are LPS unless a comment says otherwise ("# CoordinateSystem = RAS"); r,
    a[, s] and l, p[, s] state their frame. A unit, as in "x (mm)" or "# units = mm", must be mm.
    """
    stated, rows = _split(text)
    return _points(rows[0] if rows else [], rows[1:], stated, path)


def parse_fcsv(text: str, path: Path) -> np.ndarray:
    """The points ``(n, 3)`` in LPS mm of a list of 3D Slicer, which must state its frame."""
    stated, rows = _split(text)
    if "frame" not in stated:
        raise InputError(
            f"{path} must have a line '# CoordinateSystem = LPS' (or RAS). Received: none"
        )
    stated["frame"] = _NUMBERS.get(stated["frame"], stated["frame"])
    return _points(stated.get("columns", "id,x,y,z").split(","), rows, stated, path)


def print_csv(points: np.ndarray) -> str:
    """A file with the header x,y[,z]."""
    header = ",".join("xyz"[: points.shape[1]])
    return "\n".join([header, *(",".join(map(repr, row)) for row in points.tolist())]) + "\n"


def print_fcsv(points: np.ndarray) -> str:
    """A list of 3D Slicer in LPS; z is 0 in 2-D."""
    points = np.pad(points, ((0, 0), (0, 3 - points.shape[1])))
    lines = ["# Markups fiducial file version = 4.11", "# CoordinateSystem = LPS"]
    lines.append("# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID")
    for number, row in enumerate(points.tolist(), 1):
        lines.append(f"{number},{','.join(map(repr, row))},0,0,0,1,1,1,0,{number},,")
    return "\n".join(lines) + "\n"


def _split(text: str) -> tuple[dict[str, str], list[list[str]]]:
    """What the comments state, in lower case, and the rows."""
    stated, rows = {}, []
    for line in text.splitlines():
        if line.startswith("#"):
            found = _STATEMENT.fullmatch(line.strip(" ,").lower())
            key = _KEYS.get(found[1].replace(" ", "")) if found else None
            if key is not None:
                stated[key] = found[2]
        elif line.strip(" ,"):
            rows.append(line)
    return stated, list(csv.reader(rows))


def _points(
    header: list[str], rows: list[list[str]], stated: dict[str, str], path: Path
) -> np.ndarray:
    """The coordinates of the rows, of the frame and in the unit that the file states."""
    columns, frame, units = _columns([word.strip().lower() for word in header], path)
    for unit in (*units, *([stated["unit"]] if "unit" in stated else [])):
        check_unit(unit, path)
    if frame is not None and stated.get("frame", frame) != frame:
        raise InputError(
            f"{path} must state one frame. Received: columns of {frame.upper()}, and "
            f"{stated['frame'].upper()!r:.40}"
        )
    points = []
    for number, row in enumerate(rows, 1):
        try:
            points.append([float(row[column]) for column in columns])
        except (ValueError, IndexError) as error:
            raise InputError(
                f"{path} must hold {len(columns)} numbers in every row. "
                f"Received: {','.join(row)!r:.80} as point {number}"
            ) from error
    points = np.array(points, dtype="float64").reshape(-1, len(columns))
    return in_lps(points, stated.get("frame", frame or "lps"), path)


def _columns(header: list[str], path: Path) -> tuple[list[int], str | None, set[str]]:
    """Which columns hold the coordinates, the frame that their names state, and their units."""
    named = [_COLUMN.fullmatch(word) for word in header]
    for axes, frame in _AXES.items():
        places = [[n for n, one in enumerate(named) if one and one[1] == axis] for axis in axes]
        if [len(place) for place in places] in ([1, 1, 0], [1, 1, 1]):
            columns = [place[0] for place in places if place]
            return columns, frame, {named[column][2] for column in columns} - {None}
    raise InputError(
        f"{path} must begin with the header x,y,z (or r,a,s or l,p,s). "
        f"Received: {','.join(header)!r:.80}"
    )
