"""Landmarks on disk, in LPS millimetres."""

import os
from pathlib import Path

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.io.formats import existing
from tfreg.io.points_csv import parse_csv, parse_fcsv, print_csv, print_fcsv
from tfreg.io.points_elastix import parse_elastix, print_elastix
from tfreg.io.points_markups import parse_markups, print_markups
from tfreg.io.points_vtk import parse_vtk, print_vtk
from tfreg.io.writing import write_together
from tfreg.masked import refuse_masked

SUFFIXES = (".csv", ".vtk", ".fcsv", ".mrk.json", ".txt", ".pts")
_PARSERS = {".csv": parse_csv, ".fcsv": parse_fcsv, ".mrk.json": parse_markups}
_PRINTERS = {
    ".csv": print_csv,
    ".vtk": print_vtk,
    ".fcsv": print_fcsv,
    ".mrk.json": print_markups,
}
ALWAYS_3D = (".vtk", ".fcsv", ".mrk.json")


def read_points(
    path: str | os.PathLike, geometry: Geometry | None = None, ndim: int | None = None
) -> np.ndarray:
    """Reads points.

    Args:
        path: CSV with a header that names the columns x, y[, z] (others are left out, as in the
            files of ANTs), or r, a[, s] or l, p[, s]; VTK's legacy format (``.vtk``); 3D Slicer's
            ``.fcsv`` and ``.mrk.json``; elastix' text (``.txt``, ``.pts``) with "point" or "index"
            in its first line, or an ``outputpoints.txt`` of transformix, whose OutputPoint is
            taken. Points that a file says are RAS become LPS; without a word they are LPS, but
            ``.fcsv`` must state its frame.
        geometry: of the image that the points belong to: needed for files of indices.
        ndim: how many axes the points have, that of ``geometry`` if absent; one of both is needed
            for points of a 2-D image in ``.vtk``, ``.fcsv`` and ``.mrk.json``, which always have
            three coordinates.

    Returns:
        ``(n, ndim)`` float64, LPS mm.

    Raises:
        InputError: if the file is missing, empty, truncated, or of another form, states another
            frame or unit, or holds numbers that are not finite, or the dimension is not ``ndim`` or
            that of ``geometry``.
    """
    path = existing(Path(path))
    kind = _kind(path)
    if geometry is not None:
        ndim = geometry.ndim if ndim is None else ndim
    if path.is_dir():
        raise InputError(f"A file of points is needed, not a folder. Received: {path}")
    points = _parse(path, kind, geometry)
    if kind in ALWAYS_3D and ndim == 2 and not points[:, 2].any():
        points = points[:, :2]
    if not len(points):
        raise InputError(f"{path} holds no points.")
    if not np.isfinite(points).all():
        bad = int((~np.isfinite(points)).any(axis=1).sum())
        raise InputError(f"{path} holds points that are not finite. Received: {bad} of them")
    if ndim is not None and points.shape[1] != ndim:
        raise InputError(
            f"{path} must hold {ndim}-D points, as the image is. Received: {points.shape[1]}-D"
        )
    return points


def write_points(
    points: np.ndarray, path: str | os.PathLike, geometry: Geometry | None = None
) -> None:
    """Writes points; the file is there whole, or is left as it was.

    Args:
        points: ``(n, 2)`` or ``(n, 3)``, finite, LPS mm.
        path: ``.csv`` with the header x,y[,z], ``.vtk`` (legacy ASCII), ``.fcsv``, ``.mrk.json``
            (in these three z is 0 in 2-D), or ``.txt`` and ``.pts`` as elastix and transformix read
            them.
        geometry: for ``.txt`` and ``.pts``: writes the voxels of this image ("index") in place of
            the points themselves ("point").

    Raises:
        InputError: if the points or the path cannot be used.
    """
    path = Path(path)
    kind = _kind(path)
    refuse_masked(points, "points")
    points = np.asarray(points, dtype="float64")
    if points.ndim != 2 or points.shape[1] not in (2, 3) or not len(points):
        raise InputError(f"Points must be (n, 2) or (n, 3). Received: shape={points.shape}")
    if not np.isfinite(points).all():
        raise InputError(f"Points must be finite. Received: {points[~np.isfinite(points)][0]}")
    if kind in _PRINTERS and geometry is not None:
        raise InputError(f"Only .txt and .pts hold indices. Received: {path}, with a geometry")
    if geometry is not None and geometry.ndim != points.shape[1]:
        raise InputError(
            f"The points must have {geometry.ndim} coordinates. Received: {points.shape[1]}"
        )
    text = _PRINTERS[kind](points) if kind in _PRINTERS else print_elastix(points, geometry)
    write_together(path.parent, {path.name: lambda place: place.write_text(text)})


def points_format(path: Path) -> str | None:
    """The end of the name of a file of points, one of ``SUFFIXES``; None of any other file."""
    name = path.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)


def _kind(path: Path) -> str:
    kind = points_format(path)
    if kind is None:
        raise InputError(f"Points are in files of {', '.join(SUFFIXES)}. Received: {path}")
    return kind


def _parse(path: Path, kind: str, geometry: Geometry | None) -> np.ndarray:
    try:
        content = path.read_bytes()
        if kind == ".vtk":
            return parse_vtk(content, path)
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a text file that can be read: {error}") from error
    if kind in _PARSERS:
        return _PARSERS[kind](text, path)
    return parse_elastix(text, path, geometry)
