"""Phantom anatomy: a beating heart in short axis, a breathing lung; their true maps are known.

As the phantom digits, every image is a template seen through a smooth map of its own,
``image_k(x) = template(x + a_k(x))``; hence ``y`` in the moving image shows what ``x`` shows in the
fixed one where ``y + a_moving(y) = x + a_fixed(x)``.
"""

from dataclasses import dataclass

import numpy as np

from tfreg.data import shapes


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


@dataclass(frozen=True)
class BeatingHearts:
    """Cine sequences of phantom hearts.

    Attributes:
        images: ``(n, frames, size, size)`` float32 in [0, 1]; frame 0 is the end of diastole.
        labels: ``(n, frames, size, size)`` uint8.
        systole: the frame at the end of systole.
        spacing: size of a pixel in mm per axis.
        names: names of the labels.
    """

    images: np.ndarray
    labels: np.ndarray
    systole: int
    spacing: tuple[float, float]
    names: dict[int, str]
    _hearts: tuple["_Heart", ...]
    _phases: np.ndarray

    def displacement(self, heart: int, fixed: int, moving: int) -> np.ndarray:
        """The true displacement between two frames, ``(size, size, 2)`` float64 in pixels.

        ``moving(x + u(x))`` shows the tissue that ``fixed(x)`` shows.

        Args:
            heart: which of the hearts.
            fixed, moving: numbers of the frames.
        """
        one = self._hearts[heart]
        grid = shapes.voxels(self.images.shape[2:])
        template = grid + one.motion(grid, self._phases[fixed])
        phase = self._phases[moving]
        return shapes.inverse(template, lambda x: one.motion(x, phase)) - grid


def beating_hearts(count: int, frames: int = 20, seed: int = 0, size: int = 128) -> BeatingHearts:
    """Short-axis hearts over a cycle; the displacement between any two frames is known.

    The wall thickens and moves inwards with a texture that is the tissue's own; what lies near the
    border of the image rests. Each frame has noise of its own and a field of brightness that rests.

    Args:
        count: number of hearts.
        frames: frames per cycle, 4 or more.
        seed: seed of the generator.
        size: pixels along each axis.

    Example:

    >>> from tfreg.data import bodies
    >>> hearts = bodies.beating_hearts(1, frames=6, size=64)
    >>> hearts.images.shape, hearts.displacement(0, fixed=0, moving=2).shape
    ((1, 6, 64, 64), (64, 64, 2))
    """
    if count < 1 or frames < 4 or size < 16:
        raise ValueError(
            "count must be positive, frames 4 or more and size 16 or more. "
            f"Received: count={count}, frames={frames}, size={size}"
        )
    rng = np.random.default_rng(seed)
    grid = shapes.voxels((size, size))
    systole = round(0.35 * frames)
    turn = np.interp(np.arange(frames), (0, systole, frames), (0, 0.5, 1))
    phases = (1 - np.cos(2 * np.pi * turn)) / 2
    hearts = tuple(_Heart(rng, size) for _ in range(count))
    images, labels = [], []
    for heart in hearts:
        drawn = [heart.draw(grid, phase, rng) for phase in phases]
        images.append([image for image, _ in drawn])
        labels.append([label for _, label in drawn])
    return BeatingHearts(
        np.array(images), np.array(labels), systole, (1.5, 1.5), _HEART, hearts, phases
    )


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
    grid = shapes.voxels((size, size))
    pairs = []
    for _ in range(count):
        heart = _Heart(rng, size)
        points = heart.centre + (heart.cavity + heart.wall / 2) * shapes.circle(16)
        sides = []
        for phase in (0.0, 1.0):
            where = shapes.inverse(points, lambda x, h=heart, p=phase: h.motion(x, p))
            sides.append((*heart.draw(grid, phase, rng), where))
        pairs.append(sides)
    return _stacked(pairs, (1.5, 1.5), _HEART)


_HEART = {1: "right ventricle", 2: "myocardium", 3: "left ventricle"}


