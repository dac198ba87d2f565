"""How lungs move as they breathe: random smooth maps that slide along the chest wall.

The map from the fixed to the moving image is ``y(x) = f(g(x))`` for a place ``x`` in a lung and
``f(x)`` outside. ``f`` moves everything, downwards most near the diaphragm, little at the ribs and
the spine; ``g`` slides the lung within itself, its velocity being tangent to the lung's surface.
Both are flows of smooth velocities, so that neither folds and the surface stays one surface, on
whose two sides the motion differs along it.

Sizes follow the 300 landmarks each of the ten cases of DIR-Lab 4DCT between the extremes of
breathing (R. Castillo et al., Phys Med Biol 54:1849, 2009).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Case(NamedTuple):
    """Displacements of the landmarks of one case from the end of expiration to inspiration, in mm.

    Attributes:
        mean, deviation, largest: of their lengths.
        axes: mean absolute component head to feet, back to front, left to right.
        fifths: mean downward component relative to ``axes[0]`` in each fifth of the height of the
            landmarks, the highest first.
    """

    mean: float
    deviation: float
    largest: float
    axes: tuple[float, float, float]
    fifths: tuple[float, float, float, float, float]


# Computed from the landmarks (voxel positions times the published voxel sizes), cases 1 to 10.
CASES = (
    Case(3.84, 2.79, 11.3, (3.54, 0.74, 0.61), (0.23, 0.51, 0.74, 1.52, 2.16)),
    Case(4.36, 3.82, 17.5, (3.83, 0.73, 0.82), (0.03, 0.42, 1.25, 1.77, 2.58)),
    Case(6.84, 4.01, 16.6, (6.25, 1.38, 1.26), (0.26, 0.76, 1.13, 1.48, 1.53)),
    Case(9.82, 4.88, 19.5, (9.40, 1.51, 1.03), (0.25, 0.57, 1.10, 1.46, 1.60)),
    Case(7.42, 5.46, 24.8, (6.69, 1.69, 0.92), (0.10, 0.40, 0.70, 1.64, 2.06)),
    Case(10.88, 6.96, 27.1, (10.05, 2.37, 2.17), (0.17, 0.59, 0.81, 1.59, 1.99)),
    Case(11.00, 7.40, 30.6, (10.22, 2.12, 1.36), (0.22, 0.63, 1.09, 1.58, 1.87)),
    Case(15.00, 8.99, 30.5, (13.54, 3.73, 2.25), (0.38, 0.54, 0.93, 1.09, 1.53)),
    Case(7.88, 3.88, 15.5, (6.57, 3.00, 1.30), (0.38, 0.59, 0.92, 1.23, 1.58)),
    Case(7.36, 6.38, 27.8, (6.75, 1.83, 0.95), (0.16, 0.35, 0.86, 1.56, 2.21)),
)


@dataclass(frozen=True)
class Respiration:
    """A map from a fixed image to a moving one on the same grid, all in voxels.

    Attributes:
        displacement: ``(*spatial, 3)`` float32, ``u`` of ``y(x) = x + u(x)`` at the fixed voxels.
        lung, outside: ``(*spatial, 3)`` float32, for every moving voxel the place that it comes
            from if it shows a lung, or something else.
        inside: ``(*spatial)`` bool, whether a moving voxel shows a lung.
        gap: ``(*spatial)`` bool, where a moving voxel would come from neither.
        case: number of the case, from 1, whose sizes it follows.
    """

    displacement: np.ndarray
    lung: np.ndarray
    outside: np.ndarray
    inside: np.ndarray
    gap: np.ndarray
    case: int


def breathe(
    lungs: np.ndarray, spacing: Sequence[float], rng: np.random.Generator, inspire: bool
) -> Respiration:
    """Draws a map for given lungs.

    Args:
        lungs: ``(*spatial)`` bool, in the fixed image; feet to head, front to back, side to side.
        spacing: mm per voxel and axis.
        rng: source of what is random: the case, the size (0.85 to 1.15 times that of the case),
            the profile, and a smooth part of its own.
        inspire: whether the moving image is breathed in further than the fixed one, or less far.

    Returns:
        The map. ``lung`` and ``outside`` at ``x + u(x)`` give ``x`` back, by linear interpolation,
        to about a thousandth of a voxel.
    """
    spacing = np.asarray(spacing, float)
    number = int(rng.integers(len(CASES)))
    case = CASES[number]
    target = case.mean * rng.uniform(0.85, 1.15)
    depth = depth_of(lungs, spacing)
    coarse = Coarse(lungs.shape, spacing)
    small = coarse.sample(depth)
    whole, slide = _velocities(small, coarse, case, rng, inspire)
    size = 1.0
    for _ in range(3):
        flow = _exponential(size * whole), _exponential(size * slide)
        both = _after(flow[0], flow[1])
        length = np.linalg.norm(both * coarse.scale * spacing, axis=-1)[small > 0].mean()
        size *= target / length
    fields = both, flow[0], _exponential(-size * whole), _exponential(-size * slide)
    both, everything, back, unslide = (coarse.enlarge(field * coarse.scale) for field in fields)
    grid = grid_of(lungs.shape)
    outside = grid + back
    lung = outside + at(unslide, outside)
    u = everything
    for _ in range(3):
        u = u - (at(back, grid + u) + u)
    places, v = grid[lungs], both[lungs]
    for _ in range(8):
        v = v - (at(lung, places + v) - places)
    u[lungs] = v
    inside = at(depth[..., None], lung)[..., 0] > 0
    gap = ~inside & (at(depth[..., None], outside)[..., 0] > 0)
    return Respiration(u, lung, outside, inside, gap, number + 1)


def at(field: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Linear interpolation of each channel, the border repeated.

    Args:
        field: ``(*spatial, channels)``.
        places: ``(..., ndim)`` in voxels.

    Returns:
        ``(..., channels)`` float32.
    """
    from scipy.ndimage import map_coordinates

    where = np.moveaxis(places, -1, 0)
    out = np.empty((*places.shape[:-1], field.shape[-1]), "float32")
    for channel in range(field.shape[-1]):
        map_coordinates(
            field[..., channel], where, order=1, mode="nearest", output=out[..., channel]
        )
    return out


