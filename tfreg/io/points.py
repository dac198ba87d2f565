"""Landmarks on disk, in LPS millimetres."""

import csv
import os
from pathlib import Path

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.io.formats import existing
from tfreg.io.points_elastix import parse_elastix, print_elastix
from tfreg.io.points_vtk import parse_vtk, print_vtk
from tfreg.io.writing import write_together

_SUFFIXES = (".csv", ".vtk", ".txt", ".pts")


def read_points(
    path: str | os.PathLike, geometry: Geometry | None = None, ndim: int | None = None
) -> np.ndarray:
    """Reads points.

    Args:
        path: CSV with a header that names the columns x, y[, z] (others are left out, as in the
            files of ANTs); VTK legacy ASCII (``.vtk``); elastix' text (``.txt``, ``.pts``) with
            "point" or "index" in its first line, or an ``outputpoints.txt`` of transformix, whose
            OutputPoint is taken.
        geometry: of the image that the points belong to: needed for files of indices.
        ndim: how many axes the points have, that of ``geometry`` if absent; one of both is needed
            for points of a 2-D image in ``.vtk``, which always has three coordinates.

    Returns:
        ``(n, ndim)`` float64, LPS mm.

    Raises:
        InputError: if the file is missing, empty, truncated, or of another form, or holds numbers
            that are not finite, or the dimension is not ``ndim`` or that of ``geometry``.
    """
    path = existing(Path(path))
    kind = _kind(path)
    if geometry is not None:
        ndim = geometry.ndim if ndim is None else ndim
    if path.is_dir():
        raise InputError(f"A file of points is needed, not a folder. Received: {path}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a text file that can be read: {error}") from error
    if kind == ".csv":
        points = _parse_csv(text, path)
    elif kind == ".vtk":
        points = parse_vtk(text, path)
        if ndim == 2 and not points[:, 2].any():
            points = points[:, :2]
    else:
        points = parse_elastix(text, path, geometry)
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
        path: ``.csv`` with the header x,y[,z], ``.vtk`` (legacy ASCII; z is 0 in 2-D), or
            ``.txt`` and ``.pts`` as elastix and transformix read them.
        geometry: for ``.txt`` and ``.pts``: writes the voxels of this image ("index") in place of
            the points themselves ("point").

    Raises:
        InputError: if the points or the path cannot be used.
    """
    path = Path(path)
    kind = _kind(path)
    points = np.asarray(points, dtype="float64")
    if points.ndim != 2 or points.shape[1] not in (2, 3) or not len(points):
        raise InputError(f"Points must be (n, 2) or (n, 3). Received: shape={points.shape}")
    if not np.isfinite(points).all():
        raise InputError(f"Points must be finite. Received: {points[~np.isfinite(points)][0]}")
    if kind in (".csv", ".vtk") and geometry is not None:
        raise InputError(f"Only .txt and .pts hold indices. Received: {path}, with a geometry")
    if geometry is not None and geometry.ndim != points.shape[1]:
        raise InputError(
            f"The points must have {geometry.ndim} coordinates. Received: {points.shape[1]}"
        )
    if kind == ".csv":
        header = ",".join("xyz"[: points.shape[1]])
        text = "\n".join([header, *(",".join(map(repr, row)) for row in points.tolist())]) + "\n"
    elif kind == ".vtk":
        text = print_vtk(points)
    else:
        text = print_elastix(points, geometry)
    write_together(path.parent, {path.name: lambda place: place.write_text(text)})


def _parse_csv(text: str, path: Path) -> np.ndarray:
    rows = [row for row in csv.reader(text.splitlines()) if any(word.strip() for word in row)]
    header = [word.strip().lower() for word in rows[0]] if rows else []
    if header.count("x") != 1 or header.count("y") != 1 or header.count("z") > 1:
        raise InputError(
            f"{path} must begin with the header x,y,z. Received: {','.join(header)!r:.80}"
        )
    columns = [header.index(name) for name in "xyz" if name in header]
    points = []
    for number, row in enumerate(rows[1:], 2):
        try:
            points.append([float(row[column]) for column in columns])
        except (ValueError, IndexError) as error:
            raise InputError(
                f"{path} must hold {len(columns)} numbers in every row. "
                f"Received: {','.join(row)!r:.80} in row {number}"
            ) from error
    return np.array(points, dtype="float64").reshape(-1, len(columns))


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in _SUFFIXES:
        raise InputError(f"Points are in files of {', '.join(_SUFFIXES)}. Received: {path}")
    return kind
