"""Points as 3D Slicer's ``.mrk.json``."""

import json
from pathlib import Path

import numpy as np

from tfreg.errors import InputError
from tfreg.io.points_frames import check_unit, in_lps

_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
    "Resources/Schema/markups-schema-v1.0.3.json#"
)


def parse_markups(text: str, path: Path) -> np.ndarray:
    """The points ``(n, 3)`` in LPS mm of the one list of a file; LPS where it states no frame."""
    try:
        lists = json.loads(text)["markups"]
        if len(lists) != 1:
            raise InputError(f"{path} must hold one list of points. Received: {len(lists)} lists")
        markup = lists[0]
        points = markup["controlPoints"]
        undefined = sum(one.get("positionStatus", "defined") != "defined" for one in points)
        if undefined:
            raise InputError(f"{path} must place all its points. Received: {undefined} undefined")
        table = np.array([one["position"] for one in points], dtype="float64").reshape(-1, 3)
        if len(table) != len(points):
            raise ValueError("positions have three numbers")
        frame, unit = markup.get("coordinateSystem", "LPS"), markup.get("coordinateUnits", "mm")
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path} must hold points as 3D Slicer's .mrk.json does. "
            f"Received: {type(error).__name__}: {str(error).splitlines()[0]:.80}"
        ) from error
    check_unit(str(unit), path)
    return in_lps(table, str(frame), path)


def print_markups(points: np.ndarray) -> str:
    """A list of points in LPS mm; z is 0 in 2-D."""
    points = np.pad(points, ((0, 0), (0, 3 - points.shape[1])))
    placed = [
        {"id": str(number), "label": str(number), "position": row, "positionStatus": "defined"}
        for number, row in enumerate(points.tolist(), 1)
    ]
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "coordinateUnits": "mm"}
    content = {"@schema": _SCHEMA, "markups": [{**markup, "controlPoints": placed}]}
    return json.dumps(content, indent=1) + "\n"
