"""What a cone-beam CT makes of a volume: a small field of view, noise, streaks, cupping, a scale.

Not a simulation of its physics, but of what registration meets of it, in the image itself::

    cbct = gain (low + (volume - low) (1 - cupping (1 - r^2 / R^2)) + streaks + noise) + offset

within a cylinder of radius ``R`` that lies along the first axis of the array, with ``r`` the
distance from its axis, and ``low`` the lowest intensity, air, which is not cupped. Streaks, noise
and offset are shares of the range of intensities. Streaks leave dense spots fanwise within a few
slices; noise is correlated over neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_HARMONICS = 24  # of the fan of a streak at most
_FADES = 60.0  # mm after which a streak is half as strong


@dataclass(frozen=True)
class Look:
    """How one cone-beam CT looks.

    Attributes:
        radius: of the field of view, mm.
        height: half of its height, mm.
        noise: standard deviation, as a share of the range of intensities.
        streaks: their amplitude at their spots, as such a share.
        cupping: share that is lost in the middle.
        gain, offset: of its scale.
    """

    radius: float
    height: float
    noise: float = 0.0
    streaks: float = 0.0
    cupping: float = 0.0
    gain: float = 1.0
    offset: float = 0.0


class ConeBeam(NamedTuple):
    """A cone-beam CT.

    Attributes:
        image: of the shape of the volume, float32; outside the field of view its lowest value.
        mask: the field of view, uint8.
    """

    image: np.ndarray
    mask: np.ndarray


def draw(
    rng: np.random.Generator,
    radius: Sequence[float] = (55.0, 90.0),
    height: Sequence[float] = (45.0, 90.0),
) -> Look:
    """A look at random.

    Args:
        rng: source of it.
        radius, height: between what these are drawn, mm.

    Example:

    >>> import numpy as np
    >>> from tfreg.data import cone_beam
    >>> 55 <= cone_beam.draw(np.random.default_rng(0)).radius <= 90
    True
    """
    return Look(
        radius=float(rng.uniform(*radius)),
        height=float(rng.uniform(*height)),
        noise=float(rng.uniform(0.01, 0.06)),
        streaks=float(rng.uniform(0, 0.2)),
        cupping=float(rng.uniform(0, 0.3)),
        gain=float(rng.uniform(0.5, 1.5)),
        offset=float(rng.uniform(-0.3, 0.3)),
    )


def field_of_view(shape: Sequence[int], spacing: Sequence[float], look: Look) -> np.ndarray:
    """The cylinder about the centre of a grid, uint8.

    Args:
        shape: voxels per axis; the cylinder lies along the first.
        spacing: of the voxels in mm.
        look: whose radius and height count.

    Raises:
        ValueError: on a shape or spacing that is not of three axes.

    Example:

    >>> from tfreg.data import cone_beam
    >>> mask = cone_beam.field_of_view((5, 9, 9), (10.0, 10.0, 10.0), cone_beam.Look(25.0, 15.0))
    >>> int(mask[2].sum()), int(mask[0].sum()), int(mask[:, 4, 4].sum())
    (21, 0, 3)
    """
    along, across = _axes(shape, spacing)
    inside = across[..., 0] ** 2 + across[..., 1] ** 2 <= look.radius**2
    return ((np.abs(along) <= look.height)[:, None, None] & inside).astype("uint8")


def simulate(
    volume: np.ndarray,
    spacing: Sequence[float],
    look: Look,
    rng: np.random.Generator,
    extent: float | None = None,
) -> ConeBeam:
    """The cone-beam CT of what a volume shows about its centre.

    Args:
        volume: ``(z, y, x)`` real.
        spacing: of its voxels in mm.
        look: how it looks.
        rng: source of noise and streaks.
        extent: the range of intensities; ``None``: that of the volume.

    Raises:
        ValueError: unless there are three axes.

    Example:

    >>> import numpy as np
    >>> from tfreg.data import cone_beam
    >>> rng, look = np.random.default_rng(0), cone_beam.Look(40.0, 20.0, gain=2.0, offset=-1.0)
    >>> volume = np.linspace(0, 1, 20 * 24 * 24).reshape(20, 24, 24)
    >>> found = cone_beam.simulate(volume, (4.0, 4.0, 4.0), look, rng)
    >>> inside = found.mask > 0
    >>> bool(np.allclose(found.image[inside], 2 * volume[inside] - 1, atol=1e-6))
    True
    """
    volume = np.asarray(volume, "float32")
    mask = field_of_view(volume.shape, spacing, look)
    extent = float(np.ptp(volume)) if extent is None else extent
    along, across = _axes(volume.shape, spacing)
    image = volume
    if look.cupping:
        square = (across**2).sum(axis=-1) / look.radius**2
        low = volume.min()  # air stays air
        image = low + (volume - low) * (1 - look.cupping * np.clip(1 - square, 0, 1))
    if look.streaks:
        image = image + look.streaks * extent * _streaks(volume * mask, along, across, rng)
    if look.noise:
        image = image + look.noise * extent * _noise(volume.shape, rng)
    image = look.gain * image + look.offset * extent
    inside = mask > 0
    if inside.any():
        image = np.where(inside, image, image[inside].min())
    return ConeBeam(image.astype("float32"), mask)


def _axes(shape: Sequence[int], spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Distances in mm from the centre: along the first axis ``(z,)``, and ``(y, x, 2)``."""
    if len(shape) != 3 or len(spacing) != 3:
        raise ValueError(
            f"There must be three axes. Received: shape={tuple(shape)}, spacing={spacing}"
        )
    one = [
        ((np.arange(n) - (n - 1) / 2) * step).astype("float32")
        for n, step in zip(shape, spacing, strict=True)
    ]
    return one[0], np.stack(np.meshgrid(*one[1:], indexing="ij"), axis=-1)


def _streaks(
    volume: np.ndarray, along: np.ndarray, across: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Fans about some of the brightest voxels, each within a few slices."""
    brightest = np.argpartition(volume.ravel(), -64)[-64:]
    total = np.zeros(volume.shape, "float32")
    for voxel in rng.choice(brightest, rng.integers(1, 4)):
        z, y, x = np.unravel_index(voxel, volume.shape)
        offset = across - across[y, x]
        angle = np.arctan2(offset[..., 0], offset[..., 1])
        waves = rng.integers(4, _HARMONICS, 4)
        turns = rng.uniform(0, 2 * np.pi, 4)
        fan = sum(np.sin(n * angle + turn) for n, turn in zip(waves, turns, strict=True)) / 2
        fan = fan / (1 + np.hypot(offset[..., 0], offset[..., 1]) / _FADES)
        thick = rng.uniform(4, 16)
        total += np.exp(-(((along - along[z]) / thick) ** 2))[:, None, None] * fan
    return total


def _noise(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Of standard deviation 1, correlated with the next voxels."""
    noise = rng.standard_normal(shape, dtype="float32")
    for axis in range(3):
        noise = (noise + np.roll(noise, 1, axis)) / np.sqrt(2)
    return noise
