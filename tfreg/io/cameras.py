"""Cameras from files: text with matrices, as Autoscoper has it, JSON, and tags of DICOM."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import ConeBeam

_PARTS = {"image size": 2, "camera matrix": 9, "rotation": 9, "translation": 3}
_KINDS = (".txt", ".json", ".dcm")
_BEFORE = 0.8  # of the way to the detector


def read_camera(path: Path | str) -> ConeBeam:
    """The camera that a file describes.

    - ``.txt``: four blocks, each below its name and of numbers between commas or spaces:
      ``image size`` (columns, rows), ``camera matrix`` (OpenCV's, in pixels), and the common frame
      to the camera's in ``rotation`` and ``translation`` (mm), as Autoscoper (MayaCam 2) writes.
    - ``.json``: what ``ConeBeam.to_dict`` gives; or OpenCV's ``camera_matrix`` with ``image_size``
      (columns, rows) and, if there are several cameras, ``rotation`` and ``translation``.
    - ``.dcm``: the tags of an X-ray: ``DistanceSourceToDetector``, ``ImagerPixelSpacing``, ``Rows``
      and ``Columns``; the source is opposite to the middle of the image.

    Args:
        path: of the file.

    Raises:
        InputError: if it cannot be read, or does not describe a camera.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _KINDS:
        raise InputError(f"A camera is read from {', '.join(_KINDS)}. Received: {path}")
    if suffix == ".dcm":
        return _from_dicom(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    try:
        return _from_json(text) if suffix == ".json" else camera_of(text)
    except InputError as error:
        raise InputError(f"{path} is not a camera: {error}") from error


def object_distance(path: Path | str) -> float | None:
    """How far from the source an object is to be looked for, in mm, by the file of its camera.

    What DICOM states (``DistanceSourceToPatient``), else four fifths of the way to the detector.

    Args:
        path: of a file that :func:`read_camera` reads.

    Returns:
        ``None`` of a camera matrix, which knows of no detector.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".txt":
        return None
    if suffix == ".json" and "camera_matrix" in json.loads(path.read_text(encoding="utf-8")):
        return None
    usual = _BEFORE * read_camera(path).source_detector
    if suffix == ".json":
        return usual
    with _tags(path) as tags:
        return tags.number("DistanceSourceToPatient") or usual


def camera_of(text: str) -> ConeBeam:
    """The camera of a text with matrices, see :func:`read_camera`.

    Raises:
        InputError: if it describes none.
    """
    found: dict[str, list[float]] = {}
    name = None
    for line in filter(None, (line.strip() for line in text.splitlines())):
        if line.lower() in _PARTS:
            name = line.lower()
            if name in found:
                raise InputError(f"each part is there once. Received: {name} twice")
            found[name] = []
            continue
        if name is None:
            raise InputError(f"it must begin with {' or '.join(_PARTS)}. Received: {line!r}")
        try:
            found[name] += [float(word) for word in line.replace(",", " ").split()]
        except ValueError as error:
            raise InputError(f"numbers are needed below {name!r}. Received: {line!r}") from error
    for part, count in _PARTS.items():
        if len(found.get(part, [])) != count:
            received = f"{len(found[part])}" if part in found else "none"
            raise InputError(f"{part} must be {count} numbers. Received: {received}")
    columns, rows = found["image size"]
    return ConeBeam.from_matrix(
        np.reshape(found["camera matrix"], (3, 3)),
        (rows, columns),
        np.reshape(found["rotation"], (3, 3)),
        found["translation"],
    )


def _from_json(text: str) -> ConeBeam:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise InputError(f"it is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"it must be an object. Received: {type(values).__name__}")
    if "camera_matrix" not in values:
        return ConeBeam.from_dict(values)
    known = {"camera_matrix", "image_size", "rotation", "translation"}
    if not {"image_size"} <= set(values) <= known:
        raise InputError(
            f"beside camera_matrix it holds image_size, and may hold rotation and translation. "
            f"Received: {', '.join(values)}"
        )
    size = values["image_size"]
    if not isinstance(size, list) or len(size) != 2:
        raise InputError(f"image_size must be columns and rows. Received: {size}")
    frame: dict[str, Any] = {k: values[k] for k in ("rotation", "translation") if k in values}
    return ConeBeam.from_matrix(values["camera_matrix"], size[::-1], **frame)


def _from_dicom(path: Path) -> ConeBeam:
    with _tags(path) as tags:
        distance = tags.number("DistanceSourceToDetector")
        pixel = tags.numbers("ImagerPixelSpacing", 2)
        rows, columns = tags.number("Rows"), tags.number("Columns")
    if distance is None or pixel is None or rows is None or columns is None:
        raise InputError(
            f"{path} does not say how it was taken, in DistanceSourceToDetector and "
            "ImagerPixelSpacing; state a camera."
        )
    return ConeBeam(distance, (int(rows), int(columns)), (pixel[0], pixel[1]))


@contextmanager
def _tags(path: Path) -> Iterator[Any]:
    from tfreg.io.dicom.parsing import Tags, parsed

    with parsed(path) as dataset:
        yield Tags(path, dataset)
