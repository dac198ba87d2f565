"""Phantom torsos in CT, with a spine of vertebrae that repeat, ribs, lungs and organs.

A registration along the spine has as many wrong answers as there are vertebrae: they differ in
size, in ribs, and in what lies before them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfreg.data.source import Source, phantom

SOURCE: Source = phantom(
    "phantom torsos of tfreg.data.torsos", "torsos", {"train": 40, "validation": 4, "test": 6}
)
EXTENT = (480.0, 260.0, 360.0)  # mm: up, front to back, side to side
VERTEBRAE = 18
RIBS = 12  # of the upper vertebrae


class Torso(NamedTuple):
    """A CT of a torso.

    Attributes:
        volume: ``(z, y, x)`` float32 in HU; feet to head, front to back, side to side.
        labels: ``(z, y, x)`` uint8: vertebrae from 1, the lowest one.
        spacing: mm per voxel and axis.
    """

    volume: np.ndarray
    labels: np.ndarray
    spacing: tuple[float, float, float]


def draw(rng: np.random.Generator, spacing: float = 4.0) -> Torso:
    """Draws one torso.

    Args:
        rng: source of its shapes; the same state gives the same torso at any spacing, but for its
            texture.
        spacing: of its voxels in mm.

    Raises:
        ValueError: on a spacing that is not positive.

    Example:

    >>> import numpy as np
    >>> from tfreg.data import torsos
    >>> one = torsos.draw(np.random.default_rng(0), spacing=8.0)
    >>> one.volume.shape, int(one.labels.max())
    ((60, 32, 45), 18)
    """
    if not spacing > 0:
        raise ValueError(f"spacing must be positive. Received: spacing={spacing}")
    shape = tuple(int(length / spacing) for length in EXTENT)
    z, y, x = (
        ((np.arange(n, dtype="float32") - (n - 1) / 2) * spacing).reshape(
            np.where(np.arange(3) == axis, -1, 1)
        )
        for axis, n in enumerate(shape)
    )
    edge = max(2.0, 0.7 * spacing)

    def over(image: np.ndarray, distance: np.ndarray, value: float) -> np.ndarray:
        """Covers what is inside, with a soft edge."""
        share = np.clip(0.5 - distance / edge, 0, 1)
        return image + share * (value - image)

    def ellipsoid(centre: Sequence[float], radii: Sequence[float]) -> np.ndarray:
        parts = zip((z, y, x), centre, radii, strict=True)
        return (np.sqrt(sum(((a - c) / r) ** 2 for a, c, r in parts)) - 1) * min(radii)

    deep, wide = rng.uniform(88, 105), rng.uniform(135, 160)
    middle = rng.uniform(20, 60)  # of the diaphragm, mm above the centre
    skin = (np.sqrt((y / deep) ** 2 + (x / wide) ** 2) - 1) * deep
    volume = np.full(shape, -1000, "float32")
    volume = over(volume, skin + 0 * z, -95)
    volume = over(volume, skin + rng.uniform(8, 22) + 0 * z, rng.uniform(35, 55))
    for side in (-1, 1):  # lungs, on domes of the diaphragm
        dome = middle + rng.uniform(25, 45) * np.exp(-(((x - side * 70) / 60) ** 2) - (y / 60) ** 2)
        heart = 22 + (30 if side > 0 else 12) * np.exp(-(((z - middle - 40) / 45) ** 2))
        inner = np.maximum(skin + 24, heart - side * x)
        taper = np.maximum(z - rng.uniform(195, 225), 0.9 * (dome - z))
        volume = over(volume, np.maximum(inner, taper), rng.uniform(-880, -780))
    organs = (  # liver, stomach, kidneys, gas of the bowel
        ((middle - 35, -15, -65), (60, 62, 70), 60),
        ((middle - 30, -25, 60), (40, 42, 42), 25),
        ((middle - 85, 38, -58), (52, 24, 28), 90),
        ((middle - 75, 38, 58), (54, 24, 28), 90),
        *(
            (
                (rng.uniform(-210, middle - 100), rng.uniform(-60, -10), rng.uniform(-95, 95)),
                r,
                -700,
            )
            for r in rng.uniform(9, 24, (7, 3))
        ),
    )
    for centre, radii, value in organs:
        moved = np.array(centre) + rng.normal(0, 6, 3)
        volume = over(volume, ellipsoid(moved, np.array(radii) * rng.uniform(0.85, 1.15)), value)
    return _with_spine(volume, (z, y, x), deep, wide, rng, over, spacing)


def _with_spine(
    volume: np.ndarray,
    axes: Sequence[np.ndarray],
    deep: float,
    wide: float,
    rng: np.random.Generator,
    over,
    spacing: float,
) -> Torso:
    """Vertebrae, each a body, an arch with processes, and of the upper ones a pair of ribs."""
    z, y, x = axes
    steps = np.linspace(rng.uniform(33, 37), rng.uniform(20, 23), VERTEBRAE)
    steps = steps + rng.normal(0, 0.6, VERTEBRAE)
    centres = np.cumsum(steps) - steps / 2
    centres = centres - centres.mean() + rng.uniform(-12, 12)
    heights = z.ravel()
    which = np.abs(heights[:, None] - centres).argmin(axis=1)
    local = (heights - centres[which]).astype("float32")
    size = np.interp(heights, centres, np.linspace(1.0, rng.uniform(0.52, 0.62), VERTEBRAE))
    bow, lean = rng.uniform(8, 20), rng.uniform(-8, 8)
    back = 0.42 * deep + bow * np.sin(heights / 95 + rng.uniform(-0.4, 0.4))
    side = lean * np.sin(heights / 130 + rng.uniform(0, 6))

    def column(values: np.ndarray) -> np.ndarray:
        return np.asarray(values, "float32").reshape(-1, 1, 1)

    scale, dz = column(size), np.abs(column(local))
    half = column(steps[which] / 2)
    ahead, across = y - column(back), x - column(side)
    body = (np.sqrt((ahead / (17 * scale)) ** 2 + (across / (24 * scale)) ** 2) - 1) * 17 * scale
    disc = rng.uniform(3.0, 4.5)
    bone = np.maximum(body, dz - (half - disc))
    rim = bone + 3
    canal = np.hypot(ahead - 27 * scale, across) - 9
    arch = np.maximum(np.abs(canal - 3) - 4, dz - 0.3 * half)
    spinous = np.maximum(
        np.maximum(np.abs(across) - 3.5, np.abs(ahead - 48 * scale) - 17 * scale),
        np.abs(column(local) + 0.25 * (ahead - 38 * scale)) - 0.28 * half,
    )
    transverse = np.maximum(
        np.maximum(np.abs(ahead - 24 * scale) - 4.5, np.abs(across) - 42 * scale), dz - 0.2 * half
    )
    transverse = np.maximum(transverse, 12 * scale - np.abs(across))
    processes = np.minimum(np.minimum(arch, spinous), transverse)
    volume = over(volume, body, 70)  # discs
    volume = over(volume, canal + 0 * z, 25)
    volume = over(volume, processes, rng.uniform(320, 420))
    volume = over(volume, bone, rng.uniform(380, 480))
    volume = over(volume, rim, rng.uniform(150, 230))
    wall = (np.sqrt((y / deep) ** 2 + (x / wide) ** 2) - 1) * deep + 22
    slope = rng.uniform(0.35, 0.5)
    for number in range(VERTEBRAE - RIBS, VERTEBRAE):
        short = 60.0 * max(0, 2 - (number - VERTEBRAE + RIBS))  # the lowest float
        level = z - centres[number] + slope * (0.42 * deep - y)
        rib = np.hypot(np.maximum(np.abs(level) - 4, 0), wall) - 4
        volume = over(volume, np.maximum(rib, short - y - deep * 0.5), rng.uniform(300, 450))
    labels = np.where(np.minimum(bone, processes) < 0, column(which + 1), 0).astype("uint8")
    texture = rng.standard_normal(volume.shape, dtype="float32")
    volume = volume + 25 * np.where(volume > -500, texture, 0.3 * texture)
    return Torso(np.maximum(volume, -1024).astype("float32"), labels, (spacing,) * 3)


def torsos(split: str, spacing: float = 4.0, count: int | None = None) -> list[Torso]:
    """The torsos of one split.

    Args:
        split: ``"train"`` (40), ``"validation"`` (4) or ``"test"`` (6).
        spacing: of their voxels in mm.
        count: the first so many; ``None``: all.

    Raises:
        ValueError: on an unknown split.
    """
    if split not in SOURCE.splits:
        raise ValueError(f"split must be one of {tuple(SOURCE.splits)}. Received: split={split}")
    number = list(SOURCE.splits).index(split)
    total = SOURCE.splits[split]
    return [
        draw(np.random.default_rng([53, number, k]), spacing)
        for k in range(total if count is None else min(count, total))
    ]
