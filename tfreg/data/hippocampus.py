"""Hippocampus: crops of T1 MRI of the brain about one hippocampus each, with its two parts drawn.

Task 4 of the Medical Segmentation Decathlon. Both hippocampi of one person may be among the
volumes; who shares a person is not published.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfreg.data.slices import check_complete, patients, read_pack
from tfreg.data.source import Source, phantom
from tfreg.errors import InputError

SOURCES = {
    "decathlon": Source(
        "Medical Segmentation Decathlon, Task04",
        "M. Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13:4128, "
        "2022; A. L. Simpson et al., arXiv:1902.09063",
        "CC BY-SA 4.0",
        "volumes",
        {"train": 182, "validation": 26, "test": 26},
    ),
    "phantom": phantom(
        "phantom hippocampi of tfreg.data.hippocampus",
        "volumes",
        {"train": 40, "validation": 10, "test": 10},
    ),
}
PACK = "brain_hippocampus3d.npz"
SHAPE = (48, 64, 48)
LABELS = {1: "anterior", 2: "posterior"}


class Subjects(NamedTuple):
    """Volumes of one split, in one frame but not registered.

    Attributes:
        images: ``(n, 48, 64, 48)`` uint8, zero where the crop ended.
        labels: ``(n, 48, 64, 48)`` uint8: 1 anterior, 2 posterior.
        names: ``(n,)`` names of the volumes.
        spacing: mm per voxel and axis.
    """

    images: np.ndarray
    labels: np.ndarray
    names: np.ndarray
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)


def available() -> bool:
    """Whether :func:`subjects` would find the real volumes."""
    return _file() is not None


def subjects(split: str, source: str = "decathlon") -> Subjects:
    """All volumes of one split, from the prepared file in the folder that ``TFREG_DATA`` names.

    Args:
        split: ``"train"`` (182 volumes), ``"validation"`` (26) or ``"test"`` (26); the volumes are
            listed in ``tfreg/data/patients``.
        source: ``"decathlon"``, or ``"phantom"``: shapes of code of the same look (40, 10, 10).

    Raises:
        ValueError: on an unknown split or source.
        InputError: if the file is not there, or not what it should be.

    Example:

    >>> from tfreg.data import hippocampus
    >>> found = hippocampus.subjects("test", "phantom")
    >>> found.images.shape, sorted(set(found.labels.ravel().tolist()))
    ((10, 48, 64, 48), [0, 1, 2])
    """
    if source not in SOURCES:
        raise ValueError(f"source must be one of {tuple(SOURCES)}. Received: source={source}")
    chosen = patients("hippocampus", split)
    if source == "phantom":
        return _phantoms(split)
    path = _file()
    if path is None:
        raise InputError(
            f"The hippocampi were not found: set TFREG_DATA to a folder with {PACK}, or use the "
            "phantom ones, which need no files (--data phantom)."
        )
    pack = read_pack(path, ("images", "labels", "name"))
    images, labels, names = pack["images"], pack["labels"], pack["name"].astype(str)
    if images.shape != (len(names), *SHAPE) or labels.shape != images.shape:
        raise InputError(
            f"{path} must hold volumes of {SHAPE} voxels with labels. "
            f"Received: images {images.shape}, labels {labels.shape}, {len(names)} names"
        )
    check_complete(path, split, chosen, names)
    kept = np.isin(names, sorted(chosen))
    return Subjects(images[kept], labels[kept], names[kept])


def _file() -> Path | None:
    folder = os.environ.get("TFREG_DATA")
    path = Path(folder) / PACK if folder else None
    return path if path is not None and path.is_file() else None


def _phantoms(split: str) -> Subjects:
    rng = np.random.default_rng([4, ("train", "validation", "test").index(split)])
    atlas = np.random.default_rng(4)  # what surrounds a hippocampus is alike in everyone
    waves = atlas.normal(0, 7, (16, 3)), atlas.uniform(0, 2 * np.pi, 16)
    grid = np.moveaxis(np.indices(SHAPE, dtype="float64"), 0, -1)
    grid = (grid - (np.array(SHAPE) - 1) / 2) / np.array(SHAPE)  # from -1/2 to 1/2
    drawn = [_phantom(rng, grid, waves) for _ in range(SOURCES["phantom"].splits[split])]
    images, labels = (np.stack(part) for part in zip(*drawn, strict=True))
    names = np.array([f"phantom {split} {number}" for number in range(len(drawn))])
    return Subjects(images, labels, names)


def _phantom(rng: np.random.Generator, grid: np.ndarray, waves: tuple) -> tuple:
    """A bent sausage with a thick anterior end, seen through an affine and a wavy map."""
    affine = np.eye(3) + rng.normal(0, 0.06, (3, 3))
    x = grid @ affine.T + rng.normal(0, 0.025, 3)
    for _ in range(4):
        along = np.sin(grid @ rng.normal(0, 6, 3) + rng.uniform(0, 2 * np.pi))
        x = x + along[..., None] * rng.normal(0, 0.012, 3)
    bend = x[..., 2] + 0.8 * x[..., 1] ** 2 - 0.05
    thick = 0.13 + 0.12 * x[..., 1]
    radius = np.sqrt((x[..., 0] / thick) ** 2 + (bend / (0.8 * thick)) ** 2)
    radius = np.maximum(radius, np.abs(x[..., 1]) / 0.33)
    labels = np.where(radius < 1, np.where(x[..., 1] > 0.06, 1, 2), 0).astype("uint8")
    inside = 1 / (1 + np.exp(np.clip((radius - 1) * 12, -50, 50)))
    around = sum(np.sin(x @ k + turn) for k, turn in zip(*waves, strict=True)) / len(waves[1])
    image = 0.45 + 0.5 * around
    image = image + (0.62 + 0.1 * around - image) * inside + rng.normal(0, 0.02, labels.shape)
    # From 0 to 255 as the real ones: a network trained on less would be shown other intensities.
    image = (image - image.min()) / (image.max() - image.min())
    return np.rint(255 * image).astype("uint8"), labels
