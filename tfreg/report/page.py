"""The page of a registration."""

import json
import os
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from tfreg import __version__
from tfreg.errors import InputError
from tfreg.report import sheets, tables
from tfreg.report.maps import Maps, maps
from tfreg.report.planes import Plane, planes

_COLOURS = sheets.palette()
# What a reader asks of a network first; the rest is folded away.
_FIRST = ("name", "summary", "licence", "provenance", "score", "preprocessing", "sha256")


def html(answer: Any, preset: Mapping[str, Any] | None = None, title: str = "Registration") -> str:
    """One page about one registration, with all that it shows inside: it requests nothing.

    Images before and after under a slider to drag, as a checkerboard, and their differences; the
    deformed grid and the Jacobian determinant; similarity, folding, timings, where the network
    comes from, the geometry of both images and what should be looked at.

    Args:
        answer: a ``tfreg.registration.PhysicalRegistration``.
        preset: what is known of the network, as ``tfreg models --json`` lists it.
        title: heading of the page.

    Returns:
        HTML. Open it in any browser from the last years; it needs no network.
    """
    fixed = answer.fixed
    low = float(np.min(answer.moving.array))
    before = answer.initial.apply(answer.moving, fixed.geometry, fill=low)
    fields = maps(fixed.geometry, answer.transform, answer.initial)
    shown = planes(fixed.geometry)
    images = {"fixed": fixed.array, "before": before.array, "after": answer.moved.array}
    window = sheets.window(answer.moving.array)
    limits = {"fixed": sheets.window(fixed.array), "before": window, "after": window}
    data = {"planes": [_plane_data(plane, images, limits, fields) for plane in shown]}
    body = "".join(
        [
            _summary(answer, fields),
            _warnings(answer),
            _pictures(shown, fields),
            '<div class="tables">',
            _card("Timings", tables.rows(_timings(answer))),
            _card("Geometry", tables.geometries(fixed.geometry, answer.moving.geometry)),
            "</div>",
            _provenance(preset),
        ]
    )
    # "</" would end the script that holds the data, whatever the JSON around it says.
    content = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    return _PAGE.format(
        title=escape(title),
        style=_part("page.css"),
        version=escape(__version__),
        body=body,
        data=content,
        script=_part("page.js"),
    )


