"""DICOM as pydicom reads its tags; a file or a folder is a list of planes, each with its place."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..meaning import Meaning, Truth

_SAME = 1e-2  # mm between two planes at one place
_EVEN = 0.1  # of the smallest spacing
_BARE = "1.2.840.10008.1.2"  # implicit, little endian: what a file without a preamble is
_NM, _DOSE = "1.2.840.10008.5.1.4.1.1.20", "1.2.840.10008.5.1.4.1.1.481.2"
_ENHANCED = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.4.1")
_FUNCTIONAL = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "TemporalPositionIndex": "FrameContentSequence",
}


@dataclass(frozen=True)
class _Plane:
    values: np.ndarray
    position: np.ndarray | None
    axes: np.ndarray | None
    steps: np.ndarray | None  # of rows, of columns
    time: tuple[float, ...]

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.axes[:3], self.axes[3:])


def truth(path: Path) -> Truth:
    """The volume or the frames in time; no meaning where the planes make neither."""
    import pydicom

    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        found = []
        for file in files:
            if file.suffix == ".txt":
                continue
            data = pydicom.dcmread(file, force=True)
            if "PixelData" in data:
                found.append(data)
        if len({data.SeriesInstanceUID for data in found}) != 1:
            return Truth()
        planes = [plane for data in found for plane in _planes(data)]
        return Truth(tuple(_meanings(planes)))
    except Exception:  # pydicom has many, for whatever it finds in a header
        return Truth()


def _planes(data: Any) -> list[_Plane]:
    if int(data.SamplesPerPixel) != 1 or data.PhotometricInterpretation == "PALETTE COLOR":
        raise ValueError("colour")
    stored = _stored(data)
    count = len(stored)
    groups = list(data.get("PerFrameFunctionalGroupsSequence") or [])
    shared = [*(data.get("SharedFunctionalGroupsSequence") or []), None][0]
    if data.get("SOPClassUID") in _ENHANCED and len(groups) != count:
        if count > 1 or groups:
            raise ValueError("groups")
        groups = [{}]
    planes = []
    for k in range(count):
        where = [groups[k], shared] if groups else None
        position = _get(data, where, "ImagePositionPatient", 3)
        axes = _get(data, where, "ImageOrientationPatient", 6)
        steps = _get(data, where, "PixelSpacing", 2)
        if steps is not None and not (steps > 0).all():
            raise ValueError("spacing")
        if axes is not None and not _unit_axes(axes):
            raise ValueError("axes")
        if not groups and count > 1:
            position, axes = _of_frame(data, k, position, axes)
        slope, intercept = (
            _get(data, where, key, 1) for key in ("RescaleSlope", "RescaleIntercept")
        )
        values = _scaled(data, stored[k], slope, intercept)
        planes.append(_Plane(values, position, axes, steps, _time(data, where, k)))
    return planes


def _unit_axes(axes: np.ndarray) -> bool:
    rows, columns = axes[:3], axes[3:]
    lengths = np.abs([np.linalg.norm(rows) - 1, np.linalg.norm(columns) - 1, rows @ columns])
    return bool((lengths < 1e-2).all())


def _get(data: Any, groups: list[Any] | None, key: str, count: int) -> np.ndarray | None:
    """Numbers of a tag: of the frame's group, of the shared one, or of the file."""
    found = None
    if groups is None:
        found = data.get(key)
    else:
        for group in groups:
            if found is None and group is not None and _FUNCTIONAL[key] in group:
                found = group[_FUNCTIONAL[key]][0].get(key)
        if found is None and not groups[0]:  # a single frame that no group describes
            found = data.get(key)
    if found is None or found == "":
        return None
    values = np.atleast_1d(np.array(found, "float64"))
    if values.shape != (count,) or not np.isfinite(values).all():
        raise ValueError(key)
    return values


def _stored(data: Any) -> np.ndarray:
    """The stored values ``(frames, rows, columns)``, without what lies in bits not used."""
    allocated, stored = int(data.BitsAllocated), int(data.BitsStored)
    if allocated not in (8, 16, 32) or not 1 <= stored <= allocated:
        raise ValueError("bits")
    if int(data.get("HighBit", stored - 1)) != stored - 1:
        raise ValueError("bits")
    _, little = data.original_encoding
    kind = np.dtype(f"u{allocated // 8}").newbyteorder("<" if little else ">")
    shape = (int(data.get("NumberOfFrames") or 1), int(data.Rows), int(data.Columns))
    if min(shape) < 1:
        raise ValueError("size")
    count = int(np.prod(shape))
    if not 0 <= len(data.PixelData) - count * kind.itemsize <= 1:
        raise ValueError("length")
    values = np.frombuffer(data.PixelData, kind, count).reshape(shape).astype("int64")
    values = values & ((1 << stored) - 1)
    if int(data.PixelRepresentation):
        values = np.where(values >> (stored - 1), values - (1 << stored), values)
    return values


