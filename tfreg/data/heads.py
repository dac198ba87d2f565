"""Phantom heads: one slice as CT, as MRI and as PET in colours, aligned."""

from dataclasses import dataclass

import numpy as np

SIDE = 256
# Greys of skin, skull, the fluid about the brain, cortex, white matter, ventricles and a lesion.
_CT = (70, 250, 30, 100, 92, 40, 140)
_MRI = (140, 12, 225, 150, 95, 235, 190)
_UPTAKE = (0.05, 0.0, 0.02, 0.9, 0.4, 0.05, 0.15)


@dataclass(frozen=True, eq=False)
class Head:
    """One slice by three modalities.

    Attributes:
        ct: ``(256, 256)`` uint8: a bright skull, and little in it.
        mri: ``(256, 256)`` uint8: cortex, white matter and ventricles, and no skull.
        colours: ``(256, 256, 3)`` uint8: uptake from black through red and yellow to white.
    """

    ct: np.ndarray
    mri: np.ndarray
    colours: np.ndarray


def draw(rng: np.random.Generator) -> Head:
    """Draws one slice.

    Args:
        rng: source of its shape, its folds and its noise.

    Example:

    >>> import numpy as np
    >>> from tfreg.data import heads
    >>> one = heads.draw(np.random.default_rng(0))
    >>> one.ct.shape, one.mri.shape, one.colours.shape
    ((256, 256), (256, 256), (256, 256, 3))
    """
    from scipy import ndimage

    y, x = (np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2) / (SIDE / 2)
    turn = rng.normal(0, 0.05)
    y, x = np.cos(turn) * y - np.sin(turn) * x, np.sin(turn) * y + np.cos(turn) * x
    angle = np.arctan2(y, x)
    tall, wide = rng.uniform(0.84, 0.9), rng.uniform(0.68, 0.76)
    # 1 on the outline of the head, less within.
    radius = np.sqrt((y / tall) ** 2 + (x / wide) ** 2)
    radius = radius * (1 + sum(_wave(rng, angle, k, 0.01) for k in range(2, 6)))
    folds = sum(_wave(rng, angle, k, 0.5 / k) for k in range(11, 30))
    cortex = 0.62 + 0.05 * folds + rng.normal(0, 0.01)
    horns = (np.abs(x) - 0.09 - 0.06 * np.abs(y)) ** 2 / 0.05**2 + (y / 0.26) ** 2
    lesion_at = rng.uniform(-0.35, 0.35), rng.choice([-1, 1]) * rng.uniform(0.2, 0.35)
    lesion = np.hypot(y - lesion_at[0], x - lesion_at[1])
    tissue = np.full(radius.shape, -1)
    skull = rng.uniform(0.83, 0.86)
    for number, inside in enumerate(
        (
            radius < 1,
            radius < 0.94,
            radius < skull,
            radius < skull - 0.05,
            radius < cortex,
            horns < 1,
            lesion < rng.uniform(0.04, 0.09),
        )
    ):
        tissue[inside] = number

    def seen(greys: tuple[float, ...], blur: float) -> np.ndarray:
        return ndimage.gaussian_filter(np.array([*greys, 0.0])[tissue], blur)

    texture = ndimage.gaussian_filter(rng.normal(size=radius.shape), 2)
    texture *= 60 * (tissue >= 2)
    ct = seen(_CT, 1.0) + rng.normal(0, 2, radius.shape) * (tissue >= 0)
    mri = seen(_MRI, 0.8) + texture + rng.normal(0, 3, radius.shape) * (tissue >= 0)
    uptake = seen(_UPTAKE, 4.0) * (1 + 0.15 * texture / 60)
    return Head(_bytes(ct), _bytes(mri), _bytes(255 * _heat(uptake)))


def _wave(rng: np.random.Generator, angle: np.ndarray, turns: int, size: float) -> np.ndarray:
    return rng.normal(0, size) * np.cos(turns * angle + rng.uniform(0, 2 * np.pi))


def _heat(values: np.ndarray) -> np.ndarray:
    """Black, red, yellow, white: red first, then green, then blue."""
    return np.clip(3 * values[..., None] - np.arange(3), 0, 1)


def _bytes(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image, 0, 255)).astype("uint8")
