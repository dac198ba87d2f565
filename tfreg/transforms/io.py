"""Transforms on disk, as ITK, SimpleITK, Slicer, elastix and ANTs read and write them."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.io.headers import check_space
from tfreg.transforms import elastix, images, itk
from tfreg.transforms.base import Transform
from tfreg.transforms.displacement import Displacement
from tfreg.transforms.fields import random_index
from tfreg.transforms.records import is_text
from tfreg.transforms.sequence import Sequence

FORMATS = {
    "itk": itk.SUFFIXES,
    "elastix": (".txt",),
    "ants": (".mat", ".h5", ".nii.gz", ".nii"),
    "image": images.WRITTEN,
}


@dataclass(frozen=True)
class Saved:
    """What was written.

    Attributes:
        paths: of the files; the last one is the one to load.
        loss: the largest distance in mm between the transform and what was written, measured at a
            thousand points of the grid; 0 where the format holds the transform as it is. Outside
            the grid, what was converted is the identity.
    """

    paths: tuple[Path, ...]
    loss: float


def load(path: str | os.PathLike, nifti_space: str | None = None) -> Transform:
    """Reads a transform: points of the fixed image to points of the moving one, LPS mm.

    Args:
        path: ITK's ``.tfm``, ``.txt``, ``.h5`` and ``.mat`` (single and composite; also those of
            ANTs and Slicer), elastix's ``TransformParameters*.txt`` with all files it builds on, or
            a displacement as a vector image (``.nii``, ``.nii.gz``, ``.mha``, ``.mhd``, ``.nrrd``,
            ``.nhdr``; also ANTs' ``Warp.nii.gz``).
        nifti_space: of a displacement as NIfTI, as for ``tfreg.io.read``.

    Raises:
        InputError: in one line, if the file is missing, empty, damaged or truncated, of an unknown
            format, or holds a transform of a kind that cannot be read.
    """
    check_space(nifti_space)
    path = _existing(Path(path))
    name = path.name.lower()
    try:
        if name.endswith(images.READ):
            return images.read(path, nifti_space)
        if path.suffix.lower() == ".txt":
            with open(path, "rb") as file:
                return itk.read(path) if is_text(file.read(1000)) else elastix.read(path)
        if path.suffix.lower() in itk.SUFFIXES:
            return itk.read(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    known = ", ".join(dict.fromkeys((*itk.SUFFIXES, *images.READ)))
    raise InputError(f"A transform can be read from {known}. Received: {path}")


def save(
    transform: Transform,
    path: str | os.PathLike,
    grid: Geometry | None = None,
    format: str | None = None,
) -> Saved:
    """Writes a transform; a transform that the format has no words for as a displacement.

    ======================= ====================== ============================================
    file                    holds as it is         all else
    ======================= ====================== ============================================
    .tfm, .txt, .h5 (ITK)   linear, B-spline,      becomes a displacement on ``grid``
                            displacement, sequence
    .mat (ITK, ANTs)        linear                 is an error
    .txt (elastix)          as ITK, and sums       becomes a displacement on ``grid``
    .nii.gz, .mha, .nrrd    displacement (float32) becomes a displacement on ``grid``
    ======================= ====================== ============================================

    Args:
        transform: any.
        path: its suffix decides. ``.txt`` is elastix's where the name begins with
            "TransformParameters", and ITK's otherwise. elastix writes every file of a sequence
            beside it.
        grid: where a displacement lives, needed wherever one has to be made; a displacement alone
            is written to an image on its own grid where None. elastix always needs it: its files
            state on which grid transformix resamples. Usually the fixed image's geometry.
        format: "itk", "elastix", "ants" or "image", where the suffix alone does not tell.

    Returns:
        The paths, and the loss in mm.

    Raises:
        InputError: if the format and the suffix do not fit, the format cannot hold the transform
            and there is no grid, or the file cannot be written. Nothing is written then.

    Example:

    >>> import tempfile
    >>> from tfreg.transforms import Affine
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = save(Affine(np.eye(2), [3, 0]), f"{folder}/shift.tfm")
    ...     load(saved.paths[-1]).translation.tolist()
    [3.0, 0.0]
    """
    from tfreg.io import write_together

    path = Path(path)
    files, loss = writers(transform, path, grid, format)
    write_together(path.parent, files)
    return Saved(tuple(path.parent / name for name in files), loss)


def writers(
    transform: Transform, path: Path, grid: Geometry | None = None, format: str | None = None
) -> tuple[dict[str, Callable[[Path], Any]], float]:
    """What :func:`save` writes, to be written together with other files of the folder.

    Args:
        transform, path, grid, format: as there.

    Returns:
        For each file name the function that writes to the path it is given, and the loss in mm.

    Raises:
        InputError: as there.
    """
    if not isinstance(transform, Transform):
        raise InputError(f"A transform is needed. Received: {type(transform).__name__}")
    kind = _kind(path, format)
    if grid is not None:
        transform._check_grid(grid)
    if kind == "elastix":
        if grid is None:
            raise InputError(
                "elastix's files state the grid to resample on: grid= is needed, usually the fixed "
                f"image's geometry. Received: grid=None for {path}"
            )
        loss = 0.0
        if elastix.chain_of(transform) is None:
            transform, loss = _on_grid(transform, grid)
        return elastix.writers(transform, path, grid), loss
    if kind == "image":
        displacement, loss = transform, 0.0
        if not isinstance(transform, Displacement) or grid is not None:
            displacement, loss = _on_grid(transform, _needed(grid, transform, path))
        rounded = displacement.field.astype("float32") - displacement.field
        loss = max(loss, float(np.linalg.norm(rounded, axis=-1).max()))
        return {path.name: lambda p: images.write(displacement, p)}, loss
    suffix, loss = path.suffix.lower(), 0.0
    if suffix == ".mat" and isinstance(transform, Sequence):
        transform = transform.merged()
    if not itk.holds(transform, suffix):
        if suffix == ".mat":
            raise InputError(
                "A .mat file holds a linear transform; .h5 holds all, and .nii.gz a displacement "
                f"on a grid. Received: {transform!r:.200}"
            )
        transform, loss = _on_grid(transform, _needed(grid, transform, path))
    return {path.name: lambda p: itk.write(transform, p)}, loss


def files_of(path: str | os.PathLike) -> list[Path]:
    """The file of a transform and, where it is elastix's, all that it builds on.

    Args:
        path: as for :func:`load`.

    Raises:
        InputError: if one of them is missing.
    """
    path = _existing(Path(path))
    if path.suffix.lower() == ".txt":
        with open(path, "rb") as file:
            if not is_text(file.read(1000)):
                return elastix.files_of(path)
    return [path]


def check_path(path: Path, format: str | None = None) -> None:
    """Raises ``InputError`` where no transform can be written to a file of this name.

    Args:
        path, format: as for :func:`save`.
    """
    _kind(path, format)


def _kind(path: Path, format: str | None) -> str:
    """Of "itk", "elastix" and "image", which writes the file."""
    if format is not None and format not in FORMATS:
        raise InputError(f"format must be one of {', '.join(FORMATS)}. Received: {format!r}")
    if "\0" in str(path):
        raise InputError(f"No file can be called so. Received: {str(path)!r:.200}")
    name = path.name.lower()
    suffixes = FORMATS[format] if format else (*itk.SUFFIXES, *images.WRITTEN)
    if not name.endswith(suffixes) or name.startswith("."):
        which = f"As {format}, a" if format else "A"
        raise InputError(
            f"{which} transform can be written to {', '.join(suffixes)}. Received: {path}"
        )
    if name.endswith(images.WRITTEN):
        return "image"
    if format is None and name.endswith(".txt") and name.startswith("transformparameters"):
        return "elastix"
    return "elastix" if format == "elastix" else "itk"


def _needed(grid: Geometry | None, transform: Transform, path: Path) -> Geometry:
    if grid is None:
        raise InputError(
            f"{path.name} cannot hold this transform as it is: with grid=, usually the fixed "
            "image's geometry, a displacement on that grid can be written. "
            f"Received: {transform!r:.200}"
        )
    return grid


def _on_grid(transform: Transform, grid: Geometry) -> tuple[Displacement, float]:
    """The transform as a displacement, and how far it is off between the voxels."""
    displacement = transform.to_displacement(grid)
    points = grid.to_physical(random_index(np.zeros(grid.ndim), np.array(grid.shape) - 1.0))
    missed = displacement._map(points) - transform._map(points)
    return displacement, float(np.linalg.norm(missed, axis=1).max())


def _existing(path: Path) -> Path:
    try:
        if path.is_dir():
            raise InputError(f"A transform is a file, not a folder. Received: {path}")
        if not path.exists():
            raise InputError(f"There is no such file. Received: {path}")
        if not path.is_file():
            raise InputError(f"A transform must be a file. Received: {path}")
        if path.stat().st_size == 0:
            raise InputError(f"The file is empty. Received: {path}")
    except (OSError, ValueError) as error:  # the name is too long, or holds a null character
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path!s:.200} cannot be read: {error}") from error
    return path
