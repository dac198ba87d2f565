"""What every data set of cardiac cine MRI is read into: slices over time."""

import functools
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tfreg.errors import InputError

SPLITS = ("train", "validation", "test")
_LISTS = Path(__file__).parent / "patients"


@dataclass(frozen=True)
class CineSlice:
    """One short-axis slice over a cardiac cycle.

    Labels as in ACDC: 0 background, 1 the right ventricle's cavity, 2 myocardium, 3 the left
    ventricle's cavity; what an expert did not draw is 0.

    Attributes:
        patient: the data set's name of the patient.
        number: place in the stack.
        images: ``(frames, height, width)`` float32, intensities as they were stored.
        spacing: mm per pixel, rows before columns, or ``None`` where the source lost it.
        diastole, systole: the annotated frames at the ends of diastole and systole, or ``None``.
        labels: ``(height, width)`` uint8 by frame, for annotated frames.
        gap: mm from one slice to the next, or ``None`` where it is not known.
    """

    patient: str
    number: int
    images: np.ndarray
    spacing: tuple[float, float] | None
    diastole: int | None = None
    systole: int | None = None
    labels: dict[int, np.ndarray] = field(default_factory=dict)
    gap: float | None = None


@functools.lru_cache
def patients(source: str, split: str) -> frozenset[str]:
    """The patients of one split, as listed in ``tfreg/data/patients``.

    Args:
        source: ``"acdc"`` or ``"sunnybrook"``.
        split: ``"train"``, ``"validation"`` or ``"test"``.

    Raises:
        ValueError: on an unknown split.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}. Received: split={split}")
    return frozenset((_LISTS / f"{source}_{split}.txt").read_text(encoding="utf-8").split())


def check_complete(root: Path, split: str, wanted: Collection[str], there: Collection[str]) -> None:
    """Raises ``InputError`` where patients of a split are missing: fewer would pass unseen."""
    missing = sorted(set(wanted) - set(there))
    if missing:
        raise InputError(
            f"{root} must hold all patients of the {split} split. Missing: {', '.join(missing)}"
        )


def read_pack(path: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays of a prepared file.

    Raises:
        InputError: if it is damaged or another one.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in keys}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not the prepared file that it should be: {error}") from error
