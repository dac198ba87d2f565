"""The tables of a report, as HTML."""

import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from tfreg.geometry import Geometry
from tfreg.report.planes import orientation

_LONGEST = 16  # a longer list, such as a learning curve, is no line of a table


def rows(pairs: Iterable[tuple[str, str]]) -> str:
    """A table of names and values.

    Example:

    >>> rows([("size", "3 x 4")])
    '<table><tbody><tr><th scope="row">size</th><td>3 x 4</td></tr></tbody></table>'
    """
    lines = "".join(
        f'<tr><th scope="row">{escape(str(name))}</th><td>{escape(str(value))}</td></tr>'
        for name, value in pairs
    )
    return f"<table><tbody>{lines}</tbody></table>"


def columns(header: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    """A table with a header; the first cell of each line names it."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in lines
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def geometries(fixed: Geometry, moving: Geometry) -> str:
    """The geometry of both images, side by side."""
    described = [_geometry(geometry) for geometry in (fixed, moving)]
    lines = [(name, value, described[1][name]) for name, value in described[0].items()]
    return columns(("", "fixed", "moving"), lines)


def _geometry(geometry: Geometry) -> dict[str, str]:
    return {
        "size (voxels)": " x ".join(map(str, geometry.size)),
        "spacing (mm)": " x ".join(map(number, geometry.spacing)),
        "extent (mm)": " x ".join(map(number, geometry.extent)),
        "origin (mm, LPS)": ", ".join(map(number, geometry.origin)),
        "axes lead to": orientation(geometry),
        "direction": "; ".join(" ".join(map(number, row)) for row in geometry.direction),
    }


def flattened(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A nested mapping as lines; long lists, such as learning curves, are left out.

    Example:

    >>> flattened({"score": {"metric": "ncc", "value": 0.97}, "size": [2, 3]})
    [('score: metric', 'ncc'), ('score: value', '0.97'), ('size', '2, 3')]
    """
    found = []
    for key, value in content.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            found += flattened(value, f"{name}: ")
        elif isinstance(value, (list, tuple)):
            if len(value) <= _LONGEST:
                found.append((name, ", ".join(map(number, value))))
        elif value is not None:
            found.append((name, number(value)))
    return found


def number(value: Any) -> str:
    """A number with as many digits as are of use; anything else as it is.

    Example:

    >>> number(0.123456789), number(2.0), number(-0.0), number(True), number("a")
    ('0.123457', '2', '0', 'True', 'a')
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    return f"{value + 0.0:.6g}" if value else "0"
