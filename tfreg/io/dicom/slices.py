"""What the tags of a DICOM file say of each of its pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.io.dicom.increments import place_of, times_of
from tfreg.io.dicom.kinds import kinds_of
from tfreg.io.dicom.parsing import Tags, parsed
from tfreg.io.dicom.pixels import frames_of
from tfreg.io.dicom.scaling import Scaling, scaling_of
from tfreg.io.headers.common import broken

_GREY = ("MONOCHROME1", "MONOCHROME2")
_UNIT = 1e-3  # how far the axes of a slice may be from unit length and a right angle


@dataclass(frozen=True, eq=False)
class Slice:
    """One picture: of a file of its own, or one frame of a file of several.

    Attributes:
        path: its file.
        index: its frame there, from 0.
        instance: what names the picture everywhere, its UID and its frame.
        series: the UID of its series.
        space: the UID of its frame of reference.
        size: rows and columns.
        spacing: of columns and rows, in mm, the order of x and y; None where the file is silent.
        ruler: the keyword of the tag that states it; "" where the file is silent.
        thickness: from this slice to the next in mm, as the file says; 1 where it is silent.
        position: ``(3,)`` of the first voxel in LPS mm; None where the file is silent.
        orientation: ``(2, 3)`` unit vectors along a row and down a column, LPS.
        oriented: whether the file states the orientation; else it is axial.
        times: numbers that order the slices at one place, the first that differ decide.
        kind: what else tells pictures apart, by the keyword of its tag.
        scaling: from stored values to those that are meant.
        inverted: whether low values are shown white.
    """

    path: Path
    index: int
    instance: tuple[str, int]
    series: str
    space: str
    size: tuple[int, int]
    spacing: tuple[float, float] | None
    ruler: str
    thickness: float
    position: np.ndarray | None
    orientation: np.ndarray
    oriented: bool
    times: tuple[float, ...]
    kind: dict[str, str]
    scaling: Scaling
    inverted: bool

    @property
    def normal(self) -> np.ndarray:
        """``(3,)`` across the slice, so that columns, rows and slices are right-handed."""
        return np.cross(*self.orientation)

    @property
    def height(self) -> float:
        """Along the normal, in mm."""
        return 0.0 if self.position is None else float(self.normal @ self.position)

    @property
    def moment(self) -> float:
        """Its number among the positions in time; 0 where the file does not count them."""
        return max(self.times[:2])

    @property
    def name(self) -> str:
        """For messages."""
        return self.path.name if self.index == 0 else f"{self.path.name} frame {self.index + 1}"


def slices_of(path: Path) -> list[Slice]:
    """Every picture of a DICOM file.

    Raises:
        InputError: if the file is damaged, in colour, a mosaic, or a tag is missing or broken.
    """
    with parsed(path) as dataset:
        _check_grey(path, Tags(path, dataset))
        count = frames_of(path, dataset)
        groups = dataset.get("PerFrameFunctionalGroupsSequence")
        if groups and len(groups) != count:
            raise broken(path, f"{len(groups)} frames are described. Received: {count} frames")
        return [_slice(path, dataset, index) for index in range(count)]


def _check_grey(path: Path, tags: Tags) -> None:
    samples = int(tags.number("SamplesPerPixel") or 1)
    meaning = tags.text("PhotometricInterpretation") or _GREY[1]
    if samples != 1 or meaning not in _GREY:
        raise InputError(
            f"{path} must hold one grey value per voxel; turn colours into grey first. "
            f"Received: {samples} channel{'s' * (samples > 1)}, {meaning[:80]}"
        )
    if "MOSAIC" in tags.text("ImageType").split("\\"):
        raise InputError(
            f"{path} is a mosaic: the slices of a volume side by side in one picture; a converter "
            f"such as dcm2niix takes it apart. Received: ImageType={tags.text('ImageType')[:80]}"
        )


def _slice(path: Path, dataset: Any, index: int) -> Slice:
    tags = Tags(path, dataset, index)
    orientation, oriented = _orientation(path, tags)
    spacing, ruler = _spacing(path, tags)
    return Slice(
        path=path,
        index=index,
        instance=(tags.text("SOPInstanceUID") or str(path), index),
        series=tags.text("SeriesInstanceUID"),
        space=tags.text("FrameOfReferenceUID"),
        size=(int(dataset.Rows), int(dataset.Columns)),
        spacing=spacing,
        ruler=ruler,
        thickness=_thickness(tags),
        position=place_of(tags, dataset, index, orientation),
        orientation=orientation,
        oriented=oriented,
        times=times_of(tags, dataset, index),
        kind=kinds_of(tags, dataset, index),
        scaling=scaling_of(path, tags, dataset),
        inverted=tags.text("PhotometricInterpretation") == _GREY[0],
    )


def _orientation(path: Path, tags: Tags) -> tuple[np.ndarray, bool]:
    """The axes of a slice, and whether the file states them."""
    values = tags.numbers("ImageOrientationPatient", 6, "PlaneOrientationSequence")
    if values is None:  # gamma cameras say it of the detector
        values = tags.numbers("ImageOrientationPatient", 6, "DetectorInformationSequence")
    axes = np.reshape((1, 0, 0, 0, 1, 0) if values is None else values, (2, 3)).astype("float64")
    if np.abs(axes @ axes.T - np.eye(2)).max() > _UNIT:
        raise broken(path, f"the axes of a slice must be at a right angle. Received: {values}")
    axes[0] /= np.linalg.norm(axes[0])
    axes[1] -= (axes[0] @ axes[1]) * axes[0]  # written with few digits, they are not quite
    axes[1] /= np.linalg.norm(axes[1])
    return axes, values is not None


def _spacing(path: Path, tags: Tags) -> tuple[tuple[float, float] | None, str]:
    """The spacing, and the keyword of the tag that states it."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        found = tags.numbers(keyword, 2, "PixelMeasuresSequence")
        if found is not None:
            if min(found) <= 0:
                raise broken(path, f"the spacing must be positive. Received: {keyword}={found}")
            return found[::-1], keyword
    return None, ""


def _thickness(tags: Tags) -> float:
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        found = abs(tags.number(keyword, "PixelMeasuresSequence") or 0.0)
        if found > 0:
            return found
    return 1.0
