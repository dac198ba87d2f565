"""Brain: one slice of the brain of each of many people, skull-stripped and affinely aligned.

Mid-axial slices of OASIS, as the registration toolbox mermaid has them for its tests; and slices
like them of whole brains.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfreg.data.slices import check_complete, patients, read_pack
from tfreg.data.source import Source, phantom
from tfreg.errors import InputError

SOURCES = {
    "oasis": Source(
        "OASIS, mid-axial slices of mermaid's tests",
        "D. S. Marcus et al., Open Access Series of Imaging Studies (OASIS), Journal of Cognitive "
        "Neuroscience 19(9), 2007; M. Niethammer et al., github.com/uncbiag/mermaid",
        "OASIS Data Use Agreement",
        "people",
        {"train": 70, "validation": 10, "test": 20},
    ),
    "phantom": phantom(
        "phantom brains of tfreg.data.brain_slices",
        "people",
        {"train": 70, "validation": 10, "test": 20},
    ),
}
PACK = "brain_oasis2d.npz"
SHAPE = (128, 128)
_WHITE = 4095  # what the prepared file has for 1
# Of whole brains: the box that the training slices of OASIS fill, pixels, and shares of the height
# at which ventricles are seen.
_BOX = (118, 94)
_HEIGHTS = np.linspace(0.5, 0.62, 7)
_FAINT = 0.01  # less is what averaging leaves outside the brain


class Slices(NamedTuple):
    """Slices of one split, a person each.

    Attributes:
        images: ``(n, 128, 128)`` float32 in [0, 1], zero outside the brain.
        names: ``(n,)``.
    """

    images: np.ndarray
    names: np.ndarray


def available() -> bool:
    """Whether :func:`slices` would find the real slices."""
    return _file() is not None


def slices(split: str, source: str = "oasis") -> Slices:
    """All slices of one split, from the prepared file in the folder that ``TFREG_DATA`` names.

    Args:
        split: ``"train"`` (70 people), ``"validation"`` (10) or ``"test"`` (20); they are listed in
            ``tfreg/data/patients``.
        source: ``"oasis"``, or ``"phantom"``: brains of code, as many.

    Raises:
        ValueError: on an unknown split or source.
        InputError: if the file is not there, or not what it should be.

    Example:

    >>> from tfreg.data import brain_slices
    >>> found = brain_slices.slices("validation", "phantom")
    >>> found.images.shape, float(found.images.min()), float(found.images.max()) <= 1
    ((10, 128, 128), 0.0, True)
    """
    if source not in SOURCES:
        raise ValueError(f"source must be one of {tuple(SOURCES)}. Received: source={source}")
    chosen = patients("oasis2d", split)
    if source == "phantom":
        return _phantoms(split)
    path = _file()
    if path is None:
        raise InputError(
            f"The slices of brains were not found: set TFREG_DATA to a folder with {PACK}, or use "
            "the phantom ones, which need no files (--data phantom)."
        )
    pack = read_pack(path, ("images", "name"))
    images, names = pack["images"], pack["name"].astype(str)
    if images.shape != (len(names), *SHAPE):
        raise InputError(
            f"{path} must hold slices of {SHAPE} pixels. "
            f"Received: images {images.shape}, {len(names)} names"
        )
    check_complete(path, split, chosen, names)
    kept = np.isin(names, sorted(chosen))
    return Slices(images[kept].astype("float32") / _WHITE, names[kept])


def cut(volumes: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Axial slices of whole brains at seven heights, of the size of those of OASIS.

    Args:
        volumes: ``(n, *spatial)``, zero outside the brain, in LPS order (z, y, x), aligned with
        frame: ``(*spatial)``, the brain whose box is scaled to that of the slices.

    Returns:
        ``(n, heights, 128, 128)`` float32.

    Example:

    >>> import numpy as np
    >>> from tfreg.data import brain_slices
    >>> brain = np.zeros((40, 60, 50))
    >>> brain[5:35, 5:55, 8:42] = 1
    >>> brain_slices.cut(brain[None], brain).shape
    (1, 7, 128, 128)
    """
    from scipy import ndimage

    low, high = (np.array(end, float) for end in zip(*_ends(frame > 0), strict=True))
    step = (high - low)[1:] / _BOX
    pixels = [
        (low[1 + axis] + high[1 + axis]) / 2 + (np.arange(n) - (n - 1) / 2) * step[axis]
        for axis, n in enumerate(SHAPE)
    ]
    grid = np.meshgrid(low[0] + _HEIGHTS * (high[0] - low[0]), *pixels, indexing="ij")
    found = []
    for volume in volumes:
        # Voxels are finer than pixels: they are averaged.
        smooth = ndimage.gaussian_filter(volume, (0, *(0.5 * step)))
        images = ndimage.map_coordinates(smooth, grid, order=1)
        found.append(np.where(images > _FAINT, images, 0))
    return np.stack(found).astype("float32")


def _file() -> Path | None:
    folder = os.environ.get("TFREG_DATA")
    path = Path(folder) / PACK if folder else None
    return path if path is not None and path.is_file() else None


def _ends(inside: np.ndarray) -> list[tuple[int, int]]:
    """The first and the last index along each axis where something is."""
    axes = range(inside.ndim)
    shown = [np.flatnonzero(inside.any(tuple(set(axes) - {axis}))) for axis in axes]
    return [(int(one[0]), int(one[-1])) for one in shown]


def _phantoms(split: str) -> Slices:
    rng = np.random.default_rng([10, ("train", "validation", "test").index(split)])
    count = SOURCES["phantom"].splits[split]
    grid = np.moveaxis(np.indices(SHAPE, dtype="float64"), 0, -1)
    grid = (grid - (np.array(SHAPE) - 1) / 2) / np.array(SHAPE)  # from -1/2 to 1/2
    images = np.stack([_phantom(rng, grid) for _ in range(count)])
    return Slices(images, np.array([f"phantom {split} {number}" for number in range(count)]))


def _phantom(rng: np.random.Generator, grid: np.ndarray) -> np.ndarray:
    """A folded rim of grey matter about white matter with ventricles, seen through a wavy map."""
    x = grid @ (np.eye(2) + rng.normal(0, 0.03, (2, 2))).T
    for _ in range(5):
        along = np.sin(grid @ rng.normal(0, 9, 2) + rng.uniform(0, 2 * np.pi))
        x = x + along[..., None] * rng.normal(0, 0.008, 2)
    radius = np.hypot(x[..., 0] / 0.42, x[..., 1] / 0.34)
    turn = np.arctan2(x[..., 1], x[..., 0])

    def within(distance: np.ndarray) -> np.ndarray:
        """1 where a distance in pixels is negative, 0 beyond, soft between."""
        return 1 / (1 + np.exp(np.clip(2 * distance, -50, 50)))

    folds = 0.84 + 0.05 * np.sin(15 * turn + 2 * np.sin(3 * turn))
    image = 0.45 + 0.35 * within(45 * (radius - folds))
    for side in (-1, 1):
        horn = np.hypot((x[..., 0] + 0.02) / 0.14, (x[..., 1] - side * 0.05) / 0.035)
        core = np.hypot((x[..., 0] - 0.05) / 0.07, (x[..., 1] - side * 0.13) / 0.05)
        image = image - 0.25 * within(6 * (core - 1)) * image
        image = image * (1 - 0.8 * within(5 * (horn - 1)))
    image = image + rng.normal(0, 0.01, SHAPE)
    brain = within(50 * (radius - 1))
    return np.where(brain > 0.05, np.clip(image * brain, 0, 1), 0).astype("float32")
