"""ITK's transforms as ours, and back: ``.tfm``, ``.txt``, ``.h5``, ``.mat``."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.transforms import records
from tfreg.transforms.affine import Affine
from tfreg.transforms.base import Transform
from tfreg.transforms.bspline import BSpline
from tfreg.transforms.displacement import Displacement
from tfreg.transforms.itk_linear import LINEAR, linear
from tfreg.transforms.records import Record
from tfreg.transforms.sequence import Sequence

_READERS: dict[str, Callable[[Path], list[Record]]] = {
    ".tfm": records.read_text,
    ".txt": records.read_text,
    ".h5": records.read_hdf5,
    ".hdf5": records.read_hdf5,
    ".mat": records.read_mat,
}
_WRITERS: dict[str, Callable[[Path, list[Record]], None]] = {
    ".tfm": records.write_text,
    ".txt": records.write_text,
    ".h5": records.write_hdf5,
    ".hdf5": records.write_hdf5,
    ".mat": records.write_mat,
}
SUFFIXES = tuple(_READERS)


def read(path: Path) -> Transform:
    """Reads a file of ITK, SimpleITK, Slicer or ANTs.

    Args:
        path: with one of the ``SUFFIXES``.

    Returns:
        The transform; a composite one as a :class:`Sequence`, the other way round than in the file.

    Raises:
        InputError: if the file is damaged, or holds a transform of another kind.
    """
    found = _READERS[path.suffix.lower()](path)
    if found[0].name.startswith("CompositeTransform"):
        if len(found) == 1:
            raise InputError(f"{path} holds a composite transform of no parts.")
        parts = [_transform(path, record) for record in found[:0:-1]]
        try:
            return Sequence(parts)
        except InputError as error:
            raise InputError(f"{path} is damaged: {error}") from error
    if len(found) > 1:
        raise InputError(
            f"{path} holds {len(found)} transforms, and does not say how to combine them."
        )
    return _transform(path, found[0])


def write(transform: Transform, path: Path) -> None:
    """Writes a transform for which :func:`holds` is true.

    Args:
        transform: of which a sequence becomes a composite transform.
        path: with one of the ``SUFFIXES``.
    """
    if not isinstance(transform, Sequence):
        written = [_record(transform)]
    else:
        name = f"CompositeTransform_double_{transform.ndim}_{transform.ndim}"
        parts = [_record(part) for part in transform.transforms[::-1]]
        written = [Record(name, np.empty(0), np.empty(0)), *parts]
    _WRITERS[path.suffix.lower()](path, written)


def holds(transform: Transform, suffix: str) -> bool:
    """Whether a file of that kind keeps a transform as it is.

    Args:
        transform: any.
        suffix: one of the ``SUFFIXES``; ``.mat`` keeps a linear transform alone.
    """
    if isinstance(transform, Sequence):
        return suffix != ".mat" and all(holds(part, suffix) for part in transform.transforms)
    return isinstance(transform, Affine if suffix == ".mat" else (Affine, BSpline, Displacement))


def _transform(path: Path, record: Record) -> Transform:
    name, _, *rest = record.name.split("_")
    ndim = int(rest[0])
    if ndim not in (2, 3) or rest[1] != rest[0]:
        raise InputError(f"{path}: only transforms in 2-D or 3-D are read. Received: {record.name}")
    try:
        if name == "BSplineTransform":
            order = int(rest[2]) if len(rest) > 2 else 3
            geometry = _geometry(record, ndim)
            values = _on_grid(record, geometry)
            coefficients = np.moveaxis(values.reshape(ndim, *geometry.shape), 0, -1)
            return BSpline(np.ascontiguousarray(coefficients), geometry, order)
        if name == "DisplacementFieldTransform":
            geometry = _geometry(record, ndim)
            return Displacement(_on_grid(record, geometry).reshape(*geometry.shape, ndim), geometry)
        transform = linear(name, ndim, record.parameters, record.fixed)
    except InputError as error:
        raise InputError(f"{path} is damaged: {error}") from error
    if transform is None:
        known = ", ".join((*LINEAR, "BSplineTransform", "DisplacementFieldTransform"))
        raise InputError(f"{path}: only {known} and composites are read. Received: {record.name}")
    return transform


def _geometry(record: Record, ndim: int) -> Geometry:
    if len(record.fixed) != ndim * (ndim + 3):
        raise InputError(
            f"{record.name} needs {ndim * (ndim + 3)} fixed parameters. "
            f"Received: {len(record.fixed)}"
        )
    size, origin, spacing = record.fixed[: 3 * ndim].reshape(3, ndim).tolist()
    if not all(length.is_integer() for length in size):
        raise InputError(f"A size is made of integers. Received: {size}")
    direction = record.fixed[3 * ndim :].reshape(ndim, ndim).tolist()
    return Geometry(tuple(map(int, size)), spacing, origin, direction)


def _on_grid(record: Record, geometry: Geometry) -> np.ndarray:
    expected = math.prod(geometry.size) * geometry.ndim
    if len(record.parameters) != expected:
        raise InputError(
            f"{record.name} needs {expected} parameters on its grid. "
            f"Received: {len(record.parameters)}"
        )
    return record.parameters


def _record(transform: Transform) -> Record:
    suffix = f"double_{transform.ndim}_{transform.ndim}"
    if isinstance(transform, Affine):
        parameters = np.append(transform.matrix.ravel(), transform.translation)
        return Record(f"AffineTransform_{suffix}", parameters, transform.centre)
    geometry = transform.geometry
    parts = (geometry.size, geometry.origin, geometry.spacing, np.ravel(geometry.direction))
    fixed = np.concatenate([np.asarray(part, "float64") for part in parts])
    if isinstance(transform, Displacement):
        values = transform.field.astype("float64").ravel()
        return Record(f"DisplacementFieldTransform_{suffix}", values, fixed)
    name = f"BSplineTransform_{suffix}"
    if transform.order != 3:
        name += f"_{transform.order}"
    return Record(name, np.moveaxis(transform.coefficients, -1, 0).astype("float64").ravel(), fixed)
