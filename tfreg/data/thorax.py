"""A phantom thorax in CT: ribs, spine, heart, diaphragm, and lungs with vessels and lobules."""

from dataclasses import dataclass

import numpy as np

SHAPE, SPACING = (112, 140, 170), (2.5, 2.0, 2.0)


@dataclass(frozen=True)
class Anatomy:
    """A chest CT with its lungs.

    Attributes:
        volume: ``(z, y, x)`` float32 in HU; feet to head, front to back, side to side.
        lungs: ``(z, y, x)`` bool.
        spacing: mm per voxel and axis.
    """

    volume: np.ndarray
    lungs: np.ndarray
    spacing: tuple[float, float, float]


def draw(rng: np.random.Generator) -> Anatomy:
    """Draws one thorax.

    Args:
        rng: source of its sizes, its vessels and its texture.

    Example:

    >>> import numpy as np
    >>> from tfreg.data import thorax
    >>> one = thorax.draw(np.random.default_rng(0))
    >>> one.volume.shape, bool(one.volume[one.lungs].mean() < -700)
    ((112, 140, 170), True)
    """
    sizes = np.array(SHAPE) * SPACING
    z, y, x = (
        np.arange(n, dtype="float32").reshape(np.where(np.arange(3) == axis, -1, 1)) * step - half
        for axis, (n, step, half) in enumerate(zip(SHAPE, SPACING, sizes / 2, strict=True))
    )
    top = rng.uniform(105, 120)
    deep, wide = rng.uniform(82, 95), rng.uniform(118, 135)
    taper = 1 - 0.55 * np.clip((z + 20) / (top + 20), 0, 1.3) ** 2.2
    wall = _ellipse(y / taper, x / taper, deep, wide)  # mm outwards from the cavity's wall
    parts = [_lung(x, y, z, wall, top, side, rng) for side in (-1, 1)]
    inside = np.maximum(*parts)
    smooth, fine = _noise(rng, 8.0), _noise(rng, 1.6) - _noise(rng, 4.0)
    volume = np.full(SHAPE, -1000, "float32")
    body = _ellipse(y, x, deep + 42, wide + 45) + 0 * z
    for distance, value in (
        (body, -95),
        (body + rng.uniform(8, 20), 45),
        (wall + 0 * z, 20),
        (np.hypot(np.hypot((x - 22) / 1.1, y + 25), (z + 25) / 1.1) - rng.uniform(42, 50), 55),
        (np.maximum(np.hypot(x, y - deep - 6) - 17, -1000 + 0 * z), 220),
    ):
        volume = _over(volume, distance, value)
    phase = (z - rng.uniform(0.25, 0.45) * y + rng.uniform(0, 24)) / rng.uniform(22, 26)
    along = np.abs(phase - np.rint(phase)) * 24
    ribs = np.hypot(np.maximum(along - 2.5, 0), wall - 9) - 4.5
    volume = _over(volume, ribs, np.where(y < -0.6 * deep, 110, 420))
    volume += 12 * smooth
    air = -880 + 35 * y / deep + 25 * smooth + 30 * fine
    # The fissures between the lobes are thin and bright.
    fissure = np.abs(z + 0.9 * y - rng.uniform(-20, 10) + 8 * smooth)
    air = air + 130 * np.exp(-((fissure / 1.6) ** 2))
    for side, part in zip((-1, 1), parts, strict=True):
        for segment in _tree(part, np.array((5.0, 5.0, side * 42.0)), rng):
            _vessel(air, segment)
    volume = _over(volume, -inside, air)
    volume += 10 * rng.standard_normal(SHAPE, dtype="float32")
    return Anatomy(np.maximum(volume, -1024), inside > 0, SPACING)


def _ellipse(y: np.ndarray, x: np.ndarray, deep: float, wide: float) -> np.ndarray:
    """Roughly the distance in mm to an ellipse, negative inside."""
    return (np.sqrt((y / deep) ** 2 + (x / wide) ** 2) - 1) * min(deep, wide)


def _lung(
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    wall: np.ndarray,
    top: float,
    side: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Roughly the depth in mm below the surface of one lung."""
    dome = np.exp(-(((x - side * 70) / 62) ** 2) - ((y + 10) / 60) ** 2)
    base = rng.uniform(-105, -95) + rng.uniform(40, 55) * dome - 0.2 * y
    heart = 1.0 if side > 0 else 0.45
    middle = rng.uniform(24, 30) + heart * 32 * np.exp(
        -(((y + 30) / 45) ** 2) - ((z + 40) / 55) ** 2
    )
    return np.minimum(
        np.minimum(-wall - 1, side * x - middle), np.minimum(0.8 * (z - base), top - z)
    ).astype("float32")


def _over(image: np.ndarray, distance: np.ndarray, value: np.ndarray | float) -> np.ndarray:
    """Covers what is inside, with a soft edge of about 2 mm."""
    share = np.clip(0.5 - distance / 2.5, 0, 1)
    return image + share * (value - image)


def _noise(rng: np.random.Generator, mm: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.standard_normal(SHAPE, dtype="float32"), mm / np.array(SPACING))
    return noise / noise.std()


def _tree(depth: np.ndarray, root: np.ndarray, rng: np.random.Generator, count: int = 420) -> list:
    """Segments ``(start, stop, radius)`` in mm that reach places all over a lung from its root.

    Each place joins the node nearest to it that is nearer to the root; a segment is as thick as the
    cube root of the number of places that it leads to (Murray's law).
    """
    places = np.argwhere(depth > 3)
    places = places[rng.choice(len(places), count, replace=False)] + rng.uniform(
        -0.5, 0.5, (count, 3)
    )
    places = (places - np.array(SHAPE) / 2) * SPACING
    places = places[np.argsort(np.linalg.norm(places - root, axis=1))]
    nodes = np.concatenate([root[None], places])
    parents = np.zeros(len(nodes), int)
    leads = np.ones(len(nodes))
    for index in range(1, len(nodes)):
        length = np.linalg.norm(nodes[:index] - nodes[index], axis=1)
        parents[index] = np.argmin(length + 0.2 * np.linalg.norm(nodes[:index] - root, axis=1))
    for index in range(len(nodes) - 1, 0, -1):
        leads[parents[index]] += leads[index]
    return [
        (nodes[parents[index]], nodes[index], 1.0 * leads[index] ** (1 / 3))
        for index in range(1, len(nodes))
    ]


def _vessel(air: np.ndarray, segment: tuple[np.ndarray, np.ndarray, float]) -> None:
    """Draws one segment into the lung."""
    start, stop, radius = segment
    ends = np.stack([start, stop]) / SPACING + np.array(SHAPE) / 2
    margin = (radius + 3) / np.array(SPACING)
    low = np.maximum(np.floor(ends.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(ends.max(axis=0) + margin) + 1, SHAPE).astype(int)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    points = np.moveaxis(np.indices(high - low, dtype="float32"), 0, -1) + low
    points = (points - np.array(SHAPE) / 2) * SPACING - start
    along = stop - start
    share = np.clip(points @ along / max(along @ along, 1e-6), 0, 1)
    distance = np.linalg.norm(points - share[..., None] * along, axis=-1)
    inside = np.clip(0.5 - (distance - radius) / 2.0, 0, 1)
    air[box] = np.maximum(air[box], -880 + 920 * inside)
