"""Sunnybrook Cardiac Data: cine MRI of 45 patients, the data of the DIRNet paper.

From the Cardiac Atlas Project. The paper splits the patients 15/15/15 and does not say how. Here
the training patients are those of the segmentation challenge's training part; its validation part
tests and its online part validates, but for SC-HF-I-5 and SC-HF-I-9, which changed places so that
the prepared file, which holds five patients, agrees.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfreg.data.slices import CineSlice, check_complete, patients, read_pack
from tfreg.data.source import Source
from tfreg.errors import InputError

SOURCE = Source(
    "Sunnybrook Cardiac Data",
    "P. Radau et al., Evaluation framework for algorithms segmenting short axis cardiac MRI, The "
    "MIDAS Journal, 2009",
    "CC0 1.0",
    "patients",
    {"train": 15, "validation": 15, "test": 15},
)
PACK = "cine_scd.npz"
_NAMES = {  # of the patients in the prepared file
    "SCD0000101": "SC-HF-I-1",
    "SCD0000201": "SC-HF-I-2",
    "SCD0000301": "SC-HF-I-4",
    "SCD0000401": "SC-HF-I-5",
    "SCD0000501": "SC-HF-I-6",
}


def slices(root: Path, split: str) -> Iterator[CineSlice]:
    """All slices of one split.

    Args:
        root: a folder with the official files, or with the prepared ``cine_scd.npz`` of five
            patients. Official are ``scd_patientdata.csv``, the images
            ``SCD0000101/CINESAX_300/IM-0003-0059.dcm``, there or one folder further down, and the
            contours ``SCD_ManualContours/SC-HF-I-01/contours-manual/IRCCI-expert/``
            ``IM-0001-0059-icontour-manual.txt``.
        split: ``"train"``, ``"validation"`` or ``"test"``; ``SOURCE.splits`` counts their patients.

    Raises:
        InputError: if there is neither, if a patient of the split is missing, or a file is not what
            it should be.
    """
    chosen = patients("sunnybrook", split)
    root = Path(root)
    if (root / PACK).is_file():
        return _from_pack(root / PACK, chosen)
    if not is_official(root):
        raise InputError(f"{root} must hold scd_patientdata.csv, or {PACK}.")
    return _official(root, split, chosen)


def is_official(root: Path) -> bool:
    """Whether a folder looks like that of the publisher."""
    return (root / "scd_patientdata.csv").is_file()


def _from_pack(path: Path, chosen: frozenset[str]) -> Iterator[CineSlice]:
    keys = ("images", "endo_ed", "endo_es", "epi_ed", "ed_frame", "es_frame", "subject")
    pack = read_pack(path, (*keys, "spacing_yx"))
    numbers: dict[str, int] = {}
    for index, subject in enumerate(pack["subject"]):
        name = _NAMES.get(str(subject))
        if name not in chosen:
            continue
        number = numbers[name] = numbers.get(name, -1) + 1
        labels, frames = {}, []
        for key in ("ed", "es"):
            frame = int(pack[f"{key}_frame"][index])
            frames.append(frame if frame >= 0 else None)
            if frame >= 0:
                epi = pack["epi_ed"][index] if key == "ed" else np.zeros_like(pack["epi_ed"][index])
                labels[frame] = _labels(pack[f"endo_{key}"][index], epi)
        spacing = tuple(map(float, pack["spacing_yx"][index]))
        images = pack["images"][index].astype("float32")
        yield CineSlice(name, number, images, spacing, *frames, labels)


def _labels(endocardium: np.ndarray, epicardium: np.ndarray) -> np.ndarray:
    return np.where(endocardium > 0, 3, np.where(epicardium > 0, 2, 0)).astype("uint8")


def _official(root: Path, split: str, chosen: frozenset[str]) -> Iterator[CineSlice]:
    with (root / "scd_patientdata.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"PatientID", "OriginalID"} <= set(rows[0]):
        raise InputError(f"{root / 'scd_patientdata.csv'} must name PatientID and OriginalID.")
    series = {}
    for row in rows:
        name, folder = (_plain(row["OriginalID"] or ""), (row["PatientID"] or "").strip())
        found = sorted([*root.glob(f"{folder}/CINESAX*/"), *root.glob(f"*/{folder}/CINESAX*/")])
        if folder and found:
            series[name] = found[0]
    check_complete(root, split, chosen, series)
    for name in series:
        if name in chosen:
            yield from _patient(name, series[name], _contours(root, name))


def _plain(name: str) -> str:
    """``SC-HF-I-01`` and ``SC-HF-I-1`` are one patient."""
    head, _, number = name.strip().rpartition("-")
    return f"{head}-{int(number)}" if number.isdigit() else name


def _contours(root: Path, name: str) -> dict[int, dict[str, Path]]:
    """Files of the inner (``i``) and outer (``o``) contours by number of the image."""
    found: dict[int, dict[str, Path]] = {}
    for folder in root.glob("SCD_ManualContours/SC-*/"):
        if _plain(folder.name) != name:
            continue
        for path in (folder / "contours-manual" / "IRCCI-expert").glob("*contour-manual.txt"):
            match = re.fullmatch(r"IM-\d+-(\d+)-([io])contour-manual\.txt", path.name)
            if match:
                found.setdefault(int(match[1]), {})[match[2]] = path
    return found


class _Image(NamedTuple):
    time: float
    number: int
    pixels: np.ndarray
    spacing: tuple[float, float]


def _patient(name: str, series: Path, contours: dict[int, dict[str, Path]]) -> Iterator[CineSlice]:
    places: dict[float, list[_Image]] = {}
    for path in sorted(series.glob("*.dcm")):
        place, image = _read(path)
        places.setdefault(place, []).append(image)
    stack = []
    areas: dict[int, list[int]] = {}  # of the cavity, by time point
    for place in sorted(places):
        images = sorted(places[place], key=lambda image: (image.time, image.number))
        if len({image.pixels.shape for image in images}) > 1:
            raise InputError(f"{series}: the images at {place} mm differ in size.")
        labels = {
            frame: _drawn(contours[image.number], image.pixels.shape)
            for frame, image in enumerate(images)
            if "i" in contours.get(image.number, {})
        }
        for frame, label in labels.items():
            areas.setdefault(frame, []).append(int((label == 3).sum()))
        stack.append((images, labels))
    # The two time points drawn most often; the cavity of the whole heart is larger in diastole.
    ends = sorted(areas, key=lambda frame: len(areas[frame]), reverse=True)[:2]
    ends = sorted(ends, key=lambda frame: sum(areas[frame]), reverse=True)
    for number, (images, labels) in enumerate(stack):
        pixels = np.stack([image.pixels for image in images]).astype("float32")
        frames = [frame if frame in labels else None for frame in ends] if len(ends) == 2 else []
        yield CineSlice(name, number, pixels, images[0].spacing, *frames or (None, None), labels)


def _read(path: Path) -> tuple[float, _Image]:
    """Place of the slice in mm, and the image with its time in the cycle and its number."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise InputError(f"{path} is not a DICOM image that can be read.") from error

    def tag(key: str, name: str) -> float:
        try:
            return float(reader.GetMetaData(key))
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{path} must have a {name}, a number.") from error

    match = re.search(r"(\d+)$", path.stem)
    if match is None:
        raise InputError(f"The name of {path} must end in the number of the image.")
    pixels = sitk.GetArrayFromImage(image)
    pixels = pixels[0] if pixels.ndim == 3 else pixels
    spacing = image.GetSpacing()[1], image.GetSpacing()[0]
    time = tag("0018|1060", "TriggerTime")
    place = tag("0020|1041", "SliceLocation")
    return round(place, 1), _Image(time, int(match[1]), pixels, spacing)


def _drawn(files: dict[str, Path], shape: tuple[int, int]) -> np.ndarray:
    inner = _filled(files["i"], shape)
    outer = _filled(files["o"], shape) if "o" in files else np.zeros(shape, bool)
    return _labels(inner, outer)


def _filled(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centre lies within a contour of ``x y`` lines, counted from 0."""
    from matplotlib.path import Path as Polygon

    try:
        lines = path.read_text(encoding="ascii").splitlines()
        points = np.array([line.split() for line in lines if line.strip()], float)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a contour: {error}") from error
    if points.shape != (len(points), 2) or len(points) < 3:
        raise InputError(f"{path} must hold three points or more. Received: {points.shape}")
    y, x = np.indices(shape)
    inside = Polygon(points).contains_points(np.stack([x.ravel(), y.ravel()], axis=-1))
    return inside.reshape(shape)
