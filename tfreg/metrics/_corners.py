"""The surface rule of DeepMind's ``surface-distance``, on the corners of voxels, spacing 1.

Its distances were compared on 400 pairs of random masks with those of
``surface-distance-based-measures`` 0.1: all were equal.
"""

import functools
import itertools

import numpy as np
from scipy.ndimage import distance_transform_edt


def robust_hausdorff(fixed: np.ndarray, moved: np.ndarray) -> float:
    """95 % Hausdorff distance in voxels of a 3-D mask that is not empty from one that may be.

    Args:
        fixed: boolean array ``(*spatial)``, 3-D, not empty.
        moved: boolean array of the same shape.

    Returns:
        The larger of the two directed percentiles; infinity if ``moved`` is empty.
    """
    if not moved.any():
        return float("inf")
    occupied = np.argwhere(fixed | moved)
    box = tuple(
        slice(low, high + 1) for low, high in zip(occupied.min(0), occupied.max(0), strict=True)
    )
    codes = [_corner_codes(mask[box]) for mask in (fixed, moved)]
    surfaces = [(code > 0) & (code < 255) for code in codes]
    directed = []
    for here, other in ((0, 1), (1, 0)):
        distances = distance_transform_edt(~surfaces[other])[surfaces[here]]
        areas = surface_areas()[codes[here][surfaces[here]]]
        order = np.lexsort((areas, distances))
        share = np.cumsum(areas[order]) / areas.sum()
        first = min(np.searchsorted(share, 0.95), len(share) - 1)
        directed.append(float(distances[order][first]))
    return max(directed)


def _corner_codes(mask: np.ndarray) -> np.ndarray:
    """Which of the 8 voxels around each corner are inside, as bits; one more corner per axis."""
    padded = np.pad(mask, 1).astype("uint8")
    codes = np.zeros([size + 1 for size in mask.shape], "uint8")
    for bit, offset in enumerate(itertools.product((0, 1), repeat=3)):
        window = tuple(slice(o, o + size) for o, size in zip(offset, codes.shape, strict=True))
        codes |= padded[window] << np.uint8(bit)
    return codes


@functools.lru_cache(maxsize=1)
def surface_areas() -> np.ndarray:
    """Area of the marching-cubes surface in a cube of 8 voxel centres, for the 256 fillings.

    A filling and its opposite have the same area, so the smaller of the two sets counts; it falls
    into parts joined along edges of the cube, and the areas of the parts add up. The vertices sit
    in the middle of edges. Equal to the norms of the normals tabulated in ``surface-distance``.
    """
    r2, r3 = np.sqrt(2), np.sqrt(3)
    corners = list(itertools.product((0, 1), repeat=3))
    area = {  # (corners in the part, most neighbours that one of them has in it)
        (1, 0): r3 / 8,  # cut off a corner
        (2, 1): r2 / 2,  # an edge
        (3, 2): 1 / 2 + 3 * r3 / 8,  # three of a face
        (4, 2): None,  # a face or a path out of it, told apart below
        (4, 3): 3 * r3 / 4,  # a corner and its three neighbours: a hexagon
    }
    table = np.zeros(256)
    for code in range(1, 255):
        inside = {c for bit, c in enumerate(corners) if code >> bit & 1}
        left = inside if len(inside) <= 4 else set(corners) - inside
        while left:
            part, fresh = set(), {next(iter(left))}
            while fresh:
                part |= fresh
                fresh = {c for c in left - part if any(_adjacent(c, other) for other in part)}
            left = left - part
            degrees = sorted(sum(_adjacent(c, other) for other in part) for c in part)
            value = area[len(part), degrees[-1]]
            if value is None:
                value = 1.0 if degrees[0] == 2 else r2 / 2 + r3 / 2
            table[code] += value
    table.setflags(write=False)
    return table


def _adjacent(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return sum(a != b for a, b in zip(one, other, strict=True)) == 1
