"""Pairs of images in physical space whose moving one stands anywhere: starts of a wide capture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.pairs import of_lungs
from tfreg.data import brain_volumes, breathing, lung_pair
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.transforms import Affine

ANGLE, SHIFT = 180.0, 150.0  # degrees, and mm along each axis
_THORAXES = 5
_POINTS = 200  # of a thorax
_SHAPE, _SPACING = (112, 128, 128), (2.5, 2.5, 2.5)


@dataclass(frozen=True)
class Placed:
    """Two images in physical space and points that correspond.

    Attributes:
        name: what to call it in a note.
        group: what rows of its kind are called.
        fixed, moving: the images.
        fixed_points, moving_points: ``(n, 3)`` LPS mm.
    """

    name: str
    group: str
    fixed: Image
    moving: Image
    fixed_points: np.ndarray
    moving_points: np.ndarray

    def error(self, moved: np.ndarray) -> float:
        """Mean distance of moved fixed points to the moving ones, mm."""
        return float(np.linalg.norm(moved - self.moving_points, axis=1).mean())

    def best(self) -> np.ndarray:
        """Where the rigid map that fits the points best takes them."""
        fixed, moving = (p - p.mean(axis=0) for p in (self.fixed_points, self.moving_points))
        left, _, right = np.linalg.svd(fixed.T @ moving)
        signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
        return fixed @ (left * signs) @ right + self.moving_points.mean(axis=0)


def drawn(pairs: Sequence[Placed], count: int, seed: int) -> list[Placed]:
    """Pairs in turns, the moving image of each turned and shifted at random as a whole.

    The axis of the turn is uniform, its angle uniform up to 180 degrees, the shift uniform up to
    150 mm along each axis; only the header says so, nothing is resampled.

    Args:
        pairs: of one group.
        count: how many.
        seed: of the draw.
    """
    rng = np.random.default_rng([seed, 61])
    found = []
    for number in range(count):
        pair = pairs[number % len(pairs)]
        axis = rng.normal(size=3)
        turn = _rotation(axis / np.linalg.norm(axis), np.radians(rng.uniform(0, ANGLE)))
        whole = Affine(turn, rng.uniform(-SHIFT, SHIFT, 3), pair.moving.geometry.centre)
        grid = pair.moving.geometry
        direction = turn @ np.array(grid.direction)
        origin = whole.apply_points(np.array(grid.origin)[None])[0]
        rows = tuple(map(tuple, direction.tolist()))
        moved = Geometry(grid.size, grid.spacing, tuple(origin.tolist()), rows)
        found.append(
            replace(
                pair,
                name=f"{pair.name}, start {number}",
                moving=Image(pair.moving.array, moved),
                moving_points=whole.apply_points(pair.moving_points),
            )
        )
    return found


def brains(data: str) -> list[Placed]:
    """Two different people each, both ways, in voxels of 2 mm; points: the centres of the regions
    that all have.

    Args:
        data: a source of :mod:`tfreg.data.brain_volumes`.
    """
    found = brain_volumes.volumes("test", data)
    images = [_image(image, found.spacing) for image in found.images]
    # Some people lack a small region.
    regions = set(range(1, int(found.labels.max()) + 1))
    regions = sorted(regions.intersection(*(np.unique(labels) for labels in found.labels)))
    centres = [
        image.geometry.to_physical(
            np.stack([np.argwhere(labels == region).mean(axis=0) for region in regions])
        )
        for image, labels in zip(images, found.labels, strict=True)
    ]
    couples = [(f, m) for f in range(len(images)) for m in range(len(images)) if f != m]
    return [
        Placed(
            f"{found.names[f]} <- {found.names[m]}",
            "brains",
            *(images[k] for k in (f, m)),
            *(centres[k] for k in (f, m)),
        )
        for f, m in couples
    ]


def chests(data: str) -> list[Placed]:
    """Two breaths: the lung pair (landmarks) and phantom thoraxes (the true displacement).

    Args:
        data: ``"ct"``: both, in turns; ``"phantom"``: thoraxes alone.
    """
    found = []
    if data == "ct":
        pair = of_lungs(lung_pair.load(), "lung pair")
        images = [_image(image, pair.spacing) for image in (pair.fixed, pair.moving)]
        points = (pair.fixed_points, pair.moving_points)
        places = [image.geometry.to_physical(p) for image, p in zip(images, points, strict=True)]
        found = [Placed("lung pair", "CTs", *images, *places)] * _THORAXES
    made = []
    for number in range(_THORAXES):
        one = breathing.make("test", number, "phantom", _SHAPE, _SPACING)
        images = [_image(image, one.spacing) for image in (one.fixed, one.moving)]
        inside = np.argwhere(one.fixed_mask > 0)
        chosen = np.random.default_rng(number).choice(len(inside), _POINTS, replace=False)
        places = inside[np.sort(chosen)]
        there = places + one.displacement[tuple(places.T)]
        both = (
            image.geometry.to_physical(p) for image, p in zip(images, (places, there), strict=True)
        )
        made.append(Placed(one.name, "CTs", *images, *both))
    if not found:
        return made
    return [pair for both in zip(found, made, strict=True) for pair in both]


def _image(array: np.ndarray, spacing: Sequence[float]) -> Image:
    size, steps = array.shape[::-1], tuple(map(float, spacing[::-1]))
    rows = tuple(map(tuple, np.eye(3).tolist()))
    return Image(np.asarray(array, "float32"), Geometry(size, steps, (0.0,) * 3, rows))


def _rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