class Coarse:
    """A grid of about 6 mm, on which velocities are smooth, aligned with the first voxel.

    Args:
        shape: voxels per axis of the fine grid.
        spacing: mm per voxel and axis of it.
        mm: about the distance between neighbouring nodes.

    Attributes:
        step: voxels from node to node.
        scale: the same, float32, from displacements in coarse voxels to voxels.
        spacing: mm from node to node.
        shape: nodes per axis, the last of which may lie beyond the border.
    """

    def __init__(self, shape: Sequence[int], spacing: np.ndarray, mm: float = 6) -> None:
        from scipy.interpolate import make_interp_spline

        self.step = np.maximum(np.rint(mm / spacing), 1).astype(int)
        self.scale = self.step.astype("float32")
        self.spacing = self.step * spacing
        self.matrices = []
        for size, step in zip(shape, self.step, strict=True):
            count = -(-(size - 1) // step) + 1
            spline = make_interp_spline(np.arange(count), np.eye(count), k=3)
            self.matrices.append(spline(np.arange(size) / step).astype("float32"))
        self.shape = tuple(matrix.shape[1] for matrix in self.matrices)

    def sample(self, array: np.ndarray) -> np.ndarray:
        """Values at the coarse voxels, the last one beyond the border being the border's."""
        for axis, matrix in enumerate(self.matrices):
            index = np.minimum(np.arange(matrix.shape[1]) * self.step[axis], array.shape[axis] - 1)
            array = np.take(array, index, axis=axis)
        return array

    def enlarge(self, field: np.ndarray) -> np.ndarray:
        """Cubic splines through the coarse values, at all voxels."""
        for axis, matrix in enumerate(self.matrices):
            field = np.moveaxis(np.tensordot(matrix, field, axes=(1, axis)), 0, axis)
        return np.ascontiguousarray(field)


def _velocities(
    depth: np.ndarray, coarse: Coarse, case: Case, rng: np.random.Generator, inspire: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Velocities of everything and of the lungs' sliding, in coarse voxels."""
    from scipy.ndimage import gaussian_filter, gaussian_filter1d

    inside, spacing = depth > 0, coarse.spacing

    def smooth(array: np.ndarray, mm: float) -> np.ndarray:
        return gaussian_filter(array.astype("float32"), mm / spacing, mode="nearest")

    def waves(mm: float) -> np.ndarray:
        field = np.stack([smooth(rng.normal(size=depth.shape), mm) for _ in range(3)], axis=-1)
        return field / np.abs(field[inside]).mean(axis=0)

    places = np.argwhere(inside)
    low, high = np.percentile(places, (1, 99), axis=0)
    z, y, x = grid_of(depth.shape).transpose(3, 0, 1, 2)
    down = np.clip((high[0] - z) / (high[0] - low[0]), 0, 1.1)
    tops = np.array(case.fifths)
    ends = (max(0.0, 1.5 * tops[0] - 0.5 * tops[1]), 1.5 * tops[4] - 0.5 * tops[3])
    profile = np.interp(down, (0, 0.1, 0.3, 0.5, 0.7, 0.9, 1), (ends[0], *tops, ends[1]))
    profile = gaussian_filter1d(profile, 15 / spacing[0], axis=0, mode="nearest")
    # What lies within the outline of the lungs or further down moves with the diaphragm.
    outline = np.maximum.accumulate(inside[::-1], axis=0)[::-1]
    free = 0.15 + 0.85 * smooth(outline, 12)
    middle, half = (low + high) / 2, (high - low) / 2
    bump = np.sin(np.pi * np.clip(down, 0, 1))
    forward = -np.clip((high[1] - y) / (2 * half[1]), 0, 1.2) * bump
    apart = np.clip((x - middle[2]) / half[2], -1.2, 1.2) * bump
    turn = 1.0 if inspire else -1.0
    systematic = np.stack([-free * profile, forward, apart], axis=-1)
    mean = np.abs(systematic[inside]).mean(axis=0)
    share = np.array((1.0, rng.uniform(0.3, 0.9), rng.uniform(0.3, 0.9)))
    own = waves(rng.uniform(22, 36)) * free[..., None] * np.array((0.15, 0.6, 0.6))
    whole = turn * share * systematic / mean + own
    whole[..., 1:] /= np.abs(whole[inside]).mean(axis=0)[1:]
    # The lung near the wall goes as far as the lung in the middle, the wall does not.
    slide = 0.12 * waves(25)
    slide[..., 0] -= turn * rng.uniform(0.7, 1.0) * (1 - free) * profile / mean[0]
    normal = np.stack(np.gradient(smooth(depth, 5), *spacing), axis=-1)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
    axes = np.array(case.axes)
    whole, slide = whole * axes, slide * axes
    across = (slide * normal).sum(axis=-1, keepdims=True) * normal
    slide = slide - np.exp(-((depth / 14) ** 2))[..., None] * across
    return (whole / spacing).astype("float32"), (slide / spacing).astype("float32")


def _exponential(velocity: np.ndarray) -> np.ndarray:
    """The displacement after unit time along a stationary velocity, by squaring."""
    count = max(0, int(np.ceil(np.log2(max(np.abs(velocity).max(), 1e-6) / 0.1))))
    field = velocity / 2**count
    for _ in range(count):
        field = _after(field, field)
    return field


def _after(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The displacement of going along ``first`` and then along ``second``."""
    return first + at(second, grid_of(first.shape[:-1]) + first)


def depth_of(lungs: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Distance to the surface of the lungs in mm, positive inside."""
    from scipy.ndimage import distance_transform_edt

    inner, outer = (distance_transform_edt(part, spacing) for part in (lungs, ~lungs))
    return (inner - outer).astype("float32")


def grid_of(shape: Sequence[int]) -> np.ndarray:
    """The voxels of a grid as places, ``(*shape, ndim)`` float32."""
    return np.moveaxis(np.indices(shape, dtype="float32"), 0, -1)
