"""Folders of DICOM slices, and single slices."""

from copy import deepcopy
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from ..draws import Alteration, Draft, affine, alter, chance, damage, damaged, pick
from .dicom import BIG, SYNTAXES, dataset, pixels, save, stored_values, uid, words

_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}
_REPORT = "1.2.840.10008.5.1.4.1.1.88.11"


class Series:
    """The data sets of a series, in order of place."""

    def __init__(self, rng: np.random.Generator):
        count = pick(rng, [1, 2, 3, 4, 5, 6])
        rows, columns = (int(n) for n in rng.integers(2, 8, 2))
        values, bits = stored_values(rng, (count, rows, columns))
        self.map = affine(rng, right_handed=True)
        self.syntax = pick(rng, SYNTAXES)
        self.modality = pick(rng, list(_CLASSES))
        scaled = pick(rng, [None, (1, 0), (1, -1024), (0.5, 3), (0.00237, 0)])
        spacing = np.linalg.norm(self.map[:3, :3], axis=0)
        turned = self.map[:3, :3] / spacing
        self.slices: list[Dataset] = []
        for k in range(count):
            data = dataset(rng, _CLASSES[self.modality], self.modality)
            pixels(data, values[k], bits)
            data.InstanceNumber = k + 1
            data.ImagePositionPatient = words(self.map[:3, 3] + k * self.map[:3, 2])
            data.ImageOrientationPatient = words(turned[:, :2].T.ravel())
            data.PixelSpacing = words(spacing[[1, 0]])
            data.SliceThickness = words([pick(rng, [spacing[2], spacing[2], 0.8])])[0]
            if scaled:
                data.RescaleSlope, data.RescaleIntercept = words(scaled)
            if self.modality == "MR":
                data.SpacingBetweenSlices = words([spacing[2]])[0]
            data.AcquisitionTime = f"1200{k:02}"  # one slice after the other, as scanners do
            self.slices.append(data)
        if chance(rng, 0.4):  # numbered from the other end
            for data in self.slices:
                data.InstanceNumber = count + 1 - data.InstanceNumber
        self.bare: tuple[int, ...] = ()
        self.extra: dict[str, bytes] = {}
        self.damaged = False
        self.single = count == 1 and chance(rng, 0.5)
        if chance(rng, 0.3):
            self.extra["notes.txt"] = b"not DICOM"
        self.report = chance(rng, 0.2)

    def again(self, rng: np.random.Generator) -> list[Dataset]:
        """Copies of all slices, with other voxels."""
        copies = []
        for data in self.slices:
            copy = deepcopy(data)
            copy.SOPInstanceUID = uid(rng)
            old = np.frombuffer(data.PixelData, "u1")
            copy.PixelData = (old // 2).tobytes()
            copies.append(copy)
        return copies


def make(rng: np.random.Generator, folder: Path) -> Draft:
    """Writes a folder, its files named in no order."""
    series = Series(rng)
    kind, notes = alter(series, _ALTERATIONS, rng)
    folder = folder / "series"
    folder.mkdir()
    names = rng.permutation(len(series.slices))
    suffix = pick(rng, ["", ".dcm", ".dcm"])
    for index, data in enumerate(series.slices):
        path = folder / f"IM{names[index]:03}{suffix}"
        save(data, path, series.syntax, index not in series.bare)
    if series.damaged:
        path.write_bytes(damage(path.read_bytes(), rng))
    for name, content in series.extra.items():
        (folder / name).write_bytes(content)
    if series.report:
        report = dataset(rng, _REPORT, "SR")
        report.SeriesInstanceUID = uid(rng)
        save(report, folder / f"report{suffix}", SYNTAXES[0])
    only = series.single and len(series.slices) == 1 and not series.damaged
    return Draft(path if only else folder, kind, notes)


# Alterations


def _more_tags(series: Series, rng: np.random.Generator) -> None:
    tags = {
        "WindowCenter": "40",
        "WindowWidth": "400",
        "RescaleType": "HU",
        "PatientPosition": pick(rng, ["HFS", "FFP"]),
        "FrameOfReferenceUID": "1.2.3",
        "SmallestImagePixelValue": 0,
        "Laterality": "",
    }
    for key in rng.choice(list(tags), 3, replace=False):
        for data in series.slices:
            setattr(data, key, tags[key])


def _scales_differ(series: Series, rng: np.random.Generator) -> str:
    """Slope and intercept of each slice, as in PET; some may state none."""
    how = pick(rng, ["slopes", "slopes after 1", "intercepts", "some without", "both"])
    for k, data in enumerate(series.slices):
        slope, intercept = round(float(rng.uniform(0.001, 2)), 5), 0
        if how == "slopes after 1" and k == 0:
            slope = 1
        elif how == "intercepts":
            slope, intercept = 1, pick(rng, [0, -1024])
        elif how == "both":
            intercept = round(float(rng.uniform(-5, 5)), 2)
        data.RescaleSlope, data.RescaleIntercept = words([slope, intercept])
        if how == "some without" and chance(rng, 0.5):
            del data.RescaleSlope, data.RescaleIntercept
    return how


def _types_differ(series: Series, rng: np.random.Generator) -> None:
    """Signed and unsigned, 8 and 16 bits in one series."""
    for data in series.slices[1:]:
        if chance(rng, 0.5):
            values, bits = stored_values(rng, (data.Rows, data.Columns))
            pixels(data, values, bits)


def _without_preamble(series: Series, rng: np.random.Generator) -> str:
    count = len(series.slices)
    series.bare = tuple(range(count)) if chance(rng, 0.4) else (int(rng.integers(count)),)
    return f"{len(series.bare)} of {count}"


def _missing(series: Series, rng: np.random.Generator) -> None:
    if len(series.slices) > 3:
        del series.slices[pick(rng, range(1, len(series.slices) - 1))]


def _uneven(series: Series, rng: np.random.Generator) -> str:
    share = pick(rng, [0.01, 0.3, 0.6])
    if len(series.slices) > 2:
        data = series.slices[1]
        place = np.array(data.ImagePositionPatient, "float64") + share * series.map[:3, 2]
        data.ImagePositionPatient = words(place)
    return f"by {share}"


def _tilted(series: Series, rng: np.random.Generator) -> str:
    share = pick(rng, [1e-3, 0.2, 0.5])
    for k, data in enumerate(series.slices):
        place = np.array(data.ImagePositionPatient, "float64")
        data.ImagePositionPatient = words(place + k * share * series.map[:3, 1])
    return f"by {share}"


def _times(series: Series, rng: np.random.Generator) -> str:
    """All places once more, at another time."""
    how = pick(
        rng, ["TriggerTime", "TemporalPositionIdentifier", "AcquisitionTime", "EchoTime", ""]
    )
    count = len(series.slices)
    again = series.again(rng)
    for data in again:
        data.InstanceNumber = int(data.InstanceNumber) + count
    for time, stack in enumerate((series.slices, again)):
        for data in stack:
            if how == "AcquisitionTime":
                data.AcquisitionTime = f"13000{time}"
            elif how:
                setattr(data, how, time + 1 if how[0:2] == "Te" else str(33 * time))
    series.slices += again
    return how or "by nothing but the numbers"


def _twice(series: Series, rng: np.random.Generator) -> None:
    """One slice is there twice."""
    copy = deepcopy(series.slices[0])
    copy.SOPInstanceUID = uid(rng) if chance(rng, 0.5) else copy.SOPInstanceUID
    series.slices.append(copy)


def _other_series(series: Series, rng: np.random.Generator) -> None:
    again = series.again(rng)
    for data in again:
        data.SeriesInstanceUID = uid(rng)
    series.slices += again


def _orientation_differs(series: Series, rng: np.random.Generator) -> str:
    how = pick(rng, ["one across", "slightly", "mirrored"])
    data = series.slices[-1]
    axes = np.array(data.ImageOrientationPatient, "float64")
    if how == "one across":
        axes = axes[[3, 4, 5, 0, 1, 2]]
    elif how == "slightly":
        axes += rng.normal(0, 2e-3, 6)
    else:
        axes = -axes
    data.ImageOrientationPatient = words(axes)
    return how


def _spacing_differs(series: Series, rng: np.random.Generator) -> None:
    data = series.slices[-1]
    data.PixelSpacing = words(1.5 * np.array(data.PixelSpacing, "float64"))


def _size_differs(series: Series, rng: np.random.Generator) -> None:
    data = series.slices[-1]
    values, bits = stored_values(rng, (data.Rows + 1, data.Columns))
    pixels(data, values, bits)


def _thickness_of_its_own(series: Series, rng: np.random.Generator) -> None:
    """SpacingBetweenSlices is not the distance of the places."""
    for data in series.slices:
        data.SpacingBetweenSlices = pick(rng, ["7.5", "-2", "0"])


def _no_places(series: Series, rng: np.random.Generator) -> str:
    keys = pick(
        rng,
        [
            ["ImagePositionPatient"],
            ["ImageOrientationPatient"],
            ["PixelSpacing"],
            ["ImagePositionPatient", "ImageOrientationPatient"],
            ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"],
        ],
    )
    some = series.slices if chance(rng, 0.7) else series.slices[:1]
    for data in some:
        for key in keys:
            if chance(rng, 0.3):
                setattr(data, key, None)
            elif key in data:
                delattr(data, key)
    return f"{', '.join(keys)} of {len(some)}"


def _other_spacing(series: Series, rng: np.random.Generator) -> None:
    alone = chance(rng, 0.5)
    for data in series.slices:
        data.ImagerPixelSpacing = ["0.123", "0.321"]
        if alone:
            del data.PixelSpacing


def _monochrome1(series: Series, rng: np.random.Generator) -> None:
    for data in series.slices:
        data.PhotometricInterpretation = "MONOCHROME1"


def _colour(series: Series, rng: np.random.Generator) -> None:
    for data in series.slices:
        shape = (data.Rows, data.Columns)
        pixels(data, rng.integers(0, 255, shape, "u1"))
        data.SamplesPerPixel, data.PhotometricInterpretation = 3, "RGB"
        data.PlanarConfiguration = pick(rng, [0, 1])
        data.PixelData = rng.integers(0, 255, (*shape, 3), "u1").tobytes() + bytes(
            shape[0] * shape[1] % 2
        )


def _high_bits(series: Series, rng: np.random.Generator) -> None:
    """Bits above those stored are set, as by overlays of old."""
    for data in series.slices:
        values = rng.integers(0, 4095, (data.Rows, data.Columns), "u2")
        pixels(data, values | rng.integers(0, 15, values.shape, "u2") << 12, 12)


def _lookup(series: Series, rng: np.random.Generator) -> None:
    """A table in place of slope and intercept."""
    for data in series.slices:
        table = Dataset()
        table.LUTDescriptor, table.ModalityLUTType = [256, 0, 16], "US"
        table.add_new(0x00283006, "OW", (np.arange(256, dtype="<u2") * 3 + 7).tobytes())
        pixels(data, rng.integers(0, 255, (data.Rows, data.Columns), "u1"))
        data.ModalityLUTSequence = Sequence([table])
        for key in ("RescaleSlope", "RescaleIntercept"):
            if key in data:
                delattr(data, key)


def _gantry(series: Series, rng: np.random.Generator) -> None:
    for data in series.slices:
        data.GantryDetectorTilt = "15"


def _frames_of_reference(series: Series, rng: np.random.Generator) -> None:
    for data in series.slices:
        data.FrameOfReferenceUID = uid(rng)


def _big(series: Series, rng: np.random.Generator) -> None:
    series.syntax = BIG


def _far(series: Series, rng: np.random.Generator) -> None:
    for data in series.slices:
        place = np.array(data.ImagePositionPatient, "float64")
        data.ImagePositionPatient = [f"{value:.8g}" for value in place * 1e3]


def _numbers(series: Series, rng: np.random.Generator) -> str:
    key = pick(
        rng,
        [
            "PixelSpacing",
            "ImagePositionPatient",
            "ImageOrientationPatient",
            "RescaleSlope",
            "RescaleIntercept",
        ],
    )
    value = pick(rng, ["0", "-1", "1e30", "0.5", "", "1e-30"])
    for data in series.slices:
        text = data.get(key)
        if text is None or isinstance(text, str) or not hasattr(text, "__len__"):
            setattr(data, key, value or None)
        else:
            found = [str(word) for word in text]
            found[0] = value or "0"
            setattr(data, key, found if chance(rng, 0.8) else found[:-1])
    return f"{key} {value!r}"


def _bits(series: Series, rng: np.random.Generator) -> str:
    key = pick(
        rng, ["BitsStored", "HighBit", "BitsAllocated", "SamplesPerPixel", "PixelRepresentation"]
    )
    value = pick(rng, [0, 1, 3, 7, 12, 17, 32, 255])
    for data in series.slices:
        setattr(data, key, value)
    return f"{key} {value}"


def _size_lies(series: Series, rng: np.random.Generator) -> str:
    key, value = pick(rng, ["Rows", "Columns", "NumberOfFrames"]), pick(rng, [0, 1, 9, 65535])
    for data in series.slices if chance(rng, 0.5) else series.slices[:1]:
        setattr(data, key, value)
    return f"{key} {value}"


_ALTERATIONS = [
    Alteration("ordinary", "more tags", _more_tags),
    Alteration("ordinary", "scales of each slice", _scales_differ),
    Alteration("odd", "types of each slice", _types_differ),
    Alteration("odd", "without preamble", _without_preamble),
    Alteration("odd", "a slice missing", _missing),
    Alteration("odd", "uneven", _uneven),
    Alteration("odd", "tilted", _tilted),
    Alteration("odd", "two times", _times),
    Alteration("odd", "a slice twice", _twice),
    Alteration("odd", "another series", _other_series),
    Alteration("odd", "orientation of a slice", _orientation_differs),
    Alteration("odd", "spacing of a slice", _spacing_differs),
    Alteration("odd", "size of a slice", _size_differs),
    Alteration("odd", "SpacingBetweenSlices", _thickness_of_its_own),
    Alteration("odd", "ImagerPixelSpacing", _other_spacing),
    Alteration("odd", "MONOCHROME1", _monochrome1),
    Alteration("odd", "colour", _colour),
    Alteration("odd", "high bits", _high_bits),
    Alteration("odd", "a lookup table", _lookup),
    Alteration("odd", "a tilt of its own", _gantry),
    Alteration("odd", "several frames of reference", _frames_of_reference),
    Alteration("odd", "big endian", _big),
    Alteration("odd", "far from the origin", _far),
    Alteration("odd", "without", _no_places),  # after all that alters what it takes away
    Alteration("damaged", "numbers", _numbers),
    Alteration("damaged", "bits", _bits),
    Alteration("damaged", "size", _size_lies),
    Alteration("damaged", "bytes", damaged),
]
