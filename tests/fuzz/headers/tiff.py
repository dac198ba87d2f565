"""TIFF, written with tifffile."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from ..draws import Alteration, Draft, alter, chance, damage, damaged, pick, voxels

_TYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "f4")


class Pages:
    """The pages of a file, and how they are to be written."""

    def __init__(self, rng: np.random.Generator):
        self.pages = 1
        self.size = [int(n) for n in rng.integers(2, 40, 2)]
        self.dtype = pick(rng, _TYPES)
        self.values = voxels(rng, (self.pages, *self.size), self.dtype)
        self.options: dict[str, Any] = {"photometric": "minisblack", "metadata": None}
        self.byteorder, self.bigtiff, self.damaged = pick(rng, "<<>"), False, False
        self.imagej, self.ome, self.tags = False, False, []
        self.overwritten: dict[int, int] = {}
        if chance(rng, 0.3):
            self.options["compression"] = "zlib"
        if chance(rng, 0.3):
            self.options["rowsperstrip"] = int(rng.integers(1, 9))
        if chance(rng, 0.4):
            dots = (float(pick(rng, [10, 100, 254])), float(pick(rng, [10, 50])))
            self.options |= {
                "resolution": dots,
                "resolutionunit": pick(rng, ["CENTIMETER", "INCH"]),
            }
        if chance(rng, 0.3):
            self.options["description"] = pick(rng, ["a section", "ImageJ", "x=1\ny=2"])

    def write(self, path: Path) -> None:
        values = self.values[0] if len(self.values) == 1 else self.values
        order = {"byteorder": self.byteorder, "bigtiff": self.bigtiff}
        with tifffile.TiffWriter(path, imagej=self.imagej, ome=self.ome, **order) as writer:
            writer.write(values, extratags=self.tags, **self.options)


def make(rng: np.random.Generator, folder: Path) -> Draft:
    """Writes a file."""
    pages = Pages(rng)
    kind, notes = alter(pages, _ALTERATIONS, rng)
    path = folder / pick(rng, ["image.tif", "image.tiff"])
    pages.write(path)
    if pages.overwritten and not pages.bigtiff:
        path.write_bytes(_overwritten(path.read_bytes(), pages.overwritten))
    if pages.damaged:
        path.write_bytes(damage(path.read_bytes(), rng))
    return Draft(path, kind, notes)


def _overwritten(content: bytes, values: dict[int, int]) -> bytes:
    """The content with other short numbers in the fields of its first page."""
    order = "<" if content[:2] == b"II" else ">"
    altered = bytearray(content)
    (page,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, page)
    for field in range(page + 2, page + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from(f"{order}HHI", content, field)
        if tag in values and (kind, number) == (3, 1):
            struct.pack_into(f"{order}H", altered, field + 8, values[tag])
    return bytes(altered)


# Alterations


def _more_tags(pages: Pages, rng: np.random.Generator) -> None:
    pages.options["software"] = "made at random"
    pages.options["datetime"] = "2020:01:01 00:00:00"


def _unnamed(pages: Pages, rng: np.random.Generator) -> None:
    """Pages of which nothing is said."""
    pages.pages = pick(rng, [2, 3, 5])
    pages.values = voxels(rng, (pages.pages, *pages.size), pages.dtype)


def _tiled(pages: Pages, rng: np.random.Generator) -> None:
    pages.options.pop("rowsperstrip", None)
    pages.options["tile"] = (16, pick(rng, [16, 32]))


def _other_type(pages: Pages, rng: np.random.Generator) -> str:
    pages.dtype = pick(rng, ["f2", "f8", "i8", "u8", "bool", "c8"])
    kind = {"bool": "u1", "c8": "f4"}.get(pages.dtype, pages.dtype)
    values = voxels(rng, pages.values.shape, kind)
    pages.values = values > 0 if pages.dtype == "bool" else values.astype(pages.dtype)
    if kind != pages.dtype:
        pages.options.pop("compression", None)
    name, pages.dtype = pages.dtype, kind
    return name


def _orientation(pages: Pages, rng: np.random.Generator) -> str:
    turned = int(rng.integers(1, 9))
    pages.tags.append((274, "H", 1, turned, True))
    return str(turned)


def _white(pages: Pages, rng: np.random.Generator) -> None:
    pages.options["photometric"] = "miniswhite"


def _colour(pages: Pages, rng: np.random.Generator) -> str:
    count = pick(rng, [3, 4])
    planar = pick(rng, ["contig", "contig", "separate"])
    shape = (*pages.size, count) if planar == "contig" else (count, *pages.size)
    pages.values = rng.integers(0, 255, (1, *shape), pick(rng, ["u1", "u1", "u2"]))
    pages.options |= {"photometric": "rgb", "planarconfig": planar}
    if count == 4:
        pages.options["extrasamples"] = pick(rng, [["unassalpha"], ["unspecified"]])
    return f"{count}, {planar}"


def _samples(pages: Pages, rng: np.random.Generator) -> str:
    """Grey values of several channels in one page."""
    count = pick(rng, [2, 3, 5])
    planar = pick(rng, ["contig", "separate"])
    shape = (*pages.size, count) if planar == "contig" else (count, *pages.size)
    pages.values = voxels(rng, (1, *shape), pages.dtype)
    pages.options["planarconfig"] = planar
    pages.options |= {"photometric": "minisblack", "extrasamples": ["unspecified"] * (count - 1)}
    return f"{count}, {planar}"


def _palette(pages: Pages, rng: np.random.Generator) -> None:
    pages.values = rng.integers(0, 255, (pages.pages, *pages.size), "u1")
    for key in ("planarconfig", "extrasamples"):
        pages.options.pop(key, None)
    pages.options |= {"photometric": "palette", "colormap": rng.integers(0, 65535, (3, 256), "u2")}


def _imagej(pages: Pages, rng: np.random.Generator) -> str:
    """A stack whose axes ImageJ names: channels, times or slices."""
    axes, shape = pick(
        rng, [("ZYX", (3,)), ("TYX", (3,)), ("CYX", (2,)), ("TZYX", (2, 3)), ("ZCYX", (3, 2))]
    )
    pages.imagej, pages.byteorder = True, ">"
    pages.values = voxels(rng, (1, *shape, *pages.size), pick(rng, ["u1", "u2", "f4"]))
    pages.options = {"metadata": {"axes": axes, "spacing": 2.5, "unit": pick(rng, ["um", "mm"])}}
    if chance(rng, 0.5):
        pages.options["resolution"] = (4.0, 4.0)
    return axes


def _ome(pages: Pages, rng: np.random.Generator) -> str:
    axes, shape = pick(rng, [("ZYX", (3,)), ("TYX", (3,)), ("CYX", (2,)), ("TZYX", (2, 3))])
    pages.ome = True
    pages.values = voxels(rng, (1, *shape, *pages.size), pick(rng, ["u1", "u2", "f4"]))
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
    pages.options = {"metadata": {"axes": axes, **size}, "photometric": "minisblack"}
    return axes


def _shaped(pages: Pages, rng: np.random.Generator) -> None:
    """Axes named in tifffile's own words."""
    if pages.values.ndim > 3:  # colour, or channels
        return
    pages.options["metadata"] = {"axes": "TYX" if len(pages.values) > 1 else "YX"}
    pages.options.pop("description", None)