def write(
    path: str | os.PathLike,
    answer: Any,
    preset: Mapping[str, Any] | None = None,
    title: str = "Registration",
) -> None:
    """Writes the page of :func:`html`, whole or not at all.

    Args:
        path: of the file.
        answer: as for :func:`html`.
        preset: as for :func:`html`.
        title: as for :func:`html`.

    Raises:
        InputError: if the file cannot be written.
    """
    path = Path(path)
    content = html(answer, preset, title)
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        partial.write_text(content, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _part(name: str) -> str:
    return resources.files("tfreg.report").joinpath(name).read_text(encoding="utf-8")


def _plane_data(
    plane: Plane,
    images: dict[str, np.ndarray],
    limits: dict[str, tuple[float, float]],
    fields: Maps,
) -> dict[str, Any]:
    size = images["fixed"].shape
    pictures = {key: sheets.grey_sheet(images[key], plane, limits[key]) for key in images}
    return {
        "name": plane.name,
        "slices": plane.slices,
        "total": 1 if plane.normal is None else size[plane.normal],
        "columns": sheets.sheet_columns(len(plane.slices)),
        "sheets": {**pictures, "jacobian": sheets.jacobian_sheet(fields, plane, size)},
        "grid": sheets.grid_lines(fields, plane, size),
    }


def _summary(answer: Any, fields: Maps) -> str:
    name = answer.similarity.upper()
    check = answer.check()
    figures = [
        (f"{name} before", f"{float(answer.similarity_before):.4f}"),
        (f"{name} after", f"{float(answer.similarity_after):.4f}"),
        ("Folding before", f"{fields.initial_folding:.3g} %"),
        ("Folding after", f"{check.folding:.3g} %"),
        ("Jacobian determinant", f"{check.jacobian_min:.3g} to {check.jacobian_max:.3g}"),
        ("Time", f"{float(answer.seconds):.3g} s"),
    ]
    items = "".join(f"<div><dt>{escape(n)}</dt><dd>{escape(v)}</dd></div>" for n, v in figures)
    return _card("In short", f'<dl class="figures">{items}</dl>')


def _warnings(answer: Any) -> str:
    found = [*answer.warnings, *answer.check().problems]
    if not found:
        return _card("Warnings", "<p>None: nothing that should be looked at was noticed.</p>")
    items = "".join(f"<li>{escape(str(text))}</li>" for text in dict.fromkeys(found))
    return _card("Warnings", f"<ul>{items}</ul>", "card warnings")


def _pictures(shown: tuple[Plane, ...], fields: Maps) -> str:
    single = " single" if len(shown) == 1 else ""
    sections = "".join(_plane(plane) for plane in shown)
    grid = " x ".join(map(str, fields.geometry.size))
    note = (
        '<p class="quiet">Before: the moving image after the initial alignment alone, on the grid '
        "of the fixed image. Grid and Jacobian were taken at "
        f"{grid} points of the fixed image, of which {fields.folding:.3g} % fold; the grid shows "
        "what the registration adds to the initial alignment, within the plane. Differences: "
        "|fixed - before| and |fixed - after|, each image in its own window of grey."
    )
    if len(shown) > 1:
        note += " R, L, A, P, I, S: the patient's right, left, front, back, feet and head."
    return _card(
        "Images",
        f'{_CONTROLS}<div class="planes{single}">{sections}</div>{_scale()}{note}</p>',
    )


def _plane(plane: Plane) -> str:
    width, height = plane.extent
    # Physical proportions; no higher than 30 rem, so that a tall slice fits a screen.
    tallest = 42 if plane.normal is None else 30
    frame = (
        f"aspect-ratio:{width:.6g}/{height:.6g};width:min(100%,{tallest * width / height:.6g}rem)"
    )
    letters = "".join(
        f'<span class="letter {place}" aria-hidden="true">{escape(letter)}</span>'
        for place, letter in zip(("left", "right", "top", "bottom"), plane.letters, strict=True)
    )
    slices = ""
    if len(plane.slices) > 1:
        slices = (
            '<div class="slices"><span aria-hidden="true">'
            f"<span>{plane.name.capitalize()} slice</span><output></output></span>"
            f'<input class="slice" type="range" min="0" max="{len(plane.slices) - 1}" step="1" '
            f'aria-label="{plane.name.capitalize()} slice"></div>'
        )

    def canvas(name: str, caption: str) -> str:
        return (
            f'<figure><div class="frame" style="{frame}"><canvas class="{name}" role="img" '
            f'aria-label="{caption}"></canvas></div><figcaption>{caption}</figcaption></figure>'
        )

    return (
        f'<section class="plane" aria-label="{plane.name}"><div><h3>{plane.name}</h3>'
        f'<div class="frame" style="{frame}">'
        '<canvas class="compare" role="img" aria-label="images to compare"></canvas>'
        f'{letters}<span class="chip left-name"></span><span class="chip right-name"></span>'
        '<input class="wipe" type="range" min="0" max="100" value="50" '
        f'aria-label="{plane.name}: border between the two images"></div>{slices}</div>'
        f'<div><div class="pair">{canvas("difference-before", "Difference before")}'
        f"{canvas('difference-after', 'Difference after')}"
        f"{canvas('grid', 'Deformed grid')}{canvas('jacobian', 'Jacobian determinant')}"
        "</div></div></section>"
    )


def _scale() -> str:
    stops = ",".join("rgb({},{},{})".format(*_COLOURS[i]) for i in range(0, 255, 127 // 4))
    return (
        '<div class="scale" role="img" aria-label="Colours of the Jacobian determinant: blue where '
        "volume shrinks to a half, white where it stays, red where it doubles, yellow where the "
        f'map folds"><div class="bar" style="background:linear-gradient(90deg,{stops})"></div>'
        "<span>0.5 smaller</span><span>Jacobian 1</span><span>larger 2</span></div>"
        '<p class="quiet"><span class="swatch"></span> the map folds (determinant 0 or below)</p>'
    )


def _timings(answer: Any) -> list[tuple[str, str]]:
    inner = answer.inner
    lines = [("all of it", f"{answer.seconds:.4g} s"), ("registering", f"{inner.seconds:.4g} s")]
    if inner.compile_seconds:
        lines.append(("compiling, once for a size", f"{inner.compile_seconds:.4g} s"))
    return lines + [(f"level {n}", str(level)) for n, level in enumerate(inner.levels, 1)]


def _provenance(preset: Mapping[str, Any] | None) -> str:
    if preset is None:
        return _card("Network", "<p>None: the transform was optimised on this pair.</p>")
    known = {key: value for key, value in preset.items() if key not in ("path", "format")}
    first = {key: known.pop(key) for key in _FIRST if key in known}
    rest = f"<details><summary>All that is known</summary>{_lines(known)}</details>"
    return _card("Network", _lines(first) + (rest if known else ""))


def _lines(content: Mapping[str, Any]) -> str:
    return tables.rows(tables.flattened(content))


def _card(heading: str, content: str, kind: str = "card") -> str:
    return (
        f'<section class="{kind}"><h2>{heading}</h2><div class="scroll">{content}</div></section>'
    )


_CONTROLS = """
<div class="controls">
<fieldset><legend>Compare</legend>
<label><input type="radio" name="compare" value="before-after" checked> before and after</label>
<label><input type="radio" name="compare" value="fixed-after"> fixed and after</label>
<label><input type="radio" name="compare" value="fixed-before"> fixed and before</label>
</fieldset>
<fieldset><legend>As</legend>
<label><input type="radio" name="view" value="slider" checked> slider</label>
<label><input type="radio" name="view" value="checkerboard"> checkerboard</label>
</fieldset>
</div>
<noscript><p>The pictures are drawn by JavaScript, which this browser does not run.</p></noscript>
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<header><h1>{title}</h1><p class="quiet">A registration by tfreg {version}</p></header>
<main>
{body}
</main>
<script id="data" type="application/json">{data}</script>
<script>
{script}</script>
</body>
</html>
"""
