"""Images on disk."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Reads a grey image as an array.

    Args:
        path: ``.npy``, or any format that SimpleITK reads (PNG, TIFF, JPEG, MetaImage, ...). Colour
            is turned into luminance (Rec. 601).

    Returns:
        Array ``(*spatial,)``, rows before columns, in the dtype of the file.

    Raises:
        InputError: if the file is missing, empty or unreadable; the message names it.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"There is no such file. Received: {path}")
    if path.is_dir():
        raise InputError(f"An image file is needed, not a folder. Received: {path}")
    if path.stat().st_size == 0:
        raise InputError(f"The file is empty. Received: {path}")
    if path.suffix == ".npy":
        try:
            return np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path} is not a NumPy array file: {error}") from error
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        with silent_stderr():
            image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"{path} is not an image that can be read.") from error
    array = sitk.GetArrayFromImage(image)
    components = image.GetNumberOfComponentsPerPixel()
    if components in (3, 4):
        array = array[..., :3] @ np.array([0.299, 0.587, 0.114])
    elif components != 1:
        raise InputError(f"{path} must have 1, 3 or 4 channels. Received: {components}")
    return array


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Within it the process prints nothing to stderr.

    For libraries that print there what they then raise, or what nobody asked for.
    """
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def write_png(path: Path, image: np.ndarray, low: float, high: float) -> None:
    """Writes a 2-D image as an 8-bit PNG, ``low`` black and ``high`` white."""
    import SimpleITK as sitk

    extent = high - low if high > low else 1.0
    grey = np.rint(255 * np.clip((image - low) / extent, 0, 1)).astype("uint8")
    sitk.WriteImage(sitk.GetImageFromArray(grey), str(path))


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
