"""Cardiac cine MRI, short axis, from whichever source is there, cropped to the heart.

Real slices come from :mod:`tfreg.data.sunnybrook` and :mod:`tfreg.data.acdc`, read from the folder
that ``TFREG_DATA`` names; phantom ones from :func:`tfreg.data.bodies.beating_hearts`.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfreg.data import acdc, bodies, sunnybrook
from tfreg.data.slices import SPLITS, CineSlice
from tfreg.data.source import phantom
from tfreg.errors import InputError

SIZE = 128
SOURCES = {
    "sunnybrook": sunnybrook.SOURCE,
    "acdc": acdc.SOURCE,
    "phantom": phantom(
        "phantom hearts of tfreg.data.bodies",
        "patients",
        {"train": 40, "validation": 10, "test": 10},
    ),
}
_READERS = {"sunnybrook": sunnybrook, "acdc": acdc}


class Frames(NamedTuple):
    """Time points of slices.

    Attributes:
        images: ``(n, size, size)`` float32, each in [0, 1].
        slices: ``(n,)`` int64; time points of one slice share a number.
        patients: ``(n,)`` names, with their source.
    """

    images: np.ndarray
    slices: np.ndarray
    patients: np.ndarray


def available(sources: Sequence[str]) -> bool:
    """Whether :func:`slices` would find these sources."""
    return all(source == "phantom" or _root(source) is not None for source in sources)


def slices(split: str, sources: Sequence[str], size: int = SIZE) -> Iterator[CineSlice]:
    """All slices of one split, cropped about the heart, or padded with their border.

    The heart is where a patient's labels are; without labels, in the middle of the image.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``; every source is split by patient.
        sources: of ``"sunnybrook"``, ``"acdc"`` and ``"phantom"``.
        size: pixels along each axis.

    Raises:
        ValueError: on an unknown split or source.
        InputError: where a source is not found or its file is not what it should be.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}. Received: split={split}")
    if not sources or any(source not in SOURCES for source in sources):
        raise ValueError(f"sources must be of {tuple(SOURCES)}. Received: sources={tuple(sources)}")
    return itertools.chain.from_iterable(_slices(split, source, size) for source in sources)


def frames(split: str, sources: Sequence[str], size: int = SIZE) -> Frames:
    """All time points of one split, for training on pairs of one slice.

    Args:
        split, sources, size: as in :func:`slices`.

    Raises:
        ValueError, InputError: as :func:`slices`.

    Example:

    >>> from tfreg.data import cine
    >>> hearts = cine.frames("test", ("phantom",))
    >>> hearts.images.shape, len(set(hearts.patients))
    ((200, 128, 128), 10)
    """
    images, numbers, names = [], [], []
    for number, one in enumerate(slices(split, sources, size)):
        low = one.images.min(axis=(1, 2), keepdims=True)
        extent = one.images.max(axis=(1, 2), keepdims=True) - low
        images.append((one.images - low) / np.where(extent > 0, extent, 1))
        numbers.append(np.full(len(one.images), number))
        names.append(np.full(len(one.images), one.patient))
    return Frames(*map(np.concatenate, (images, numbers, names)))


def _slices(split: str, source: str, size: int) -> Iterator[CineSlice]:
    if source == "phantom":
        yield from _phantoms(split, size)
        return
    root = _root(source)
    if root is None:
        raise InputError(
            f"{source} was not found: set TFREG_DATA to a folder with {_READERS[source].PACK} or "
            f"the official files in {source}/, or use the phantom hearts (--data phantom)."
        )
    found = _READERS[source].slices(root, split)
    for patient, stack in itertools.groupby(found, key=lambda one: one.patient):
        for one in _cropped(list(stack), size):
            yield replace(one, patient=f"{source} {patient}")


def _root(source: str) -> Path | None:
    """The official files before the prepared one: they hold more patients or time points."""
    folder = os.environ.get("TFREG_DATA")
    if not folder:
        return None
    if _READERS[source].is_official(Path(folder) / source):
        return Path(folder) / source
    return Path(folder) if (Path(folder) / _READERS[source].PACK).is_file() else None


def _phantoms(split: str, size: int) -> Iterator[CineSlice]:
    count = SOURCES["phantom"].splits[split]
    hearts = bodies.beating_hearts(count, seed=SPLITS.index(split), size=size)
    for number, (images, labels) in enumerate(zip(hearts.images, hearts.labels, strict=True)):
        ends = 0, hearts.systole
        drawn = {frame: labels[frame] for frame in ends}
        yield CineSlice(f"phantom {split} {number}", 0, images, hearts.spacing, *ends, drawn)


def _cropped(stack: list[CineSlice], size: int) -> list[CineSlice]:
    """All slices of a patient, about one centre."""
    drawn = [np.argwhere(label) for one in stack for label in one.labels.values()]
    places = np.concatenate(drawn) if drawn else np.zeros((0, 2))
    found = []
    for one in stack:
        shape = one.images.shape[1:]
        middle = places.mean(axis=0) if len(places) else (np.array(shape) - 1) / 2
        starts = [
            # Within the image where it is large enough, else the image in the middle.
            int(np.clip(round(c + 0.5 - size / 2), 0, n - size)) if n >= size else (n - size) // 2
            for c, n in zip(middle, shape, strict=True)
        ]
        images = _window(one.images, starts, size)
        labels = {frame: _window(label, starts, size) for frame, label in one.labels.items()}
        if any((labels[f] > 0).sum() != (label > 0).sum() for f, label in one.labels.items()):
            raise InputError(
                f"The labels of {one.patient}, slice {one.number}, do not fit into {size} pixels "
                f"about their centre. Received: an image of {shape} pixels"
            )
        found.append(replace(one, images=images, labels=labels))
    return found


def _window(array: np.ndarray, starts: Sequence[int], size: int) -> np.ndarray:
    """``array[..., start : start + size, ...]`` of the last two axes, its border repeated."""
    for axis, start in zip((-2, -1), starts, strict=True):
        index = np.clip(np.arange(start, start + size), 0, array.shape[axis] - 1)
        array = np.take(array, index, axis=axis)
    return array
