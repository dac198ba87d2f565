"""The volumes of a DICOM file or of a folder of them."""

import functools
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfreg.errors import InputError, InputWarning
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.io.dicom.kinds import said
from tfreg.io.dicom.pixels import stored_values
from tfreg.io.dicom.scaling import common_dtype
from tfreg.io.dicom.series import slices_in
from tfreg.io.dicom.stacks import Stack, check_even, stacks_of


def read_dicom(source: Path, series: str | None = None) -> Image:
    """The one volume of a DICOM file or series, its slices in order of place.

    Each slice has the values that its own file means. The image is 3-D, of a single picture too.

    Raises:
        InputError: if there is no series or several, if its slices are no even pile, or of several
            volumes, or a file cannot be read.

    Warns:
        InputWarning: if the file leaves open what its values or its grid mean.
    """
    slices = slices_in(source, series)
    stacks, keywords = stacks_of(source, slices)
    if len(stacks) > 1:
        received = f"Received: {len(stacks[0])} slices x {len(stacks)} frames"
        if keywords:
            raise InputError(
                f"{source} holds {len(stacks)} volumes that differ in {said(keywords, slices)}; "
                "one image is needed, so give each a folder of its own (read_frames answers all). "
                f"{received}"
            )
        raise InputError(
            f"{source} is a series of {len(stacks)} frames in time{_unplaced(stacks)}; one image "
            f"is needed (read_frames answers all). {received}"
        )
    lines = _remarks(source, stacks)
    if keywords:
        lines.append(f"{source} is one volume whose slices differ in {said(keywords, slices)}.")
    if len({item.moment for item in slices}) > 1:
        lines.append(f"{source} is one volume whose slices state several positions in time.")
    _say(lines)
    return _volumes(source, stacks)[0]


def read_dicom_frames(source: Path, series: str | None = None) -> list[Image]:
    """Every volume of a DICOM file or series, in order of time.

    Raises:
        InputError: as ``read_dicom`` does, but for series of several volumes.

    Warns:
        InputWarning: as ``read_dicom`` does; and if volumes differ in more than time.
    """
    slices = slices_in(source, series)
    stacks, keywords = stacks_of(source, slices)
    lines = _remarks(source, stacks)
    if keywords:
        lines.append(f"{source} differs not in time alone, but in {said(keywords, slices)}.")
    _say(lines)
    return _volumes(source, stacks)


def _unplaced(stacks: Sequence[Stack]) -> str:
    silent = stacks[0][0].position is None
    return ", or of pictures that state no place" if silent else ""


def _remarks(source: Path, stacks: Sequence[Stack]) -> list[str]:
    """What the files leave open."""
    first, lines = stacks[0][0], []
    if first.inverted:
        lines.append(
            f"{source} is MONOCHROME1: low values are shown white. Its values are read as they "
            "are, so its contrast is the inverse of what is seen."
        )
    if first.spacing is None:
        lines.append(f"{source} states no distance of its pixels; 1 mm is taken.")
    if first.position is not None and not first.oriented:
        lines.append(f"{source} states a place and no orientation; its slices are taken for axial.")
    if first.ruler == "ImagerPixelSpacing":
        lines.append(
            f"{source} states the distance of its pixels at the detector alone "
            "(ImagerPixelSpacing); it is taken, though what lies before the detector is magnified."
        )
    return lines


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        warnings.warn(line, InputWarning, stacklevel=4)


def _volumes(source: Path, stacks: Sequence[Stack]) -> list[Image]:
    for stack in stacks:
        check_even(source, stack)
    dtype = common_dtype([item.scaling for stack in stacks for item in stack])
    values = functools.lru_cache(maxsize=1)(stored_values)  # of the file at hand, not of all
    images = []
    for stack in stacks:
        planes = [item.scaling.apply(values(item.path)[item.index], dtype) for item in stack]
        images.append(Image(np.stack(planes), _geometry(stack)))
    return images


def _geometry(stack: Stack) -> Geometry:
    first, last = stack[0], stack[-1]
    step = first.thickness
    if len(stack) > 1:
        step = (last.height - first.height) / (len(stack) - 1)
    origin = np.zeros(3) if first.position is None else first.position
    direction = np.stack([*first.orientation, first.normal], axis=1)
    size = (first.size[1], first.size[0], len(stack))
    spacing = (*(first.spacing or (1.0, 1.0)), step)
    return Geometry(size, spacing, tuple(origin), tuple(map(tuple, direction)))
