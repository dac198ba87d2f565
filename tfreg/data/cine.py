"""Cardiac cine MRI, short axis: Sunnybrook (all time points) and ACDC (end diastole and systole).

Radau et al., Evaluation framework for algorithms segmenting short axis cardiac MRI, The MIDAS
Journal 2009 (CC0); Bernard et al., Deep learning techniques for automatic MRI cardiac
multi-structures segmentation and diagnosis, IEEE TMI 37(11), 2018 (non-commercial, after
registration). Both are read from prepared files in the folder that ``TFREG_DATA`` names.
"""

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfreg.errors import InputError

SPLITS = ("train", "validation", "test")
SOURCES = ("sunnybrook", "acdc")
SIZE = 128
_FILES = {"sunnybrook": "cine_scd.npz", "acdc": "cine_acdc_edes.npz"}


class Frames(NamedTuple):
    """Time points of slices.

    Attributes:
        images: ``(n, 128, 128)`` float32, each in [0, 1].
        slices: ``(n,)`` int64; time points of one slice share a number.
        patients: ``(n,)`` names, with their source.
    """

    images: np.ndarray
    slices: np.ndarray
    patients: np.ndarray


def available(sources: Sequence[str] = SOURCES) -> bool:
    """Whether :func:`frames` would find these sources."""
    return all(_path(source) is not None for source in sources)


def frames(split: str, sources: Sequence[str] = SOURCES) -> Frames:
    """All time points of one split, for training on pairs of one slice.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``; the sources are split by patient.
        sources: of ``"sunnybrook"`` and ``"acdc"``.

    Raises:
        ValueError: on an unknown split or source.
        InputError: where a source is not found or its file is not what it should be.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}. Received: split={split}")
    if not sources or any(source not in SOURCES for source in sources):
        raise ValueError(f"sources must be of {SOURCES}. Received: sources={tuple(sources)}")
    parts, first = [], 0
    for source in sources:
        images, slices, patients = (_sunnybrook if source == "sunnybrook" else _acdc)(split)
        names = np.array([f"{source} {patient}" for patient in patients])
        parts.append((_unit(_cropped(images)), slices + first, names))
        first += int(slices.max()) + 1 if len(slices) else 0
    return Frames(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _sunnybrook(split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pack = _read("sunnybrook", ("images", "subject", "split"))
    keep = pack["split"] == _split_name(split)
    images = pack["images"][keep]
    count, times = images.shape[:2]
    return (
        images.reshape(-1, *images.shape[2:]),
        np.repeat(np.arange(count), times),
        np.repeat(pack["subject"][keep], times),
    )


def _acdc(split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pack = _read("acdc", ("ed", "es", "patient", "split"))
    keep = pack["split"] == _split_name(split)
    images = np.stack([pack["ed"][keep], pack["es"][keep]], axis=1)
    count = len(images)
    return (
        images.reshape(-1, *images.shape[2:]),
        np.repeat(np.arange(count), 2),
        np.repeat(pack["patient"][keep], 2),
    )


def _split_name(split: str) -> str:
    return "val" if split == "validation" else split


def _path(source: str) -> Path | None:
    folder = os.environ.get("TFREG_DATA")
    path = Path(folder) / _FILES[source] if folder else None
    return path if path is not None and path.is_file() else None


def _read(source: str, keys: Sequence[str]) -> dict[str, np.ndarray]:
    path = _path(source)
    if path is None:
        raise InputError(
            f"{source} was not found: set TFREG_DATA to a folder with {_FILES[source]}, or use the "
            "phantom hearts, which need no files (--data phantom)."
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in keys}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a prepared file of {source}: {error}") from error


def _cropped(images: np.ndarray) -> np.ndarray:
    """The middle; both files are centred on the heart."""
    top, left = ((n - SIZE) // 2 for n in images.shape[1:])
    return images[:, top : top + SIZE, left : left + SIZE]


def _unit(images: np.ndarray) -> np.ndarray:
    low = images.min(axis=(1, 2), keepdims=True).astype("float32")
    extent = images.max(axis=(1, 2), keepdims=True) - low
    return ((images - low) / np.maximum(extent, 1)).astype("float32")
