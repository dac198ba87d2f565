"""Folders of DICOM files."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.io.headers import has_pixels, is_dicom
from tfreg.io.loading import LIBRARY_ERRORS, check_information, load, reason
from tfreg.io.silence import quiet

_POSITION, _ORIENTATION = "0020|0032", "0020|0037"
_SERIES = "0020|000e"
_ROWS, _COLUMNS = "0028|0010", "0028|0011"
_TIMES = ("0018|1060", "0020|0100", "0008|0032", "0020|0013")  # trigger, frame, clock, instance
_EVEN = 0.1  # how far a slice may be from its even place, in the smallest spacing
_SAME_PLACE = 1e-2  # mm


@dataclass(frozen=True)
class _Slice:
    path: Path
    series: str
    size: tuple[str, str]
    position: np.ndarray
    orientation: np.ndarray
    times: tuple[float, ...]

    @property
    def height(self) -> float:
        """Along the normal of the slice, in mm."""
        return float(np.cross(self.orientation[:3], self.orientation[3:]) @ self.position)


def read_folder(folder: Path, series: str | None = None) -> Any:
    """The volume of a DICOM series as a ``SimpleITK.Image``, its slices in order of place.

    Raises:
        InputError: if there is no series or several, if slices are missing, tilted or of several
            times or orientations, or a file cannot be read.
    """
    stacks = _stacks(folder, series)
    if len(stacks) > 1:
        raise InputError(
            f"{folder} is a series of {len(stacks)} frames in time; one image is needed "
            f"(read_frames answers all). Received: {len(stacks[0])} slices x {len(stacks)} frames"
        )
    return _volume(folder, stacks[0])


def read_folder_frames(folder: Path, series: str | None = None) -> list[Any]:
    """Every frame of a DICOM series as a ``SimpleITK.Image``, in order of time."""
    return [_volume(folder, stack) for stack in _stacks(folder, series)]


def _stacks(folder: Path, series: str | None) -> list[list[_Slice]]:
    """The slices of each frame, in order of place."""
    slices = _of_one_series(folder, series)
    first = slices[0]
    for other in slices:
        if np.abs(other.orientation - first.orientation).max() > 1e-3 or other.size != first.size:
            raise InputError(
                f"{folder} holds slices of several orientations or sizes. "
                f"Received: {first.path.name} and {other.path.name}"
            )
    places: list[list[_Slice]] = []
    for item in sorted(slices, key=lambda item: item.height):
        if places and abs(item.height - places[-1][0].height) < _SAME_PLACE:
            places[-1].append(item)
        else:
            places.append([item])
    counts = {len(place) for place in places}
    if len(counts) > 1:
        raise InputError(
            f"{folder} holds some slices more often than others. "
            f"Received: from {min(counts)} to {max(counts)} files at one place"
        )
    for place in places:
        place.sort(key=lambda item: item.times)
    return [list(stack) for stack in zip(*places, strict=True)]


def _of_one_series(folder: Path, series: str | None) -> list[_Slice]:
    try:
        files = [path for path in sorted(folder.iterdir()) if path.is_file() and is_dicom(path)]
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    found: dict[str, list[_Slice]] = {}
    for path in files:
        if has_pixels(path):
            item = _slice(path)
            found.setdefault(item.series, []).append(item)
    if not found:
        raise InputError(
            f"An image file is needed, not a folder without DICOM images. Received: {folder}"
        )
    if series is not None and series not in found:
        raise InputError(f"{folder} has no series {series}. Received: {', '.join(found)}")
    if series is None and len(found) > 1:
        listed = "; ".join(f"{uid} ({len(items)} files)" for uid, items in [*found.items()][:8])
        more = f"; and {len(found) - 8} more" if len(found) > 8 else ""
        raise InputError(
            f"{folder} holds several DICOM series; one must be named, or have a folder of its own. "
            f"Received: {listed}{more}"
        )
    return found[series] if series is not None else next(iter(found.values()))


def _slice(path: Path) -> _Slice:
    """What the header of one file says of its place and time."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        with quiet():
            reader.ReadImageInformation()
            check_information(path, reader, None)
    except LIBRARY_ERRORS as error:
        raise InputError(f"{path} is not a DICOM image that can be read.") from error
    keys = reader.GetMetaDataKeys()
    texts = {key: reader.GetMetaData(key).strip() for key in keys}
    position = _several(path, texts, _POSITION, 3, "0 0 0")
    orientation = _several(path, texts, _ORIENTATION, 6, "1 0 0 0 1 0")
    times = tuple(_time(texts.get(key, "")) for key in _TIMES)
    size = (texts.get(_ROWS, ""), texts.get(_COLUMNS, ""))
    return _Slice(path, texts.get(_SERIES, ""), size, position, orientation, times)


def _several(path: Path, texts: dict[str, str], key: str, count: int, default: str) -> np.ndarray:
    words = texts.get(key, default).replace("\\", " ").split()
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        values = np.array([math.nan])
    if values.shape != (count,) or not np.isfinite(values).all():
        raise InputError(f"{path} has a broken tag ({key}). Received: {texts[key]!r}")
    return values


def _time(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0


def _volume(folder: Path, stack: list[_Slice]) -> Any:
    import SimpleITK as sitk

    if len(stack) == 1:
        return load(stack[0].path)
    reader = sitk.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames([str(item.path) for item in stack])
    try:
        with quiet():
            image = reader.Execute()
    except LIBRARY_ERRORS as error:
        raise InputError(f"{folder} cannot be read as one series: {reason(error)}") from error
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(
            f"{folder} must hold one grey value per voxel. "
            f"Received: {image.GetNumberOfComponentsPerPixel()} channels"
        )
    _check_even(folder, stack, image)
    return image


def _check_even(folder: Path, stack: list[_Slice], image: Any) -> None:
    """Refuses stacks that ITK would take for even ones: with gaps, or of a tilted gantry."""
    found = np.array([item.position for item in stack])
    last = len(stack) - 1
    expected = [image.TransformIndexToPhysicalPoint((0, 0, k)) for k in range(last + 1)]
    worst = np.linalg.norm(found - np.array(expected), axis=1).max()
    if worst > _EVEN * min(image.GetSpacing()):
        raise InputError(
            f"{folder} has slices missing, or at uneven distances, or tilted against each other. "
            f"Received: a slice {worst:.3g} mm from its place in {last + 1} slices "
            f"{image.GetSpacing()[2]:.4g} mm apart"
        )
