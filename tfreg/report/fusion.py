"""The page of a fusion."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfreg.geometry import Geometry
from tfreg.report import frame, sheets, tables
from tfreg.report.planes import Plane, planes

_CHOICES = {
    "first-second": "both images",
    "first-fused": "first and fused",
    "second-fused": "second and fused",
}


def fusion_html(
    geometry: Geometry,
    images: Mapping[str, np.ndarray],
    weight: np.ndarray,
    *,
    figures: Sequence[tuple[str, str]] = (),
    settings: Sequence[tuple[str, str]] = (),
    warnings: Sequence[str] = (),
    preset: Mapping[str, Any],
    title: str = "Fusion",
) -> str:
    """One page about two images that were fused, with all that it shows; it requests nothing.

    Each two of both images and the fused one under a slider to drag or as a checkerboard, and the
    weight of the first image: white where it is the sharper one.

    Args:
        geometry: of all of them.
        images: ``"first"``, ``"second"`` on the same grid, and ``"fused"``: ``(*spatial)``, or in
            colour ``(*spatial, 3)`` in [0, 1].
        weight: ``(*spatial)`` in [0, 1].
        figures: what was measured, and settings: how it was done; names and values.
        settings: as figures.
        warnings: what should be looked at.
        preset: what is known of the network, as ``tfreg models --json`` lists it.
        title: heading of the page.

    Returns:
        HTML. Open it in any browser from the last years; it needs no network.

    Example:

    >>> import numpy as np
    >>> from tfreg import Geometry, report
    >>> images = dict.fromkeys(("first", "second", "fused"), np.eye(8))
    >>> grid, about = Geometry.of_shape((8, 8)), {"name": "a network"}
    >>> page = report.fusion_html(grid, images, np.eye(8), preset=about, title="CT and MRI")
    >>> page.splitlines()[0], "CT and MRI" in page
    ('<!DOCTYPE html>', True)
    """
    shown = planes(geometry)
    data = {
        "planes": [_plane_data(plane, geometry, images, weight) for plane in shown],
        "names": {name: name for name in images},
        "maps": {"weight": "weight of the first image"},
    }
    pictures = frame.planes(shown, {"weight": "Weight of the first image"})
    note = '<p class="quiet">Grey images are shown in their own windows of grey, the weight from 0 '
    note += "(the second image) to 1.</p>"
    body = "".join(
        [
            frame.figures(figures) if figures else "",
            frame.warnings(warnings),
            frame.card("Images", frame.controls(_CHOICES) + pictures + note),
            frame.card("How", tables.rows(settings)) if settings else "",
            frame.network(preset),
        ]
    )
    return frame.document(title, "fusion", body, data)


def _plane_data(
    plane: Plane, geometry: Geometry, images: Mapping[str, np.ndarray], weight: np.ndarray
) -> dict[str, Any]:
    pictures = {
        name: sheets.colour_sheet(image, plane)
        if image.ndim > geometry.ndim
        else sheets.grey_sheet(image, plane, sheets.window(image))
        for name, image in images.items()
    }
    return {
        "name": plane.name,
        "slices": plane.slices,
        "total": 1 if plane.normal is None else geometry.shape[plane.normal],
        "columns": sheets.sheet_columns(len(plane.slices)),
        "sheets": {**pictures, "weight": sheets.grey_sheet(weight, plane, (0.0, 1.0))},
    }