def _resolution(pages: Pages, rng: np.random.Generator) -> str:
    dots = pick(rng, [((0, 1), (0, 1)), (1e-6, 1e-6), (3e6, 3e6), (72.0, 72.0)])
    unit = pick(rng, ["NONE", "INCH", "CENTIMETER", "NONE", 4, 5])
    pages.options |= {"resolution": dots, "resolutionunit": unit}
    return f"{dots} per {unit}"


def _big(pages: Pages, rng: np.random.Generator) -> None:
    pages.bigtiff = True


def _thumbnail(pages: Pages, rng: np.random.Generator) -> None:
    pages.options["subfiletype"] = pick(rng, [1, 2])


def _not_finite(pages: Pages, rng: np.random.Generator) -> None:
    if pages.values.dtype.kind == "f":
        pages.values.reshape(-1)[rng.integers(pages.values.size)] = pick(rng, [np.nan, np.inf])


def _tag(pages: Pages, rng: np.random.Generator) -> str:
    tags = {
        258: [1, 12, 32],
        259: [5, 7, 32773],
        262: [0, 2, 5, 6],
        266: [2],
        277: [0, 2, 3],
        278: [0, 1],
        284: [2],
        339: [2, 3, 4, 6],
    }
    tag = pick(rng, list(tags))
    pages.overwritten[tag] = value = pick(rng, tags[tag])
    return f"{tag} is {value}"


_ALTERATIONS = [
    Alteration("ordinary", "more tags", _more_tags),
    Alteration("ordinary", "tiled", _tiled),
    Alteration("odd", "several pages", _unnamed),
    Alteration("odd", "another type", _other_type),
    Alteration("odd", "orientation", _orientation),
    Alteration("odd", "white is low", _white),
    Alteration("odd", "BigTIFF", _big),
    Alteration("odd", "resolution", _resolution),
    Alteration("odd", "subfile", _thumbnail),
    Alteration("odd", "not finite", _not_finite),
    Alteration("odd", "colour", _colour),
    Alteration("odd", "palette", _palette),
    Alteration("odd", "samples", _samples),
    Alteration("odd", "axes", _shaped),
    Alteration("odd", "ImageJ", _imagej),
    Alteration("odd", "OME", _ome),
    Alteration("damaged", "a tag", _tag),
    Alteration("damaged", "bytes", damaged),
]
