"""Writes whole files or none."""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.image import Image, geometry_of
from tfreg.io.formats import PICTURES, WITHOUT_PLACE, format_of
from tfreg.io.headers import CHECKS
from tfreg.io.loading import LIBRARY_ERRORS, reason
from tfreg.io.nifti_sheared import needs_sform, write_sheared
from tfreg.io.silence import quiet
from tfreg.io.tiff import save_tiff

_PICTURE_TYPES = {"PNGImageIO": ("uint8", "uint16")}
_TIFF_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32")


def write(image: Image, path: str | os.PathLike) -> None:
    """Writes an image; the file is there whole, or is left as it was.

    Args:
        image: to write. Booleans become uint8, half precision float32.
        path: NIfTI (``.nii``, ``.nii.gz``), MetaImage (``.mha``, or ``.mhd`` with its ``.raw``),
            NRRD (``.nrrd``, or ``.nhdr`` with its ``.raw``), PNG (2-D, uint8 or uint16), TIFF or
            ``.npy``. PNG, TIFF and ``.npy`` have no place for origin and direction. The folder
            is made if absent.

    Raises:
        InputError: if the format is unknown or cannot hold the image or its geometry, or the
            folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    kind = format_of(path, writing=True)
    if kind == "npy":
        with _beside(path) as folder:
            np.save(folder / path.name, image.array, allow_pickle=False)
        return
    _check_type(path, kind, image)
    if kind == "TIFFImageIO":
        with _beside(path) as folder:
            save_tiff(folder / path.name, image.array, image.geometry.spacing)
            _check_written(image, folder / path.name, path, kind)
        return
    picture = image.to_sitk()
    with _beside(path) as folder:
        import SimpleITK as sitk

        if kind == "NiftiImageIO" and needs_sform(image.geometry):
            write_sheared(sitk.GetArrayViewFromImage(picture), image.geometry, folder / path.name)
            return
        writer = sitk.ImageFileWriter()
        writer.SetImageIO(kind)
        writer.SetFileName(str(folder / path.name))
        with quiet():
            writer.Execute(picture)
        _check_written(image, folder / path.name, path, kind)


def _check_type(path: Path, kind: str, image: Image) -> None:
    if kind not in PICTURES:
        return
    types = _PICTURE_TYPES.get(kind, _TIFF_TYPES)
    if image.array.dtype.name not in (*types, "bool"):
        raise InputError(f"{path} can hold {', '.join(types)}. Received: dtype={image.array.dtype}")
    if kind == "PNGImageIO" and image.array.ndim != 2:
        raise InputError(f"{path} can hold a 2-D image. Received: shape={image.array.shape}")


def _check_written(image: Image, written: Path, path: Path, kind: str) -> None:
    """Some writers of ITK say nothing of a full disk; some formats hold no sheared axes."""
    import SimpleITK as sitk

    try:
        CHECKS[kind](written)
    except InputError as error:
        raise OSError("the disk took only a part of it; it may be full") from error
    if kind in WITHOUT_PLACE:
        return
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(written))
    reader.SetImageIO(kind)
    with quiet():
        reader.ReadImageInformation()
    if not geometry_of(reader).matches(image.geometry):
        raise InputError(
            f"{path.name} cannot hold the geometry; .mha can. Received: {image.geometry}"
        )


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A folder beside ``path``; what is written there takes its place in the end.

    Several files of one image, such as ``.mhd`` and ``.raw``, keep their names this way; the file
    that names the others is put in place last.
    """
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise InputError(f"{path} cannot be written: it is a folder.")
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=path.parent))
        yield partial
        for file in sorted(partial.iterdir(), key=lambda file: file.name == path.name):
            os.replace(file, path.parent / file.name)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    except LIBRARY_ERRORS as error:
        raise InputError(f"{path} cannot be written: {reason(error)}") from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def write_png(path: Path, image: np.ndarray, low: float, high: float) -> None:
    """Writes a 2-D image as an 8-bit PNG, ``low`` black and ``high`` white.

    Args:
        path: of the file.
        image: ``(rows, columns)``, or ``(rows, columns, 3)``: red, green and blue.
        low, high: the intensities that become 0 and 255.
    """
    import SimpleITK as sitk

    extent = high - low if high > low else 1.0
    grey = np.rint(255 * np.clip((image - low) / extent, 0, 1)).astype("uint8")
    sitk.WriteImage(sitk.GetImageFromArray(grey, isVector=image.ndim == 3), str(path))


def check_folder(folder: str | os.PathLike) -> None:
    """Finds out, before any work, whether files can be written into a folder that may be absent.

    Args:
        folder: where they are to go; nothing is made.

    Raises:
        InputError: if it, or the nearest folder above it, is a file or must not be written to.
    """
    folder = Path(folder).absolute()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        raise InputError(f"{folder} cannot be written to: {there} is a file.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{folder} cannot be written to: {there} must not be written to.")


def write_together(folder: str | os.PathLike, writers: dict[str, Callable[[Path], Any]]) -> None:
    """Writes several files into a folder, all of them or none.

    Args:
        folder: made if absent.
        writers: for each file name the function that writes to the path it is given.

    Raises:
        InputError: if the folder cannot be made or written to.
    """
    folder = Path(folder)
    partial = [folder / f".partial-{os.getpid()}-{name}" for name in writers]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, write in zip(partial, writers.values(), strict=True):
            write(path)
        for name in writers:
            if (folder / name).is_dir():
                raise InputError(f"{folder} cannot be written to: {name} is a folder there.")
        for path, name in zip(partial, writers, strict=True):
            os.replace(path, folder / name)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{folder} cannot be written to: {error}") from error
    finally:
        for path in partial:
            path.unlink(missing_ok=True) if folder.is_dir() else None


def write_folder(
    folder: str | os.PathLike, writers: dict[str, Callable[[Path], Any]], last: str, mark: str = ""
) -> None:
    """Writes the files of a folder that is there whole or not at all, whoever is killed.

    A folder that is new comes into place by one rename. In one that is there the files are replaced
    one by one, while ``last``, the file that says what the others are, is absent: it is removed
    first and comes back last.

    Args:
        folder: made if absent.
        writers: for each file name the function that writes to the path it is given.
        last: one of the names.
        mark: put into the name of the folder beside, ``.partial-<mark>-...``, which a process that
            is killed leaves behind.

    Raises:
        InputError: if the folder cannot be made or written to, or the disk is full.
    """
    folder, partial = Path(folder), None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        own = f"{mark}-{secrets.token_hex(6)}".lstrip("-")
        partial = folder.parent / f".partial-{own}"
        partial.mkdir()  # not by tempfile, whose folders are private
        for name, write in writers.items():
            write(partial / name)
        if not folder.exists():
            try:
                os.rename(partial, folder)
                return
            except OSError:
                if not folder.is_dir():
                    raise
                return  # another process was sooner, and its folder is whole
        _replace_files(folder, partial, writers, last)
    except (OSError, RuntimeError) as error:
        reason_ = getattr(error, "strerror", None) or error
        raise InputError(f"{folder} cannot be written to: {reason_}") from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def _replace_files(
    folder: Path, partial: Path, writers: dict[str, Callable[[Path], Any]], last: str
) -> None:
    for name in writers:
        if (folder / name).is_dir():
            raise InputError(f"{folder} cannot be written to: {name} is a folder there.")
    (folder / last).unlink(missing_ok=True)
    for name in sorted(writers, key=lambda name: name == last):
        os.replace(partial / name, folder / name)
