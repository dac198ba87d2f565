"""Whole short-axis stacks of cardiac cine MRI at the ends of diastole and systole, for 3-D.

Real stacks are those of :mod:`tfreg.data.acdc`, cropped about the heart as :mod:`tfreg.data.cine`
does; phantom ones come from :func:`tfreg.data.ventricles.beating_stacks`.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from tfreg.data import cine, ventricles
from tfreg.data.slices import SPLITS, CineSlice
from tfreg.data.source import phantom
from tfreg.errors import InputError

SOURCES = {
    "acdc": cine.SOURCES["acdc"],
    "phantom": phantom(
        "phantom stacks of tfreg.data.ventricles",
        "patients",
        {"train": 20, "validation": 4, "test": 4},
    ),
}
NOMINAL = (10.0, 1.5, 1.5)


@dataclass(frozen=True)
class Hearts:
    """Stacks of one depth, one heart after the other.

    A stack of fewer slices lies in the middle, its first and last slice repeated beyond it (there
    is no gradient across, and border values are what a resampler continues with) with labels 0; of
    one with more, as many slices are left out at both ends, the last one first.

    Attributes:
        diastole, systole: ``(n, depth, height, width)`` float32; every volume from 0 to 1.
        diastole_labels, systole_labels: ``(n, depth, height, width)`` uint8: 1 the right
            ventricle's cavity, 2 myocardium, 3 the left ventricle's cavity.
        first, slices: ``(n,)`` int64; the real slices are ``first`` to ``first + slices - 1``.
        names: ``(n,)`` the patients, with their source.
        spacing: ``(n, 3)`` float64 size of a voxel per axis.
        unit: ``"mm"``; or ``"px"`` where the source lost the spacing: then the spacing is the
            nominal 10 x 1.5 x 1.5 mm divided by 1.5 mm, and a length counts pixels in the plane.
    """

    diastole: np.ndarray
    systole: np.ndarray
    diastole_labels: np.ndarray
    systole_labels: np.ndarray
    first: np.ndarray
    slices: np.ndarray
    names: np.ndarray
    spacing: np.ndarray
    unit: str

    @property
    def mask(self) -> np.ndarray:
        """``(n, depth, 1, 1)`` uint8: 1 for real slices, 0 for repeated ones."""
        number = np.arange(self.diastole.shape[1]) - self.first[:, None]
        return ((number >= 0) & (number < self.slices[:, None])).astype("uint8")[..., None, None]


def hearts(split: str, source: str = "acdc", depth: int = 16, size: int = cine.SIZE) -> Hearts:
    """The stacks of one split.

    Two of ACDC's ninety prepared patients have more than the 16 slices of the default: patient081
    (train) has 17, patient096 (validation) 18.

    Args:
        split: ``"train"`` (70 patients of ACDC), ``"validation"`` (10) or ``"test"`` (10).
        source: ``"acdc"`` or ``"phantom"`` (20, 4 and 4 hearts).
        depth: slices of all stacks; a multiple of 4 can be halved twice.
        size: pixels along both other axes.

    Raises:
        ValueError: on an unknown split or source, or a depth below 4.
        InputError: where the source is not found or is not what it should be.

    Example:

    >>> from tfreg.data import stacks
    >>> found = stacks.hearts("test", "phantom", size=64)
    >>> found.systole.shape, found.slices.tolist()
    ((4, 16, 64, 64), [12, 12, 12, 12])
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}. Received: split={split}")
    if source not in SOURCES:
        raise ValueError(f"source must be one of {tuple(SOURCES)}. Received: source={source}")
    if depth < 4:
        raise ValueError(f"depth must be 4 or more. Received: depth={depth}")
    found = _phantoms(split, size) if source == "phantom" else _real(split, source, size)
    names, volumes, spacings = zip(*found, strict=True)
    lost = [spacing is None for spacing in spacings]
    if any(lost) and not all(lost):
        raise InputError(f"The patients of {source} must all have a spacing, or none.")
    nominal = np.array(NOMINAL) / NOMINAL[-1]
    starts, counts, sides = zip(*(_fitted(volume, depth) for volume in volumes), strict=True)
    diastole, systole, labels, other = (np.stack(part) for part in zip(*sides, strict=True))
    return Hearts(
        _scaled(diastole),
        _scaled(systole),
        labels.astype("uint8"),
        other.astype("uint8"),
        np.array(starts),
        np.array(counts),
        np.array(names),
        np.array([nominal if spacing is None else spacing for spacing in spacings]),
        "px" if all(lost) else "mm",
    )


def _real(split: str, source: str, size: int) -> list[tuple]:
    found = []
    slices = cine.slices(split, (source,), size)
    for patient, group in itertools.groupby(slices, key=lambda one: one.patient):
        stack = sorted(group, key=lambda one: one.number)
        frames = [[one.diastole for one in stack], [one.systole for one in stack]]
        images = [[one.images[f] for one, f in zip(stack, end, strict=True)] for end in frames]
        labels = [[one.labels[f] for one, f in zip(stack, end, strict=True)] for end in frames]
        volumes = [np.stack(part) for part in (*images, *labels)]
        found.append((patient, volumes, _spacing(stack[0])))
    return found


def _spacing(one: CineSlice) -> tuple[float, float, float] | None:
    return None if one.spacing is None or one.gap is None else (one.gap, *one.spacing)


def _phantoms(split: str, size: int) -> list[tuple]:
    count = SOURCES["phantom"].splits[split]
    drawn = ventricles.beating_stacks(count, SPLITS.index(split), size=size)
    parts = (drawn.diastole, drawn.systole, drawn.diastole_labels, drawn.systole_labels)
    return [
        (f"phantom {split} {number}", volumes, drawn.spacing)
        for number, volumes in enumerate(zip(*parts, strict=True))
    ]


def _fitted(volumes: list[np.ndarray], depth: int) -> tuple[int, int, list[np.ndarray]]:
    """First real slice, number of real slices, and two images and two labels of one depth."""
    there = len(volumes[0])
    first = (depth - there) // 2
    index = np.arange(depth) - first
    real = (index >= 0) & (index < there)
    images = [volume[np.clip(index, 0, there - 1)] for volume in volumes]
    fitted = images[:2] + [np.where(real[:, None, None], label, 0) for label in images[2:]]
    return max(first, 0), int(real.sum()), fitted


def _scaled(volumes: np.ndarray) -> np.ndarray:
    low = volumes.min(axis=(1, 2, 3), keepdims=True)
    extent = volumes.max(axis=(1, 2, 3), keepdims=True) - low
    return ((volumes - low) / np.where(extent > 0, extent, 1)).astype("float32")
