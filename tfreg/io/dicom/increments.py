"""Where and when a frame is: said of itself, or by what goes on from frame to frame."""

from typing import Any

import numpy as np

from tfreg.io.dicom.parsing import Tags
from tfreg.io.headers.common import broken

_SLICES, _OFFSETS = "SliceVector", "GridFrameOffsetVector"
_SYNCHRONISED = "CardiacSynchronizationSequence"
_TIMES = (  # from what is said of the order to what only follows it
    ("TemporalPositionIndex", "FrameContentSequence"),
    ("TemporalPositionIdentifier",),
    ("NominalCardiacTriggerDelayTime", _SYNCHRONISED),
    ("TriggerTime",),
    ("TemporalPositionTimeOffset", "TemporalPositionSequence"),
)
_CLOCKS = (
    ("FrameAcquisitionDateTime", "FrameContentSequence"),
    ("AcquisitionDateTime",),
    ("AcquisitionDate",),
    ("AcquisitionTime",),
    ("ContentTime",),
)
_COUNTS = ("AcquisitionNumber", "InstanceNumber")
_TIME_VECTORS = ("TimeSlotVector", "TimeSliceVector", "PhaseVector", "RRIntervalVector")


def place_of(tags: Tags, dataset: Any, index: int, orientation: np.ndarray) -> np.ndarray | None:
    """The first voxel of a frame, ``(3,)`` LPS mm, or None where the file does not say.

    Without groups of its own a frame is where the file says, moved along the normal by what is
    said to go on from frame to frame: slices of gamma cameras, planes of a dose. Frames of which
    nothing says that their place goes on stay at one place.

    Raises:
        InputError: if what goes on is not said of every frame.
    """
    stated = tags.numbers("ImagePositionPatient", 3, "PlanePositionSequence")
    if stated is None:
        stated = tags.numbers("ImagePositionPatient", 3, "DetectorInformationSequence")
    if stated is None:
        return None
    normal = np.cross(*orientation)
    if _OFFSETS in dataset:
        offsets = _vector(tags, dataset, _OFFSETS)
        return np.array(stated) + (offsets[index] - offsets[0]) * normal
    if _SLICES in dataset:
        steps = _vector(tags, dataset, _SLICES)[index] - 1
        step = tags.number("SpacingBetweenSlices") or tags.number("SliceThickness")
        if not step:
            raise broken(tags.path, "its slices have no distance (SpacingBetweenSlices).")
        return np.array(stated) + steps * step * normal
    return np.array(stated)


def times_of(tags: Tags, dataset: Any, index: int) -> tuple[float, ...]:
    """Numbers that order frames in time; 0 stands for what is not said."""
    said = [_number(tags.text(*where)) for where in _TIMES]
    vectors = [_vector(tags, dataset, keyword) for keyword in _TIME_VECTORS if keyword in dataset]
    clocks = [_number(part) for where in _CLOCKS for part in _date_and_time(tags.text(*where))]
    counts = [_number(tags.text(keyword)) for keyword in _COUNTS]
    return (*said, *(vector[index] for vector in vectors), *clocks, *counts, float(index))


def _vector(tags: Tags, dataset: Any, keyword: str) -> tuple[float, ...]:
    count = int(tags.number("NumberOfFrames") or 1)
    found = tags.numbers(keyword, count)
    if found is None:
        raise broken(tags.path, f"{keyword} must be said of every frame. Received: nothing")
    return found


def _date_and_time(text: str) -> tuple[str, str]:
    """The parts of a clock's reading: one number would not hold all its digits."""
    digits = text.split("+")[0].split("-")[0]
    whole = digits.split(".")[0]
    return (digits[:8], digits[8:]) if len(whole) > 8 else ("", digits)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if np.isfinite(value) else 0.0
