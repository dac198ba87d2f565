"""Phantom anatomy: a beating heart in short axis, a breathing lung; their true maps are known.

As the phantom digits, every image is a template seen through a smooth map of its own,
``image_k(x) = template(x + a_k(x))``; hence ``y`` in the moving image shows what ``x`` shows in the
fixed one where ``y + a_moving(y) = x + a_fixed(x)``.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PhantomPairs:
    """Pairs of phantom images.

    Attributes:
        fixed, moving: ``(n, *spatial)`` float32 in [0, 1].
        fixed_labels, moving_labels: ``(n, *spatial)`` uint8.
        fixed_points, moving_points: ``(n, points, ndim)`` corresponding positions in voxels.
        spacing: size of a voxel in mm per axis.
        labels: names of the labels.
    """

    fixed: np.ndarray
    moving: np.ndarray
    fixed_labels: np.ndarray
    moving_labels: np.ndarray
    fixed_points: np.ndarray
    moving_points: np.ndarray
    spacing: tuple[float, ...]
    labels: dict[int, str]


def hearts(count: int, seed: int = 0, size: int = 128) -> PhantomPairs:
    """Short-axis hearts: fixed at the end of diastole, moving at the end of systole.

    Labels as in ACDC: 1 the right ventricle's cavity, 2 myocardium, 3 the left ventricle's cavity.

    Args:
        count: number of pairs.
        seed: seed of the generator.
        size: voxels along each axis.

    Example:

    >>> from tfreg.data import bodies
    >>> pairs = bodies.hearts(2, seed=1)
    >>> pairs.fixed.shape, sorted(set(pairs.fixed_labels.ravel().tolist()))
    ((2, 128, 128), [0, 1, 2, 3])
    """
    rng = np.random.default_rng(seed)
    grid = _grid((size, size))
    pairs = []
    for _ in range(count):
        centre = size / 2 + rng.normal(0, size / 40, 2)
        cavity, wall = size * rng.uniform(0.11, 0.16), size * rng.uniform(0.055, 0.08)
        angle, texture = rng.uniform(-0.6, 0.2), _texture(rng, 2)
        contraction, reach = rng.uniform(0.35, 0.65), 1.5 * cavity
        drift = rng.normal(0, size / 100, 2)

        def systole(x, centre=centre, contraction=contraction, reach=reach, drift=drift):
            offset = x - centre
            square = (offset**2).sum(axis=-1, keepdims=True) / reach**2
            return drift + contraction * offset * np.exp(-square)

        def template(x, centre=centre, cavity=cavity, wall=wall, angle=angle, texture=texture):
            offset = x - centre
            radius = np.hypot(offset[..., 0], offset[..., 1])
            turned = offset[..., 0] * np.sin(angle) + offset[..., 1] * np.cos(angle)
            side = offset - 1.25 * (cavity + wall) * -np.array([np.sin(angle), np.cos(angle)])
            right = np.hypot(side[..., 0], side[..., 1]) - 1.15 * cavity
            right = np.maximum(right, np.maximum(cavity + wall - radius, turned))
            labels = np.zeros(x.shape[:-1], "uint8")
            labels[right < 0] = 1
            labels[radius < cavity + wall] = 2
            labels[radius < cavity] = 3
            image = 0.35 + 0.25 * texture(x / size)
            for distance, value in ((right, 0.8), (radius - cavity - wall, 0.25)):
                inside = 1 / (1 + np.exp(np.clip(distance / 0.7, -50, 50)))
                image = image + (value + 0.08 * texture(3 * x / size) - image) * inside
            inside = 1 / (1 + np.exp(np.clip((radius - cavity) / 0.7, -50, 50)))
            return image + (0.85 - image) * inside, labels

        points = centre + (cavity + wall / 2) * _circle(16)
        pairs.append(_pair(rng, template, lambda x: 0 * x, systole, grid, grid, points))
    names = {1: "right ventricle", 2: "myocardium", 3: "left ventricle"}
    return _stacked(pairs, (1.5, 1.5), names)


def lungs(count: int, seed: int = 0, shape: tuple[int, int, int] = (64, 72, 56)) -> PhantomPairs:
    """Lungs with vessels: fixed breathed in, moving breathed out; landmarks on vessels.

    Label 1 is the lung.

    Args:
        count: number of pairs.
        seed: seed of the generator.
        shape: voxels along each axis, feet to head first.

    Example:

    >>> from tfreg.data import bodies
    >>> pairs = bodies.lungs(1, shape=(24, 28, 20))
    >>> pairs.moving.shape, pairs.fixed_points.shape
    ((1, 24, 28, 20), (1, 26, 3))
    """
    rng = np.random.default_rng(seed)
    size = np.array(shape, float)
    grid = _grid(shape)
    pairs = []
    for _ in range(count):
        centre = size * (0.5 + rng.normal(0, 0.02, 3))
        axes = size * rng.uniform(0.32, 0.4, 3)
        vessels = centre + axes * 0.8 * _ball(rng, 60)
        widths = size.mean() * rng.uniform(0.015, 0.035, len(vessels))
        heights, texture = rng.uniform(0.4, 0.8, len(vessels)), _texture(rng, 3)
        descent, waves = size[0] * rng.uniform(0.05, 0.09), _texture(rng, 3)

        def expiration(x, size=size, descent=descent, waves=waves):
            lower = np.clip(1 - x[..., 0] / size[0], 0, 1.2)
            u = np.stack([-descent * lower**1.5 * 2, 0.1 * descent * lower, 0 * lower], axis=-1)
            return u + 0.12 * descent * np.stack([waves(x / size + k) for k in range(3)], axis=-1)

        def template(
            x, centre=centre, axes=axes, vessels=vessels, widths=widths, heights=heights, t=texture
        ):
            radius = np.sqrt((((x - centre) / axes) ** 2).sum(axis=-1))
            inside = 1 / (1 + np.exp(np.clip((radius - 1) * axes.min() / 0.7, -50, 50)))
            air = 0.15 + 0.05 * t(2 * x / size.max())
            for vessel, width, height in zip(vessels, widths, heights, strict=True):
                square = ((x - vessel) ** 2).sum(axis=-1)
                air = air + height * np.exp(-np.minimum(square / (2 * width**2), 50))
            image = 0.75 + 0.1 * t(x / size.max())
            return image + (np.minimum(air, 1) - image) * inside, (radius < 1).astype("uint8")

        pairs.append(_pair(rng, template, lambda x: 0 * x, expiration, grid, grid, vessels[:26]))
    return _stacked(pairs, (2.5, 1.5, 1.5), {1: "lung"})


def _pair(rng, template, fixed_map, moving_map, grid, moving_grid, points) -> tuple:
    """Images with noise, labels, and points of the template as they lie in either image."""
    found = []
    for where, displace in ((grid, fixed_map), (moving_grid, moving_map)):
        image, labels = template(where + displace(where))
        noisy = np.clip(image + rng.normal(0, 0.01, image.shape), 0, 1)
        found.append((noisy.astype("float32"), labels, _inverse(points, displace)))
    return tuple(found)


def _inverse(points: np.ndarray, displace) -> np.ndarray:
    """Where ``y + a(y)`` is a point, by fixed-point iteration."""
    y = points.copy()
    for _ in range(500):
        y = y + 0.5 * (points - y - displace(y))
    return y


def _stacked(pairs: list, spacing: tuple[float, ...], names: dict[int, str]) -> PhantomPairs:
    (images, labels, points), (others, other_labels, other_points) = (
        [np.stack([pair[side][part] for pair in pairs]) for part in range(3)] for side in range(2)
    )
    return PhantomPairs(images, others, labels, other_labels, points, other_points, spacing, names)


def _grid(shape: tuple[int, ...]) -> np.ndarray:
    return np.moveaxis(np.indices(shape, dtype="float64"), 0, -1)


def _circle(count: int) -> np.ndarray:
    turns = 2 * np.pi * np.arange(count) / count
    return np.stack([np.sin(turns), np.cos(turns)], axis=-1)


def _ball(rng: np.random.Generator, count: int) -> np.ndarray:
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return directions * rng.uniform(0, 1, (count, 1)) ** (1 / 3)


def _texture(rng: np.random.Generator, ndim: int):
    """A smooth random function of positions in units of the image, between about -1 and 1."""
    frequencies, phases = rng.normal(0, 12, (12, ndim)), rng.uniform(0, 2 * np.pi, 12)

    def texture(x: np.ndarray) -> np.ndarray:
        total = np.zeros(x.shape[:-1])
        for frequency, phase in zip(frequencies, phases, strict=True):
            total += np.sin(x @ frequency + phase)
        return total / np.sqrt(2 * len(phases))

    return texture