def _scaled(data: Any, values: np.ndarray, slope: Any, intercept: Any) -> np.ndarray:
    from pydicom.pixels import apply_modality_lut

    if "ModalityLUTSequence" in data:
        if "TransferSyntaxUID" not in data.file_meta:
            data.file_meta.TransferSyntaxUID = _BARE
        return apply_modality_lut(values.astype("int32"), data)
    if data.get("SOPClassUID") == _DOSE:
        return values * float(data.DoseGridScaling)
    slope = 1.0 if slope is None else slope[0]
    intercept = 0.0 if intercept is None else intercept[0]
    if slope == 0:
        raise ValueError("scale")
    return values if (slope, intercept) == (1, 0) else values * slope + intercept


def _of_frame(data: Any, k: int, position: Any, axes: Any) -> tuple[Any, Any]:
    """Where a frame is in files without functional groups."""
    if data.get("SOPClassUID") == _NM:
        detector = data.DetectorInformationSequence[0]
        position = np.array(detector.ImagePositionPatient, "float64")
        axes = np.array(detector.ImageOrientationPatient, "float64")
        offset = k * float(data.SpacingBetweenSlices)
    elif data.get("SOPClassUID") == _DOSE:
        offset = float(data.GridFrameOffsetVector[k])
    else:
        return None, None
    return position + offset * np.cross(axes[:3], axes[3:]), axes


def _time(data: Any, groups: list[Any] | None, k: int) -> tuple[float, ...]:
    if groups is not None:
        index = _get(data, groups, "TemporalPositionIndex", 1)
        return (float(k) if index is None else float(index[0]), k)
    keys = ("TemporalPositionIdentifier", "TriggerTime", "AcquisitionTime", "InstanceNumber")
    return (*(_number(data.get(key)) for key in keys), k)


def _number(value: Any) -> float:
    """What orders in time; 0 where it cannot be read, for it says nothing else."""
    try:
        return float(value or 0)
    except ValueError:
        return 0.0


def _meanings(planes: list[_Plane]) -> list[Meaning]:
    first = planes[0]
    if any(plane.values.shape != first.values.shape for plane in planes):
        return []
    if any(_differ(plane.steps, first.steps, 1e-3) for plane in planes):
        return []
    if any(plane.position is None or plane.axes is None or plane.steps is None for plane in planes):
        return _without_place(planes)
    if any(_differ(plane.axes, first.axes, 1e-3) for plane in planes):
        return []
    stacks = _stacks(planes, first.normal)
    return [found for stack in (1, -1) for found in _volume([s[::stack] for s in stacks])]


def _differ(one: Any, other: Any, tolerance: float) -> bool:
    if one is None or other is None:
        return one is not other
    return bool(np.abs(one - other).max() > tolerance * max(1, np.abs(other).max()))


def _without_place(planes: list[_Plane]) -> list[Meaning]:
    """One plane, or frames of one, whose places nobody knows."""
    affine, steps = None, planes[0].steps
    if steps is not None:
        affine = np.diag([steps[1], steps[0], 1.0, 1.0])
    if len(planes) > 1 and any(plane.position is not None for plane in planes):
        return []
    frames = sorted(planes, key=lambda plane: plane.time)
    return [Meaning(tuple(plane.values for plane in frames), affine, framed=False)]


def _stacks(planes: list[_Plane], normal: np.ndarray) -> list[list[_Plane]]:
    """The planes of each time, in order of place; none where they are no rectangle of both."""
    places: list[list[_Plane]] = []
    for plane in sorted(planes, key=lambda plane: plane.position @ normal):
        last = places[-1][-1].position if places else None
        if last is not None and abs((plane.position - last) @ normal) < _SAME:
            places[-1].append(plane)
        else:
            places.append([plane])
    if len({len(place) for place in places}) > 1:
        return []
    return [
        list(stack)
        for stack in zip(
            *(sorted(place, key=lambda plane: plane.time) for place in places), strict=True
        )
    ]


def _volume(stacks: list[list[_Plane]]) -> list[Meaning]:
    if not stacks:
        return []
    stack = stacks[0]
    places = np.array([plane.position for plane in stack])
    count, steps = len(stack), stack[0].steps
    step = (places[-1] - places[0]) / max(1, count - 1)
    even = places[0] + np.arange(count)[:, None] * step
    smallest = min([*steps, np.linalg.norm(step)] if count > 1 else steps)
    if np.linalg.norm(even - places, axis=1).max() > 1.2 * _EVEN * smallest:
        return []
    affine = np.eye(4)
    affine[:3, 0] = stack[0].axes[:3] * steps[1]
    affine[:3, 1] = stack[0].axes[3:] * steps[0]
    affine[:3, 2] = step if count > 1 else stack[0].normal
    affine[:3, 3] = places[0]
    frames = tuple(np.stack([plane.values for plane in stack]) for stack in stacks)
    return [Meaning(frames, affine, slack=_EVEN)]
