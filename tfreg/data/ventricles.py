"""Phantom hearts in 3-D: short-axis stacks at the ends of diastole and systole, truth known.

As :mod:`tfreg.data.bodies`, each image is a template seen through a smooth map; here the left
ventricle is half an ellipsoid whose base comes down as the wall thickens, so that tissue leaves
its slice.
"""

from dataclasses import dataclass

import numpy as np

from tfreg.data import shapes

SPACING = (10.0, 1.5, 1.5)


@dataclass(frozen=True)
class PhantomStacks:
    """Stacks of phantom hearts.

    Attributes:
        diastole, systole: ``(n, depth, size, size)`` float32 in [0, 1]; base first.
        diastole_labels, systole_labels: ``(n, depth, size, size)`` uint8, numbered as in ACDC.
        spacing: mm per voxel and axis.
    """

    diastole: np.ndarray
    systole: np.ndarray
    diastole_labels: np.ndarray
    systole_labels: np.ndarray
    spacing: tuple[float, float, float]
    _hearts: tuple["_Heart", ...]

    def displacement(self, heart: int, fixed: str = "diastole") -> np.ndarray:
        """The true displacement, ``(depth, size, size, 3)`` float64 in voxels.

        ``moving(x + u(x))`` shows the tissue that ``fixed(x)`` shows.

        Args:
            heart: which of the hearts.
            fixed: ``"diastole"`` or ``"systole"``; the other one moves.

        Raises:
            ValueError: on another word.
        """
        if fixed not in ("diastole", "systole"):
            raise ValueError(f"fixed must be diastole or systole. Received: fixed={fixed}")
        motion = self._hearts[heart].motion
        x = shapes.voxels(self.diastole.shape[1:]) * SPACING
        u = motion(x) if fixed == "systole" else shapes.inverse(x, motion) - x
        return u / SPACING


def beating_stacks(count: int, seed: int = 0, depth: int = 12, size: int = 128) -> PhantomStacks:
    """Draws short-axis stacks.

    Args:
        count: number of hearts.
        seed: seed of the generator.
        depth: slices of 10 mm, 6 or more.
        size: pixels of 1.5 mm along both other axes, 32 or more.

    Raises:
        ValueError: on numbers below these.

    Example:

    >>> from tfreg.data import ventricles
    >>> stacks = ventricles.beating_stacks(1, depth=8, size=64)
    >>> stacks.systole.shape, stacks.displacement(0).shape
    ((1, 8, 64, 64), (8, 64, 64, 3))
    """
    if count < 1 or depth < 6 or size < 32:
        raise ValueError(
            "count must be positive, depth 6 or more and size 32 or more. "
            f"Received: count={count}, depth={depth}, size={size}"
        )
    rng = np.random.default_rng(seed)
    hearts = tuple(_Heart(rng, np.array((depth, size, size)) * SPACING) for _ in range(count))
    x = shapes.voxels((depth, size, size)) * SPACING
    sides = []
    for heart in hearts:
        seen = heart.draw(x), heart.draw(x + heart.motion(x))
        sides.append(
            [part for image, labels in seen for part in (shapes.noisy(image, rng), labels)]
        )
    diastole, labels, systole, other = (np.stack(part) for part in zip(*sides, strict=True))
    return PhantomStacks(diastole, systole, labels, other, SPACING, hearts)


class _Heart:
    """One heart in mm: its shape at the end of diastole, and where systole comes from."""

    def __init__(self, rng: np.random.Generator, extent: np.ndarray) -> None:
        self.extent = extent
        width = extent[1]
        self.centre = extent[1:] * (0.5 + rng.normal(0, 0.02, 2))
        self.cavity, self.wall = width * rng.uniform(0.11, 0.15), width * rng.uniform(0.05, 0.07)
        self.base, self.length = extent[0] * rng.uniform(0.1, 0.2), extent[0] * 0.62
        self.angle, self.reach = rng.uniform(-0.6, 0.2), 1.5 * self.cavity
        self.contraction, self.descent = rng.uniform(0.3, 0.55), rng.uniform(4, 11)
        self.tissue, self.far = shapes.texture(rng, 3), shapes.texture(rng, 3)

    def motion(self, x: np.ndarray) -> np.ndarray:
        """From a place at the end of systole to the same tissue at the end of diastole."""
        height, offset = x[..., :1], x[..., 1:] - self.centre
        square = (offset**2).sum(axis=-1, keepdims=True) / self.reach**2
        apex = np.clip((height - self.base) / self.length, 0, 1)
        near = np.exp(-square) * (1 - apex**2)
        down = -self.descent * np.exp(-square / 3) * (1 - apex) ** 2
        return np.concatenate([down, self.contraction * offset * near], axis=-1)

    def draw(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Image and labels of the tissue of diastole at places."""
        offset = x[..., 1:] - self.centre
        depth = np.maximum(x[..., 0] - self.base, 0)
        radius = np.hypot(offset[..., 0], offset[..., 1])
        inner = _shell(radius, depth, self.cavity, self.length)
        outer = _shell(radius, depth, self.cavity + self.wall, self.length + self.wall)
        direction = np.array([np.sin(self.angle), np.cos(self.angle)])
        side = offset + 1.2 * (self.cavity + self.wall) * direction
        right = _shell(np.hypot(side[..., 0], side[..., 1]), depth, 1.1 * self.cavity, self.length)
        right = np.maximum(right, np.maximum(-outer, offset @ direction))
        labels = np.zeros(x.shape[:-1], "uint8")
        labels[right < 0] = 1
        labels[outer < 0] = 2
        labels[inner < 0] = 3
        texture = self.tissue(1.5 * x / self.extent)
        image = 0.35 + 0.2 * self.far(x / self.extent)
        for distance, value in ((right, 0.8), (outer, 0.25)):
            image = image + (value + 0.08 * texture - image) * shapes.within(distance / 1.5)
        return image + (0.85 - image) * shapes.within(inner / 1.5), labels


def _shell(radius: np.ndarray, depth: np.ndarray, width: float, length: float) -> np.ndarray:
    """Roughly the distance in mm to half an ellipsoid; negative inside."""
    return width * (np.hypot(radius / width, depth / length) - 1)
