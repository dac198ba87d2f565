"""A phantom of a knee prosthesis: the femoral component, drawn by code."""

import functools

import numpy as np

from tfreg.data.source import phantom
from tfreg.geometry import Geometry
from tfreg.image import Image

SOURCE = phantom("a phantom knee prosthesis of tfreg.data.implants", "volumes", {"train": 1})
SPACING = 1.2  # mm
METAL = 0.1  # attenuation per mm, of what remains of the beam behind much metal
_HALF = (28.0, 33.0, 34.0)  # of the box about it in mm, z, y, x: a diagonal of 110 mm
_MARGIN, _FINE = 3, 3  # voxels about it, and parts of a voxel along each axis


@functools.cache
def knee(spacing: float = SPACING) -> Image:
    """The femoral component: a metal shell about the end of the thigh bone, with two pegs.

    Two condyles with a notch between them at the back, a flange in front; the inner condyle is
    larger than the outer one, so that no view is its own mirror image.

    Args:
        spacing: of the voxels, in mm.

    Returns:
        Attenuation per mm, float32, in a box with 3 voxels of air on each side, its middle at 0.

    Example:

    >>> from tfreg.data import implants
    >>> implants.knee().geometry.size, implants.knee().geometry.spacing
    ((63, 61, 53), (1.2, 1.2, 1.2))
    """
    size = [int(np.ceil(2 * half / spacing)) + 2 * _MARGIN for half in _HALF]
    fine = [(np.arange(n * _FINE) + 0.5) * spacing / _FINE - n * spacing / 2 for n in size]
    z, y, x = np.meshgrid(*fine, indexing="ij", sparse=True)
    inside = _shell(z, y, x) | _pegs(z, y, x)
    parts = inside.reshape([k for n in size for k in (n, _FINE)])
    shares = parts.mean(axis=(1, 3, 5))
    origin = tuple(-(n - 1) * spacing / 2 for n in size[::-1])
    grid = Geometry(tuple(size[::-1]), (spacing,) * 3, origin, tuple(map(tuple, np.eye(3))))
    return Image((METAL * shares).astype("float32"), grid)


def _shell(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """x to the left, y to the back, z up, in mm from the middle of the box."""
    # Seen from the side a condyle is round below and behind; the outer one is smaller.
    scale = np.where(x > 0, 1.0, 0.9)
    below = (y / (33.0 * scale)) ** 2 + ((z - 4.0) / (32.0 * scale)) ** 2 < 1
    front = (y < -24.0) & (y > -33.0) & (z > 0) & (z < 28.0)
    across = np.abs(x) < 34.0 - 6.0 * np.clip((z - 4.0) / 24.0, 0, 1)
    outer = (below & (z < 16.0)) | front
    # The bone was cut along planes: below, behind, in front, and oblique between them.
    bone = (z > -19.0) & (np.abs(y) < 24.0)
    bone &= z - np.abs(y) > -38.0
    notch = (np.abs(x - 1.0) < 9.0) & (y > -6.0)
    return outer & across & ~bone & ~notch


def _pegs(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """One in the middle of each condyle."""
    high = (z > -20.0) & (z < -4.0)
    return high & ((y - 2.0) ** 2 + (np.abs(x - 1.0) - 20.0) ** 2 < 4.0**2)
