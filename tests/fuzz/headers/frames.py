"""DICOM files of many frames: enhanced CT and MR, nuclear medicine, dose, cine, captures."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from ..draws import Alteration, Draft, affine, alter, chance, damage, damaged, pick
from .dicom import SYNTAXES, dataset, pixels, save, stored_values, words

_ENHANCED = {"CT": "1.2.840.10008.5.1.4.1.1.2.1", "MR": "1.2.840.10008.5.1.4.1.1.4.1"}
_CLASSES = {
    "NM": "1.2.840.10008.5.1.4.1.1.20",
    "RTDOSE": "1.2.840.10008.5.1.4.1.1.481.2",
    "XA": "1.2.840.10008.5.1.4.1.1.12.1",
    "US": "1.2.840.10008.5.1.4.1.1.3.1",
    "OT": "1.2.840.10008.5.1.4.1.1.7.3",
}


class Frames:
    """A file, and what each of its frames says."""

    def __init__(self, rng: np.random.Generator):
        self.count = count = pick(rng, [1, 2, 3, 4, 6])
        rows, columns = (int(n) for n in rng.integers(2, 8, 2))
        self.values, self.bits = stored_values(rng, (count, rows, columns))
        self.map = affine(rng, right_handed=True)
        self.spacing = np.linalg.norm(self.map[:3, :3], axis=0)
        self.turned = self.map[:3, :3] / self.spacing
        self.places = [self.map[:3, 3] + k * self.map[:3, 2] for k in range(count)]
        self.axes = [self.turned[:, :2].T.ravel()] * count
        self.steps = [self.spacing[[1, 0]]] * count
        self.times: list[int] = [1] * count
        scale = pick(rng, [(1, 0), (1, -1024), (0.5, 3)])
        self.scales: list[tuple[float, float]] = [scale] * count
        self.scaled = chance(rng, 0.7)
        self.modality = pick(rng, list(_ENHANCED))
        self.syntax, self.damaged = pick(rng, SYNTAXES), False
        self.shared, self.left_out = chance(rng, 0.5), ""
        self.more: dict[str, object] = {}

    def data(self, rng: np.random.Generator) -> Dataset:
        data = dataset(rng, _ENHANCED[self.modality], self.modality)
        pixels(data, self.values, self.bits)
        data.NumberOfFrames = self.count
        groups = [self.group(k) for k in range(self.count)]
        shared = Dataset()
        for key in (
            "PixelMeasuresSequence",
            "PlaneOrientationSequence",
            "PixelValueTransformationSequence",
        ):
            found = [group[key] for group in groups if key in group]
            if self.shared and len(found) == self.count and all(f == found[0] for f in found):
                shared[key] = found[0]
                for group in groups:
                    del group[key]
        for group in groups:
            if self.left_out in group:
                delattr(group, self.left_out)
        if self.left_out in shared:
            delattr(shared, self.left_out)
        data.SharedFunctionalGroupsSequence = Sequence([shared])
        data.PerFrameFunctionalGroupsSequence = Sequence(groups)
        for key, value in self.more.items():
            setattr(data, key, value)
        return data

    def group(self, k: int) -> Dataset:
        group, measures, axes = Dataset(), Dataset(), Dataset()
        place, content, scale = Dataset(), Dataset(), Dataset()
        measures.PixelSpacing = words(self.steps[k])
        measures.SliceThickness = words([self.spacing[2]])[0]
        measures.SpacingBetweenSlices = words([self.spacing[2]])[0]
        axes.ImageOrientationPatient = words(self.axes[k])
        place.ImagePositionPatient = words(self.places[k])
        content.TemporalPositionIndex, content.InStackPositionNumber = self.times[k], k + 1
        content.StackID = "1"
        scale.RescaleSlope, scale.RescaleIntercept = words(self.scales[k])
        scale.RescaleType = "US"
        group.PixelMeasuresSequence = Sequence([measures])
        group.PlaneOrientationSequence = Sequence([axes])
        group.PlanePositionSequence = Sequence([place])
        group.FrameContentSequence = Sequence([content])
        if self.scaled:
            group.PixelValueTransformationSequence = Sequence([scale])
        return group


def make(rng: np.random.Generator, folder: Path) -> Draft:
    """Writes one file."""
    path = folder / pick(rng, ["image.dcm", "image"])
    if chance(rng, 0.25):
        data, kind, notes = _of_another_kind(rng)
        save(data, path, pick(rng, SYNTAXES))
        return Draft(path, kind, notes)
    frames = Frames(rng)
    kind, notes = alter(frames, _ALTERATIONS, rng)
    save(frames.data(rng), path, frames.syntax)
    if frames.damaged:
        path.write_bytes(damage(path.read_bytes(), rng))
    return Draft(path, kind, notes)


def _of_another_kind(rng: np.random.Generator) -> tuple[Dataset, str, tuple[str, ...]]:
    """Frames without functional groups."""
    modality = pick(rng, list(_CLASSES))
    data = dataset(rng, _CLASSES[modality], modality)
    count = pick(rng, [2, 3, 5])
    values = rng.integers(0, 4095, (count, *rng.integers(2, 8, 2)), "u2")
    pixels(data, values, 16)
    data.NumberOfFrames = count
    step = pick(rng, [2.5, -2.5])
    if modality in ("NM", "RTDOSE") or chance(rng, 0.2):
        data.PixelSpacing = ["1.5", "0.75"]
    if modality in ("NM", "RTDOSE"):
        data.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        data.ImagePositionPatient = ["-10", "20", "30"]
    if modality == "NM":
        data.SliceThickness, data.SpacingBetweenSlices = "2.5", words([step])[0]
        data.NumberOfSlices, data.FrameIncrementPointer = count, 0x00540080
        data.SliceVector = list(range(1, count + 1))
        detector = Dataset()
        detector.ImageOrientationPatient = data.ImageOrientationPatient
        detector.ImagePositionPatient = data.ImagePositionPatient
        data.DetectorInformationSequence = Sequence([detector])
    elif modality == "RTDOSE":
        data.DoseGridScaling, data.DoseUnits = "0.0021", "GY"
        offsets = [step * k for k in range(count)]
        if chance(rng, 0.3):
            offsets[-1] += 4
        data.GridFrameOffsetVector = words(offsets)
        data.FrameIncrementPointer = 0x3004000C
    elif modality in ("XA", "US"):
        if chance(rng, 0.5):
            data.FrameTime, data.FrameIncrementPointer = "33.3", 0x00181063
        else:
            data.FrameTimeVector = ["0", *["40"] * (count - 1)]
            data.FrameIncrementPointer = 0x00181065
    return data, "odd", (modality,)


# Alterations


def _shuffled(frames: Frames, rng: np.random.Generator) -> str:
    order = rng.permutation(frames.count)
    frames.places = [frames.places[k] for k in order]
    return str(order.tolist())


def _reversed(frames: Frames, rng: np.random.Generator) -> None:
    frames.places = frames.places[::-1]


def _scales_differ(frames: Frames, rng: np.random.Generator) -> None:
    frames.scaled = True
    frames.scales = [
        (round(rng.uniform(0.1, 2), 3), int(rng.integers(-9, 9))) for _ in frames.places
    ]


def _times(frames: Frames, rng: np.random.Generator) -> str:
    """Fewer places, several times."""
    how = pick(rng, ["time by time", "place by place", "one place", "one too few"])
    if how == "one place":
        frames.places = [frames.places[0]] * frames.count
        frames.times = list(range(1, frames.count + 1))
    else:
        half = max(1, frames.count // 2)
        index = np.arange(frames.count)
        place, time = (index % half, index // half)
        if how == "place by place":
            place, time = index // 2, index % 2
        if how == "one too few":
            place[-1] = 0
        frames.places = [frames.places[k] for k in place]
        frames.times = [int(t) + 1 for t in time]
    return how


def _missing(frames: Frames, rng: np.random.Generator) -> None:
    for k in range(1 + frames.count // 2, frames.count):
        frames.places[k] = frames.places[k] + frames.map[:3, 2]


def _tilted(frames: Frames, rng: np.random.Generator) -> str:
    share = pick(rng, [1e-3, 0.2, 0.5])
    frames.places = [p + k * share * frames.map[:3, 1] for k, p in enumerate(frames.places)]
    return f"by {share}"


def _axes_differ(frames: Frames, rng: np.random.Generator) -> None:
    frames.axes = [*frames.axes[:-1], frames.axes[-1][[3, 4, 5, 0, 1, 2]]]


def _steps_differ(frames: Frames, rng: np.random.Generator) -> None:
    frames.steps = [*frames.steps[:-1], 2 * frames.steps[-1]]


def _left_out(frames: Frames, rng: np.random.Generator) -> str:
    frames.left_out = pick(
        rng,
        [
            "PixelMeasuresSequence",
            "PlaneOrientationSequence",
            "PlanePositionSequence",
            "FrameContentSequence",
        ],
    )
    return frames.left_out


def _thickness(frames: Frames, rng: np.random.Generator) -> None:
    """The distance that the file states is not that of its places."""
    frames.places = [frames.places[0] + 2 * (p - frames.places[0]) for p in frames.places]


def _on_top(frames: Frames, rng: np.random.Generator) -> None:
    """Tags outside the groups, which say something else."""
    frames.more |= {
        "PixelSpacing": ["9", "9"],
        "ImagePositionPatient": ["1", "2", "3"],
        "ImageOrientationPatient": ["0", "1", "0", "0", "0", "1"],
    }
    if frames.scaled and chance(rng, 0.5):
        frames.more |= {"RescaleSlope": "7", "RescaleIntercept": "7"}


def _count_lies(frames: Frames, rng: np.random.Generator) -> str:
    frames.more["NumberOfFrames"] = count = pick(rng, [1, 2, 7, 60000])
    return str(count)


def _no_groups(frames: Frames, rng: np.random.Generator) -> None:
    frames.more["PerFrameFunctionalGroupsSequence"] = Sequence([])


_ALTERATIONS = [
    Alteration("odd", "shuffled", _shuffled),
    Alteration("odd", "from the other end", _reversed),
    Alteration("odd", "scales of each frame", _scales_differ),
    Alteration("odd", "times", _times),
    Alteration("odd", "frames missing", _missing),
    Alteration("odd", "tilted", _tilted),
    Alteration("odd", "axes of a frame", _axes_differ),
    Alteration("odd", "spacing of a frame", _steps_differ),
    Alteration("odd", "without", _left_out),
    Alteration("odd", "thickness", _thickness),
    Alteration("odd", "tags on top", _on_top),
    Alteration("damaged", "NumberOfFrames", _count_lies),
    Alteration("damaged", "without groups", _no_groups),
    Alteration("damaged", "bytes", damaged),
]
