"""What the phantom anatomies are drawn with."""

from collections.abc import Callable, Sequence

import numpy as np


def voxels(shape: Sequence[int]) -> np.ndarray:
    """Positions of all voxels, ``(*shape, ndim)`` float64."""
    return np.moveaxis(np.indices(shape, dtype="float64"), 0, -1)


def noisy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image with a little noise, float32 in [0, 1]."""
    return np.clip(image + rng.normal(0, 0.01, image.shape), 0, 1).astype("float32")


def within(distance: np.ndarray) -> np.ndarray:
    """From 1 inside (a negative distance) to 0 outside over about three voxels."""
    return 1 / (1 + np.exp(np.clip(distance / 0.7, -50, 50)))


def inverse(points: np.ndarray, displace: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Where ``y + displace(y)`` is a point, by fixed-point iteration."""
    y = points.copy()
    for _ in range(100):
        y = y + 0.5 * (points - y - displace(y))
    return y


def circle(count: int) -> np.ndarray:
    """Points on the unit circle, ``(count, 2)``."""
    turns = 2 * np.pi * np.arange(count) / count
    return np.stack([np.sin(turns), np.cos(turns)], axis=-1)


def ball(rng: np.random.Generator, count: int) -> np.ndarray:
    """Random points of the unit ball, ``(count, 3)``."""
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return directions * rng.uniform(0, 1, (count, 1)) ** (1 / 3)


def texture(rng: np.random.Generator, ndim: int) -> Callable[[np.ndarray], np.ndarray]:
    """A smooth random function of positions in units of the image, between about -1 and 1."""
    frequencies, phases = rng.normal(0, 12, (12, ndim)), rng.uniform(0, 2 * np.pi, 12)

    def values(x: np.ndarray) -> np.ndarray:
        total = np.zeros(x.shape[:-1])
        for frequency, phase in zip(frequencies, phases, strict=True):
            total += np.sin(x @ frequency + phase)
        return total / np.sqrt(2 * len(phases))

    return values
