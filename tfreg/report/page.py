"""The page of a registration."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.report import frame, sheets, tables
from tfreg.report.maps import Maps, maps
from tfreg.report.planes import Plane, planes

_COLOURS = sheets.palette()
_NAMES = ("fixed", "before", "after")
_CHOICES = {
    "before-after": "before and after",
    "fixed-after": "fixed and after",
    "fixed-before": "fixed and before",
}
_PICTURES = {
    "difference-before": "Difference before",
    "difference-after": "Difference after",
    "grid": "Deformed grid",
    "jacobian": "Jacobian determinant",
}


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
    data = {
        "planes": [_plane_data(plane, images, limits, fields) for plane in shown],
        "names": {name: name for name in _NAMES},
        "maps": {"jacobian": "map of the Jacobian determinant"},
    }
    body = "".join(
        [
            _summary(answer, fields),
            frame.warnings([*answer.warnings, *answer.check().problems]),
            _pictures(shown, fields),
            '<div class="tables">',
            frame.card("Timings", tables.rows(_timings(answer))),
            frame.card("Geometry", tables.geometries(fixed.geometry, answer.moving.geometry)),
            "</div>",
            _provenance(preset),
        ]
    )
    return frame.document(title, "registration", body, data)


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
    return frame.figures(figures)


def _pictures(shown: tuple[Plane, ...], fields: Maps) -> str:
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
    pictures = frame.controls(_CHOICES) + frame.planes(shown, _PICTURES)
    return frame.card("Images", f"{pictures}{_scale()}{note}</p>")


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
        return frame.card("Network", "<p>None: the transform was optimised on this pair.</p>")
    return frame.network(preset)
