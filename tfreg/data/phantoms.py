"""Phantoms: images made by code, with the displacement between any two of them known."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SIZE = 28

# Strokes of the ten digits on a canvas of 28x28 voxels: polylines of (row, column).


def _arc(row: float, column: float, height: float, width: float, start: float, stop: float):
    """Part of an ellipse; angles in turns, 0 at the right, growing clockwise on the screen."""
    t = 2 * np.pi * np.linspace(start, stop, 25)
    return np.stack([row + height * np.sin(t), column + width * np.cos(t)], axis=-1)


def _line(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, dtype="float64")


_STROKES = {
    0: [_arc(13.5, 13.5, 8.5, 5.5, 0, 1)],
    1: [_line((8, 11), (5, 14.5), (22, 13))],
    2: [_arc(9.5, 13.5, 4.5, 4.5, 0.5, 1.08), _line((11.6, 17.6), (22, 8.5), (22, 19))],
    3: [_arc(9.2, 13, 4.2, 4.5, 0.55, 1.25), _arc(17.6, 13, 4.4, 5, 0.75, 1.45)],
    4: [_line((5, 11), (14.5, 8.5), (14.5, 19)), _line((8, 17), (22.5, 15.5))],
    5: [_line((5.5, 18), (5.5, 10.5), (12.5, 10)), _arc(17, 12.5, 5, 5.5, 0.7, 1.42)],
    6: [_line((5, 16), (12, 9.8), (17, 9)), _arc(17.5, 13.5, 4.5, 4.5, 0, 1)],
    7: [_line((6, 8.5), (6, 18.5), (22.5, 12))],
    8: [_arc(9.3, 13.5, 3.8, 3.6, 0, 1), _arc(17.8, 13.5, 4.5, 4.4, 0, 1)],
    9: [_arc(9.8, 13, 4.3, 4.3, 0, 1), _line((9.8, 17.3), (22.5, 15))],
}


@dataclass(frozen=True)
class PhantomDigits:
    """Handwritten-like digits; each is its digit's strokes seen through a smooth map of its own.

    Image ``i`` is ``template(x + a_i(x))``, drawn from exact distances; ``a_i`` is affine plus
    a few sine waves. Hence the displacement from image ``i`` to image ``j`` is known.

    Attributes:
        images: ``(n, 28, 28)`` uint8.
        labels: ``(n,)``, the digits.
        affine: ``(n, 2, 3)``: the affine part of ``a_i`` about the centre, in voxels.
        waves: ``(n, waves, 2, 4)``: per wave and component amplitude, two frequencies and phase.
    """

    images: np.ndarray
    labels: np.ndarray
    affine: np.ndarray
    waves: np.ndarray

    def displacement(self, fixed: int, moving: int) -> np.ndarray:
        """The true ``u`` with ``images[fixed](x) = images[moving](x + u(x))``.

        Both show the same point of the template where ``y + a_moving(y) = x + a_fixed(x)``; that is
        solved for ``y`` by fixed-point iteration, to below 1e-6 voxels.

        Args:
            fixed: index of the fixed image.
            moving: index of the moving image, of the same digit.

        Returns:
            float64 array ``(28, 28, 2)`` in voxels, array-axis order.

        Raises:
            ValueError: if the two are different digits.
        """
        if self.labels[fixed] != self.labels[moving]:
            raise ValueError(
                "Only images of the same digit correspond. "
                f"Received: {self.labels[fixed]} and {self.labels[moving]}"
            )
        x = _grid()
        target = x + _map(x, self.affine[fixed], self.waves[fixed])
        y = x.copy()
        for _ in range(200):
            step = target - (y + _map(y, self.affine[moving], self.waves[moving]))
            y += step
            if np.abs(step).max() < 1e-9:
                break
        return y - x


def digits(count: int, seed: int = 0, which: Sequence[int] = tuple(range(10))) -> PhantomDigits:
    """Draws phantom digits.

    Args:
        count: number of images.
        seed: seed of the generator; the same seed gives the same images.
        which: the digits to draw from, in turn.

    Returns:
        The images with their digits and the maps that made them.

    Raises:
        ValueError: on a count that is not positive or something that is no digit.

    Example:

    >>> from tfreg.data import phantoms
    >>> phantom = phantoms.digits(20, seed=1)
    >>> phantom.images.shape, int(phantom.labels[12])
    ((20, 28, 28), 2)
    """
    which = tuple(which)
    if count < 1:
        raise ValueError(f"count must be positive. Received: count={count}")
    if not which or any(digit not in _STROKES for digit in which):
        raise ValueError(f"which must name digits 0 to 9. Received: which={which}")
    rng = np.random.default_rng(seed)
    labels = np.array([which[i % len(which)] for i in range(count)])
    affine = np.zeros((count, 2, 3))
    affine[:, :, :2] = rng.normal(0, 0.08, (count, 2, 2))
    affine[:, 1, 0] += rng.normal(0, 0.15, count)  # handwriting slants
    affine[:, :, 2] = rng.normal(0, 1.0, (count, 2))
    waves = np.empty((count, 3, 2, 4))
    waves[..., 0] = rng.normal(0, 0.6, waves.shape[:3])
    waves[..., 1:3] = rng.uniform(-1.2, 1.2, (*waves.shape[:3], 2))
    waves[..., 3] = rng.uniform(0, 2 * np.pi, waves.shape[:3])
    width = rng.uniform(1.0, 1.6)  # one pen for all: only the map differs between images
    images = np.empty((count, SIZE, SIZE), "uint8")
    x = _grid()
    for digit in set(which):
        chosen = np.flatnonzero(labels == digit)
        points = np.empty((len(chosen), *x.shape))
        for place, i in enumerate(chosen):
            points[place] = x + _map(x, affine[i], waves[i])
        ink = np.clip(width + 0.5 - _distance(points, _STROKES[digit]), 0, 1)
        images[chosen] = np.rint(255 * ink)
    return PhantomDigits(images, labels, affine, waves)


def _grid() -> np.ndarray:
    return np.moveaxis(np.indices((SIZE, SIZE), dtype="float64"), 0, -1)


def _map(x: np.ndarray, affine: np.ndarray, waves: np.ndarray) -> np.ndarray:
    """The displacement ``a(x)`` of one image at positions ``x``."""
    centred = x - (SIZE - 1) / 2
    moved = centred @ affine[:, :2].T + affine[:, 2]
    for component in range(2):
        for amplitude, row, column, phase in waves[:, component]:
            turns = (row * x[..., 0] + column * x[..., 1]) / SIZE
            moved[..., component] += amplitude * np.sin(2 * np.pi * turns + phase)
    return moved


def _distance(points: np.ndarray, strokes: list[np.ndarray]) -> np.ndarray:
    """Distance of each point to the nearest segment of the polylines."""
    nearest = np.full(points.shape[:-1], np.inf)
    for stroke in strokes:
        for start, stop in itertools.pairwise(stroke):
            along = stop - start
            length = along @ along
            t = np.clip(((points - start) @ along) / length, 0, 1) if length > 0 else 0.0
            row, column = (points[..., a] - (start[a] + t * along[a]) for a in range(2))
            nearest = np.minimum(nearest, row**2 + column**2)
    return np.sqrt(nearest)
