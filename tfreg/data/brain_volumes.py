"""Brain: whole brains of different people, skull-stripped T1 MRI with the regions of the cortex.

Fourteen of the twenty test-retest brains of OASIS in Mindboggle-101, labelled by the DKT protocol,
at half of their resolution. They lie where the scanner had them: an affine stage comes first.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfreg.data.slices import check_complete, patients, read_pack
from tfreg.data.source import Source, phantom
from tfreg.errors import InputError

SOURCES = {
    "dkt31": Source(
        "Mindboggle-101, OASIS-TRT-20",
        "A. Klein and J. Tourville, 101 labeled brain images and a consistent human cortical "
        "labeling protocol, Frontiers in Neuroscience 6:171, 2012; D. S. Marcus et al., 2007",
        "CC BY-NC-SA 3.0",
        "people",
        {"train": 9, "validation": 2, "test": 3},
    ),
    "phantom": phantom(
        "phantom brains of tfreg.data.brain_volumes",
        "people",
        {"train": 9, "validation": 2, "test": 3},
    ),
}
PACK = "brain_dkt31.npz"
SHAPE = (76, 92, 72)
SPACING = (2.0, 2.0, 2.0)  # mm
REGIONS = 66


class Volumes(NamedTuple):
    """Brains of one split, a person each, not aligned.

    Attributes:
        images: ``(n, 76, 92, 72)`` float32 in [0, 1], zero outside the brain; fine ones have
            twice as many voxels along each axis.
        labels: of the same shape, uint8: regions 1 to 66; of phantoms 1 to 8.
        names: ``(n,)``.
        spacing: mm per voxel and axis.
    """

    images: np.ndarray
    labels: np.ndarray
    names: np.ndarray
    spacing: tuple[float, float, float] = SPACING


def available() -> bool:
    """Whether :func:`volumes` would find the real brains."""
    return _file() is not None


def volumes(split: str, source: str = "dkt31", fine: bool = False) -> Volumes:
    """All brains of one split, from the prepared file in the folder that ``TFREG_DATA`` names.

    Args:
        split: ``"train"`` (9 people), ``"validation"`` (2) or ``"test"`` (3); they are listed in
            ``tfreg/data/patients``.
        source: ``"dkt31"``, or ``"phantom"``: brains of code, as many.
        fine: of ``"dkt31"``, at their own resolution, 1 mm.

    Raises:
        ValueError: on an unknown split or source, or fine phantoms.
        InputError: if the file is not there, or not what it should be.

    Example:

    >>> from tfreg.data import brain_volumes
    >>> found = brain_volumes.volumes("validation", "phantom")
    >>> found.images.shape, int(found.labels.max()), found.spacing
    ((2, 76, 92, 72), 8, (2.0, 2.0, 2.0))
    """
    if source not in SOURCES:
        raise ValueError(f"source must be one of {tuple(SOURCES)}. Received: source={source}")
    if fine and source == "phantom":
        raise ValueError(f"Only dkt31 has a finer resolution. Received: source={source}, fine=True")
    chosen = patients("dkt31", split)
    if source == "phantom":
        return _phantoms(split)
    path = _file()
    if path is None:
        raise InputError(
            f"The brains were not found: set TFREG_DATA to a folder with {PACK}, or use the "
            "phantom ones, which need no files (--data phantom)."
        )
    pack = read_pack(path, ("images", "labels", "subject"))
    images, labels, names = pack["images"], pack["labels"], pack["subject"].astype(str)
    whole = tuple(2 * n for n in SHAPE)
    if images.shape != (len(names), *whole) or labels.shape != images.shape:
        raise InputError(
            f"{path} must hold volumes of {whole} voxels with labels. "
            f"Received: images {images.shape}, labels {labels.shape}, {len(names)} names"
        )
    check_complete(path, split, chosen, names)
    kept = np.isin(names, sorted(chosen))
    images, labels, names = images[kept], labels[kept], names[kept]
    if fine:
        return Volumes(images.astype("float32") / 255, labels, names, (1.0, 1.0, 1.0))
    return Volumes(_halved(images) / 255, labels[:, ::2, ::2, ::2], names)


def _file() -> Path | None:
    folder = os.environ.get("TFREG_DATA")
    path = Path(folder) / PACK if folder else None
    return path if path is not None and path.is_file() else None


def _halved(images: np.ndarray) -> np.ndarray:
    """The mean of each block of two voxels an edge, float32."""
    blocks = [size for n in SHAPE for size in (n, 2)]
    return images.reshape(-1, *blocks).mean(axis=(2, 4, 6), dtype="float32")


def _phantoms(split: str) -> Volumes:
    rng = np.random.default_rng([11, ("train", "validation", "test").index(split)])
    grid = np.moveaxis(np.indices(SHAPE, dtype="float64"), 0, -1)
    grid = (grid - (np.array(SHAPE) - 1) / 2) / max(SHAPE)
    drawn = [_phantom(rng, grid) for _ in range(SOURCES["phantom"].splits[split])]
    images, labels = (np.stack(part) for part in zip(*drawn, strict=True))
    names = np.array([f"phantom {split} {number}" for number in range(len(drawn))])
    return Volumes(images, labels, names)


def _phantom(rng: np.random.Generator, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A folded rim of grey matter about white matter with ventricles; an octant each a region."""
    x = grid @ (np.eye(3) + rng.normal(0, 0.04, (3, 3))).T + rng.normal(0, 0.01, 3)
    for _ in range(4):
        along = np.sin(grid @ rng.normal(0, 9, 3) + rng.uniform(0, 2 * np.pi))
        x = x + along[..., None] * rng.normal(0, 0.006, 3)
    radius = np.linalg.norm(x / [0.36, 0.45, 0.35], axis=-1)
    folds = 0.86 + 0.05 * np.prod([np.sin(30 * x[..., k] + k) for k in range(3)], axis=0)
    horns = [np.linalg.norm((x - [0, 0, s * 0.05]) / [0.06, 0.15, 0.03], axis=-1) for s in (-1, 1)]

    def within(distance: np.ndarray) -> np.ndarray:
        """1 where a distance in voxels is negative, 0 beyond, soft between."""
        return 1 / (1 + np.exp(np.clip(2 * distance, -50, 50)))

    image = 0.45 + 0.4 * within(30 * (radius - folds))
    image = image * (1 - 0.8 * within(6 * (np.minimum(*horns) - 1)))
    image = image + rng.normal(0, 0.01, SHAPE)
    brain = within(30 * (radius - 1))
    image = np.where(brain > 0.05, np.clip(image * brain, 0, 1), 0).astype("float32")
    octant = sum((x[..., k] > 0) * 2**k for k in range(3))
    return image, np.where(radius < 1, 1 + octant, 0).astype("uint8")
