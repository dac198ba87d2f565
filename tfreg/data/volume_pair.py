"""Two chest CTs with masks and landmarks, and what the readers of such pairs share."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfreg.errors import InputError


@dataclass(frozen=True)
class VolumePair:
    """Two volumes of one patient.

    Attributes:
        name: what to call the pair.
        fixed, moving: ``(z, y, x)`` float32 in HU; feet to head, front to back, side to side.
        spacing: mm per voxel and axis, of both.
        fixed_mask, moving_mask: ``(z, y, x)`` uint8, 1 in the lungs, or ``None``.
        fixed_points, moving_points: ``(n, 3)`` corresponding landmarks in voxels, or ``None``.
    """

    name: str
    fixed: np.ndarray
    moving: np.ndarray
    spacing: tuple[float, float, float]
    fixed_mask: np.ndarray | None = None
    moving_mask: np.ndarray | None = None
    fixed_points: np.ndarray | None = None
    moving_points: np.ndarray | None = None

    @property
    def shift(self) -> tuple[float, float, float]:
        """From the centroid of the fixed mask to that of the moving one, in voxels.

        Raises:
            InputError: if a mask is absent or empty.
        """
        masks = self.fixed_mask, self.moving_mask
        if any(mask is None or not mask.any() for mask in masks):
            raise InputError(f"{self.name} needs both masks for their centroids.")
        fixed, moving = (np.argwhere(mask).mean(axis=0) for mask in masks)
        return tuple(map(float, moving - fixed))


def read_stored(path: Path, shape: Sequence[int]) -> np.ndarray:
    """A volume of DIR-Lab's layout: int16 without a header, HU + 1024, head first.

    Args:
        path: the ``.img`` file.
        shape: ``(z, y, x)`` voxels.

    Returns:
        ``(z, y, x)`` float32 in HU, feet first as everywhere in ``tfreg.data``.

    Raises:
        InputError: if it is missing, or of another size.
    """
    expected = 2 * int(np.prod(shape))
    size = path.stat().st_size if path.is_file() else None
    if size != expected:
        raise InputError(
            f"{path} must hold {expected} bytes, {tuple(shape)} voxels. "
            f"Received: {'no file' if size is None else f'{size} bytes'}"
        )
    stored = np.fromfile(path, "<i2").reshape(shape)
    return np.ascontiguousarray(stored[::-1]).astype("float32") - 1024


def read_points(path: Path, shape: Sequence[int]) -> np.ndarray:
    """Landmarks of DIR-Lab's layout: lines of ``x y z`` in voxels counted from 1, head first.

    Args:
        path: the text file.
        shape: ``(z, y, x)`` voxels of the volume.

    Returns:
        ``(n, 3)`` float64, ``(z, y, x)`` in voxels counted from 0, feet first.

    Raises:
        InputError: if it is missing, no such text, or a landmark lies outside the volume.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        points = np.array([line.split() for line in lines if line.strip()], float)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a list of landmarks: {error}") from error
    if points.shape != (len(points), 3) or not len(points):
        raise InputError(f"{path} must hold lines of x y z. Received: {points.shape}")
    if points.min() < 1 or (points.max(axis=0) > np.array(shape)[::-1]).any():
        raise InputError(f"{path} must name voxels of a volume of {tuple(shape)}, from 1.")
    points = points[:, ::-1] - 1
    points[:, 0] = shape[0] - 1 - points[:, 0]
    return points


def lungs_of(hounsfield: np.ndarray) -> np.ndarray:
    """A mask of the lungs by threshold, for volumes that come without.

    Air (below -320 HU) that does not reach the sides of the volume in its slice, its large parts,
    closed over vessels. The trachea is in it.

    Args:
        hounsfield: ``(z, y, x)`` in HU.

    Returns:
        ``(z, y, x)`` uint8; all 0 where nothing like a lung is there.
    """
    from scipy.ndimage import binary_closing, binary_fill_holes, label

    air = np.pad(hounsfield < -320, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    inner = np.zeros_like(air)
    for number, plane in enumerate(air):
        parts, _ = label(plane)
        inner[number] = plane & (parts != parts[0, 0])  # the rim joins all that reaches a side
    inner = inner[:, 1:-1, 1:-1]
    parts, _ = label(inner)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    large = np.flatnonzero(sizes > 0.1 * sizes.sum())
    lungs = np.isin(parts, large)
    disk = np.hypot(*np.indices((7, 7)) - 3) <= 3
    closed = np.zeros_like(lungs)
    for number, plane in enumerate(lungs):
        padded = np.pad(plane, 4)
        closed[number] = binary_fill_holes(binary_closing(padded, disk))[4:-4, 4:-4]
    return closed.astype("uint8")
