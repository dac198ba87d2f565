"""Rigid pairs with starts that are off: a small, noisy image of another contrast, and a whole one.

The moving image lies in its file as it was scanned; where its header puts it is what is off. So
nothing is resampled but the fixed image, and every tool gets what a user would give it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.geometry import Geometry
from tfreg.image import Image

SPACING = {"brain": 2.0, "spine": 3.0}
RANGES = {
    "brain 15": (15.0,) * 6,
    "brain 30": (30.0,) * 6,
    "brain 45": (45.0,) * 6,
    "brain 60": (60.0,) * 6,
    "spine 30": (30.0,) * 6,
    "spine 150": (150.0, *(30.0,) * 5),
    "spine ct 30": (30.0,) * 6,
    "spine ct 150": (150.0, *(30.0,) * 5),
}
POINTS = 400
CHEST = "ct_chest_drr.npz"
_VERTEBRAE = (27, 44)  # ids of TotalSegmentator: L5 up to C7
_LEVELS = 1000.0  # grey values of what is in [0, 1]


@dataclass(frozen=True, eq=False)
class Case:
    """One registration.

    Attributes:
        name, group: what to call it.
        fixed, fixed_mask, moving: images in space.
        points, targets: ``(n, 3)`` LPS mm, where places of the surface are in both.
        voxel: mm of the fixed image.
    """

    name: str
    group: str
    fixed: Image
    fixed_mask: Image
    moving: Image
    points: np.ndarray
    targets: np.ndarray
    voxel: float

    def error(self, found: np.ndarray) -> float:
        """The mean distance in mm of where a method took the points from where they are."""
        return float(np.linalg.norm(found - self.targets, axis=1).mean())

    @property
    def start(self) -> float:
        """The error of the headers."""
        return self.error(self.points)


def chest_available() -> bool:
    """Whether the real CT is there."""
    folder = os.environ.get("TFREG_DATA")
    return folder is not None and (Path(folder) / CHEST).is_file()


def cases(group: str, count: int, seed: int, split: str, data: str) -> Iterator[Case]:
    """The cases of a group, made one by one.

    Args:
        group: of :data:`RANGES`.
        count: how many.
        seed: which; the same of all groups of a kind but for the size of the starts.
        split: of the subjects; the one CT has none.
        data: of the brains, ``"dkt31"`` or ``"phantom"``.
    """
    known = _subjects(group, split, data)
    scans = (_LEVELS * known.volumes).astype("float32")  # which cases of one subject share
    for number in range(count):
        yield _case(known, scans, group, number, seed)


def _subjects(group: str, split: str, data: str) -> Any:
    from zoo.agent.subjects import SPINE, Subjects, spines, subjects

    kind = group.split()[0]
    if "ct" not in group.split():
        return subjects(kind, split, data, SPACING[kind])
    from tfreg.registration.images import unit_range

    with np.load(Path(os.environ["TFREG_DATA"]) / CHEST) as pack:
        volume, labels, spacing = pack["volume"], pack["labels"], pack["spacing_zyx"]
    low, high = _VERTEBRAE
    bones = np.where((labels >= low) & (labels <= high), labels, 0).astype("uint8")
    # Voxels of about one size along all axes.
    every = tuple(slice(None, None, max(1, round(SPACING["spine"] / step))) for step in spacing)
    volume, bones = volume[every].astype("float32"), bones[every]
    z, y, x = (float(s) * e.step for s, e in zip(spacing, every, strict=True))
    steps = z, y, x
    volumes = unit_range(volume[None, ..., None])[..., 0]
    middles = spines(bones[None], steps)
    return Subjects(SPINE, volumes, bones[None], steps, middles, ("LIDC-IDRI-0001",))


def _case(known: Any, scans: np.ndarray, group: str, number: int, seed: int) -> Case:
    from scipy import ndimage

    from tfreg.data import cone_beam
    from zoo.agent import observation
    from zoo.agent.rigid import chained, inverse, transform
    from zoo.agent.subjects import KINDS, fixed_pose, look, remap

    kind = known.kind
    rng = np.random.default_rng([seed, 3, list(KINDS).index(kind.name), number])
    subject = int(rng.integers(len(known)))
    volume, labels = known.volumes[subject], known.labels[subject]
    steps = np.array(known.spacing)
    place = np.asarray(transform(fixed_pose(kind, known.middles[subject], rng)[None]))[0]
    seen = look(kind, rng)
    voxel = SPACING[kind.name]
    half = np.array([seen.height, seen.radius, seen.radius])
    size = tuple(int(n) for n in np.ceil(2 * half / voxel) + 1)
    matrix = chained(observation.voxels(volume.shape, steps), place, observation.grid(size, voxel))
    image = ndimage.affine_transform(
        volume, matrix[:, :3], matrix[:, 3], output_shape=size, order=1, prefilter=False
    )
    image = remap(image, rng) if kind.remapped else image
    image, mask = cone_beam.simulate(image, (voxel,) * 3, seen, rng, extent=1.0)
    # T_g takes moving points onto fixed ones; the starts of all groups go the same ways.
    offset = rng.uniform(-1, 1, 6) * RANGES[group]
    true = np.asarray(transform(offset[None]))[0]
    own = inverse(chained(place, true))  # subject to moving, mm
    surface = _surface(labels)
    inner = (surface - (np.array(volume.shape) - 1) / 2) * steps
    points = _moved(inverse(place), inner)
    within = (np.abs(points[:, 0]) <= seen.height) & (
        np.hypot(points[:, 1], points[:, 2]) <= seen.radius
    )
    chosen = np.flatnonzero(within) if within.any() else np.arange(len(points))
    chosen = rng.choice(chosen, min(POINTS, len(chosen)), replace=False)
    grid = _centred(size, (voxel,) * 3)
    return Case(
        f"{known.names[subject]} {number}",
        group,
        Image((_LEVELS * image).astype("float32"), grid),
        Image(mask, grid),
        Image(scans[subject], _centred(volume.shape, steps, own)),
        points[chosen][:, ::-1],
        _moved(own, inner[chosen])[:, ::-1],
        voxel,
    )


def _surface(labels: np.ndarray) -> np.ndarray:
    """Labelled voxels beside one that is not, ``(n, 3)``."""
    from scipy import ndimage

    there = labels > 0
    return np.argwhere(there & ~ndimage.binary_erosion(there))


def _moved(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :3].T.astype("float64") + matrix[:, 3]


def _centred(shape: Any, spacing: Any, place: np.ndarray | None = None) -> Geometry:
    """A grid about the origin, or moved from there by a matrix in the order of array axes."""
    place = np.eye(3, 4) if place is None else place.astype("float64")
    first = place[:, :3] @ (-(np.array(shape) - 1) / 2 * np.array(spacing)) + place[:, 3]
    direction = place[::-1, :3][:, ::-1]
    return Geometry(
        tuple(int(n) for n in shape)[::-1],
        tuple(float(s) for s in spacing)[::-1],
        tuple(first[::-1].tolist()),
        tuple(map(tuple, direction.tolist())),
    )