class _Heart:
    """One heart: its shape at the end of diastole, its motion, its picture."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.size = size
        self.centre = size / 2 + rng.normal(0, size / 40, 2)
        self.cavity, self.wall = size * rng.uniform(0.11, 0.16), size * rng.uniform(0.055, 0.08)
        self.angle, self.texture = rng.uniform(-0.6, 0.2), shapes.texture(rng, 2)
        self.contraction, self.reach = rng.uniform(0.35, 0.65), 1.5 * self.cavity
        self.drift, self.brightness = rng.normal(0, size / 100, 2), shapes.texture(rng, 2)

    def motion(self, x: np.ndarray, phase: float) -> np.ndarray:
        """From a pixel to what it shows of the heart at the end of diastole; systole is 1."""
        offset = x - self.centre
        square = (offset**2).sum(axis=-1, keepdims=True) / self.reach**2
        inwards = self.contraction * offset * np.exp(-square)
        # From 0.2 to 0.42 of the image's size around the heart, the motion dies away to nothing.
        ramp = (np.sqrt(square) * self.reach / self.size - 0.2) / 0.22
        ramp = np.clip(ramp, 0, 1)
        rest = 1 - ramp**2 * (3 - 2 * ramp)
        return phase * rest * (inwards + self.drift * np.exp(-square / 6))

    def draw(self, grid: np.ndarray, phase: float, rng: np.random.Generator) -> tuple:
        """Image and labels at one phase."""
        image, labels = self._template(grid + self.motion(grid, phase))
        image = image * (1 + 0.1 * self.brightness(0.15 * grid / self.size))
        return shapes.noisy(image, rng), labels

    def _template(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cavity, wall, texture = self.cavity, self.wall, self.texture
        sin, cos = np.sin(self.angle), np.cos(self.angle)
        offset = x - self.centre
        radius = np.hypot(offset[..., 0], offset[..., 1])
        turned = offset[..., 0] * sin + offset[..., 1] * cos
        side = offset + 1.25 * (cavity + wall) * np.array([sin, cos])
        right = np.hypot(side[..., 0], side[..., 1]) - 1.15 * cavity
        right = np.maximum(right, np.maximum(cavity + wall - radius, turned))
        labels = np.zeros(x.shape[:-1], "uint8")
        labels[right < 0] = 1
        labels[radius < cavity + wall] = 2
        labels[radius < cavity] = 3
        image = 0.35 + 0.25 * texture(x / self.size)
        for distance, value in ((right, 0.8), (radius - cavity - wall, 0.25)):
            tissue = value + 0.08 * texture(3 * x / self.size)
            image = image + (tissue - image) * shapes.within(distance)
        return image + (0.85 - image) * shapes.within(radius - cavity), labels


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
    grid = shapes.voxels(shape)
    pairs = []
    for _ in range(count):
        centre = size * (0.5 + rng.normal(0, 0.02, 3))
        axes = size * rng.uniform(0.32, 0.4, 3)
        vessels = centre + axes * 0.8 * shapes.ball(rng, 60)
        widths = size.mean() * rng.uniform(0.015, 0.035, len(vessels))
        heights, texture = rng.uniform(0.4, 0.8, len(vessels)), shapes.texture(rng, 3)
        descent, waves = size[0] * rng.uniform(0.05, 0.09), shapes.texture(rng, 3)

        def expiration(x, size=size, descent=descent, waves=waves):
            lower = np.clip(1 - x[..., 0] / size[0], 0, 1.2)
            u = np.stack([-descent * lower**1.5 * 2, 0.1 * descent * lower, 0 * lower], axis=-1)
            return u + 0.12 * descent * np.stack([waves(x / size + k) for k in range(3)], axis=-1)

        def template(
            x, centre=centre, axes=axes, vessels=vessels, widths=widths, heights=heights, t=texture
        ):
            radius = np.sqrt((((x - centre) / axes) ** 2).sum(axis=-1))
            inside = shapes.within((radius - 1) * axes.min())
            air = 0.15 + 0.05 * t(2 * x / size.max())
            for vessel, width, height in zip(vessels, widths, heights, strict=True):
                square = ((x - vessel) ** 2).sum(axis=-1)
                air = air + height * np.exp(-np.minimum(square / (2 * width**2), 50))
            image = 0.75 + 0.1 * t(x / size.max())
            return image + (np.minimum(air, 1) - image) * inside, (radius < 1).astype("uint8")

        sides = []
        for phase in (0.0, 1.0):
            image, labels = template(grid + phase * expiration(grid))
            where = shapes.inverse(vessels[:26], lambda x, p=phase, u=expiration: p * u(x))
            sides.append((shapes.noisy(image, rng), labels, where))
        pairs.append(sides)
    return _stacked(pairs, (2.5, 1.5, 1.5), {1: "lung"})


def _stacked(pairs: list, spacing: tuple[float, ...], names: dict[int, str]) -> PhantomPairs:
    (images, labels, points), (others, other_labels, other_points) = (
        [np.stack([pair[side][part] for pair in pairs]) for part in range(3)] for side in range(2)
    )
    return PhantomPairs(images, others, labels, other_labels, points, other_points, spacing, names)
