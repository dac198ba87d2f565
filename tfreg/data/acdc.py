"""ACDC: cardiac cine MRI with labels of both ventricles at the ends of diastole and systole.

To be had after registration with its publisher, for use that is not commercial.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfreg.data.slices import CineSlice, check_complete, patients, read_pack
from tfreg.data.source import Source
from tfreg.errors import InputError

SOURCE = Source(
    "ACDC",
    "O. Bernard et al., Deep learning techniques for automatic MRI cardiac multi-structures "
    "segmentation and diagnosis: is the problem solved?, IEEE TMI 37(11), 2018",
    "CC BY-NC-SA 4.0",
    "patients",
    {"train": 70, "validation": 10, "test": 10},
)
PACK = "cine_acdc_edes.npz"
# Scanned at half the pixel size of the others (512 and 384 pixels wide); halved in the prepared
# file, and so here.
_FINE = ("patient038", "patient057")


def slices(root: Path, split: str) -> Iterator[CineSlice]:
    """All slices of one split.

    Args:
        root: a folder with the official files (``patient001/Info.cfg``,
            ``patient001_frame01.nii.gz``, ``patient001_frame01_gt.nii.gz`` and, with all frames,
            ``patient001_4d.nii.gz``; or ``training`` with these), or with the prepared
            ``cine_acdc_edes.npz``, which holds the two annotated frames.
        split: ``"train"``, ``"validation"`` or ``"test"``; ``SOURCE.splits`` counts them.

    Raises:
        InputError: if there is neither, if a patient of the split is missing, or a file is not what
            it should be.
    """
    chosen = patients("acdc", split)
    root = Path(root)
    if (root / PACK).is_file():
        return _from_pack(root / PACK, chosen)
    folders = sorted(_folders(root))
    if not folders:
        raise InputError(f"{root} must hold patient001 and so on, or {PACK}.")
    check_complete(root, split, chosen, {path.name for path in folders})
    return (one for path in folders if path.name in chosen for one in _patient(path))


def is_official(root: Path) -> bool:
    """Whether a folder looks like that of the publisher."""
    return any(True for _ in _folders(root))


def _folders(root: Path) -> Iterator[Path]:
    yield from root.glob("patient[0-9]*/")
    yield from root.glob("training/patient[0-9]*/")


def _from_pack(path: Path, chosen: frozenset[str]) -> Iterator[CineSlice]:
    pack = read_pack(path, ("ed", "es", "seg_ed", "seg_es", "patient", "slice"))
    for index, number in enumerate(pack["patient"]):
        patient = f"patient{number:03d}"
        if patient in chosen:
            yield CineSlice(
                patient=patient,
                number=int(pack["slice"][index]),
                images=np.stack([pack["ed"][index], pack["es"][index]]).astype("float32"),
                spacing=None,
                diastole=0,
                systole=1,
                labels={0: pack["seg_ed"][index], 1: pack["seg_es"][index]},
            )


def _patient(folder: Path) -> Iterator[CineSlice]:
    import SimpleITK as sitk

    frames = _annotated(folder / "Info.cfg")
    name = folder.name

    def read(suffix: str) -> sitk.Image:
        path = folder / f"{name}_{suffix}.nii.gz"
        try:
            return sitk.ReadImage(str(path))
        except RuntimeError as error:
            raise InputError(f"{path} is missing or cannot be read.") from error

    labels = {key: sitk.GetArrayFromImage(read(f"frame{n:02d}_gt")) for key, n in frames.items()}
    if (folder / f"{name}_4d.nii.gz").is_file():
        image = read("4d")
        images = sitk.GetArrayFromImage(image)
        index = {key: number - 1 for key, number in frames.items()}  # frames count from 1
    else:
        image = read(f"frame{frames['ED']:02d}")
        both = (image, read(f"frame{frames['ES']:02d}"))
        images = np.stack([sitk.GetArrayFromImage(one) for one in both])
        index = {"ED": 0, "ES": 1}
    if any(label.shape != images.shape[1:] for label in labels.values()) or (
        max(index.values()) >= len(images)
    ):
        raise InputError(f"{folder}: images {images.shape} and labels do not fit each other.")
    spacing = image.GetSpacing()
    if name in _FINE:
        images = _halved(images.astype("float32")).mean(axis=(-3, -1))
        labels = {key: _halved(label)[..., 0, :, 0] for key, label in labels.items()}
        spacing = (2 * spacing[0], 2 * spacing[1], spacing[2])
    for number in range(images.shape[1]):
        yield CineSlice(
            patient=name,
            number=number,
            images=images[:, number].astype("float32"),
            spacing=(spacing[1], spacing[0]),
            diastole=index["ED"],
            systole=index["ES"],
            labels={index[key]: labels[key][number].astype("uint8") for key in index},
            gap=spacing[2],
        )


def _halved(array: np.ndarray) -> np.ndarray:
    """Blocks of 2x2 pixels, ``(..., height / 2, 2, width / 2, 2)``; an odd last line is left."""
    *rest, height, width = array.shape
    even = array[..., : height // 2 * 2, : width // 2 * 2]
    return even.reshape(*rest, height // 2, 2, width // 2, 2)


def _annotated(path: Path) -> dict[str, int]:
    """Numbers of the annotated frames, counted from 1."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        entries = dict(line.split(":", 1) for line in lines if ":" in line)
        return {key: int(entries[key]) for key in ("ED", "ES")}
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} must name the frames ED and ES: {error}") from error
