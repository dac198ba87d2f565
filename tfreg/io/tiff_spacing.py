"""The size of a voxel that a TIFF states: in its tags, or as ImageJ, OME or tifffile write it."""

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from tfreg.errors import InputError

_MILLIMETRES = {"nm": 1e-6, "um": 1e-3, "mm": 1.0, "cm": 10.0, "m": 1000.0, "inch": 25.4}
_SPELLINGS = {"µm": "um", "μm": "um", "micron": "um", "microns": "um", "in": "inch"}
_SPELLINGS |= {"micrometer": "um", "micrometre": "um", "millimeter": "mm", "millimetre": "mm"}
_SPELLINGS |= {"inches": "inch", '"': "inch", "centimeter": "cm", "nanometer": "nm", "meter": "m"}
_NONE = ("", "pixel", "pixels", "none", "reference_frame", "referenceframe")
_RESOLUTION_UNITS = {2: "inch", 3: "cm"}


def spacing_of(file: Any, series: Any, path: Path) -> dict[str, float]:
    """The spacing in mm along "X", "Y" and "Z", upright; 1 where the file states none.

    Args:
        file: a ``tifffile.TiffFile``.
        series: the image in it.
        path: of the file, for the message.

    Raises:
        InputError: if it is in an unknown unit.
    """
    if file.is_ome:
        found = _of_ome(file.ome_metadata, path)
    else:
        stated = {**((file.shaped_metadata or ({},))[0]), **(file.imagej_metadata or {})}
        found = _of_tags(series.keyframe, stated, path)
    spacing = {axis: found.get(axis) or 1.0 for axis in "XYZ"}
    if not all(math.isfinite(step) and step > 0 for step in spacing.values()):
        raise InputError(f"{path} must have a positive spacing. Received: {spacing}")
    if series.keyframe.tags.valueof(274, 1) >= 5:  # rows and columns change places
        spacing["X"], spacing["Y"] = spacing["Y"], spacing["X"]
    return spacing


def _of_tags(page: Any, stated: dict[str, Any], path: Path) -> dict[str, float]:
    """Of the tags of resolution; the unit and the step along z are ImageJ's or tifffile's."""
    named = _unit(str(stated.get("unit", "")), path)
    tagged = page.tags.valueof(296, 1 if named else 2)  # 1: none, so that the named one counts
    unit = _unit(_RESOLUTION_UNITS[tagged], path) if tagged in _RESOLUTION_UNITS else named
    found = {}
    for axis, tag in (("X", 282), ("Y", 283)):
        many, one = page.tags.valueof(tag, (0, 0))
        if unit and many and one:
            found[axis] = unit * one / many
    if named and "spacing" in stated:
        found["Z"] = named * abs(float(stated["spacing"]))
    return found


def _of_ome(text: str, path: Path) -> dict[str, float]:
    """Of OME's XML, whose unit is the micrometre where it names none."""
    pixels = next(
        (one for one in ElementTree.fromstring(text).iter() if one.tag.endswith("}Pixels")), None
    )
    found = {}
    for axis in "XYZ" if pixels is not None else "":
        step = pixels.get(f"PhysicalSize{axis}")
        unit = _unit(pixels.get(f"PhysicalSize{axis}Unit", "µm"), path)
        if step is not None and unit:
            found[axis] = unit * float(step)
    return found


def _unit(name: str, path: Path) -> float | None:
    """How many mm a unit has; None where it is none."""
    short = name.replace("\\u00B5", "µ").strip().lower()
    short = _SPELLINGS.get(short, short)
    if short in _NONE:
        return None
    if short not in _MILLIMETRES:
        raise InputError(
            f"{path} must state its spacing in {', '.join(_MILLIMETRES)}. Received: {name!r:.40}"
        )
    return _MILLIMETRES[short]
