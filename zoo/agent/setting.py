"""A batch of pairs as the agent has them: in [0, 1], with masks, and with maps in mm.

All volumes are continued to cubes of a few sizes, so that what was compiled for one pair serves
others of about its size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from tfreg.registration.images import Pair
from zoo.agent import observation
from zoo.agent.rigid import chained, inverse

_LEAST = 32  # voxels of an edge; then 48, 64, 96, 128, ...


@dataclass(frozen=True, eq=False)
class Setting:
    """What is registered.

    Attributes:
        fixed, moving: ``(batch, n, n, n, 1)`` in [0, 1], continued from their borders.
        fixed_mask, moving_mask: 1 where each shows something, 0 where it was continued.
        to_mm: ``(batch, 3, 4)`` from fixed voxels to mm about the centre of the fixed image.
        to_moving: ``(batch, 3, 4)`` from these mm to moving voxels, before anything is moved.
        moving_to_mm: ``(batch, 3, 4)`` from moving voxels to mm about the centre of that image.
        spacing: mm per voxel and axis.
    """

    fixed: np.ndarray
    moving: np.ndarray
    fixed_mask: np.ndarray
    moving_mask: np.ndarray
    to_mm: np.ndarray
    to_moving: np.ndarray
    moving_to_mm: np.ndarray
    spacing: tuple[float, ...]

    def rows(self, rows: np.ndarray) -> "Setting":
        """Some of the pairs."""
        arrays = (field.name for field in fields(self) if field.name != "spacing")
        return replace(self, **{name: getattr(self, name)[rows] for name in arrays})

    def exchanged(self) -> "Setting":
        """The other way round."""
        back = chained(inverse(self.to_mm), inverse(self.to_moving), inverse(self.moving_to_mm))
        return Setting(
            fixed=self.moving,
            moving=self.fixed,
            fixed_mask=self.moving_mask,
            moving_mask=self.fixed_mask,
            to_mm=self.moving_to_mm,
            to_moving=back,
            moving_to_mm=self.to_mm,
            spacing=self.spacing,
        )

    def from_exchanged(self, pose: np.ndarray) -> np.ndarray:
        """``T`` of the exchanged pair, fixed points onto moving ones about the moving centre, as
        the map from fixed to moving points about the fixed centre."""
        there = chained(self.moving_to_mm, self.to_moving)
        return chained(inverse(there), pose, there)

    @property
    def centre(self) -> np.ndarray:
        """The middle of what each fixed image shows, ``(batch, 3)`` mm about its centre."""
        places = [np.argwhere(mask[..., 0] > 0.5).mean(axis=0) for mask in self.fixed_mask]
        ahead = self.to_mm[:, :, :3] @ np.array(places)[..., None]
        return (ahead[..., 0] + self.to_mm[:, :, 3]).astype("float32")


def setting_of(pair: Pair, fixed: np.ndarray, moving: np.ndarray) -> Setting:
    """The setting of a batch.

    Args:
        pair: masks, spacing and start of it.
        fixed, moving: its images in [0, 1].
    """
    batch = len(fixed)
    masks = (
        np.ones_like(image[..., :1]) if mask is None else np.asarray(mask, "float32")
        for image, mask in ((fixed, pair.fixed_mask), (moving, pair.moving_mask))
    )
    to_voxels, moving_to_voxels = (
        np.repeat(observation.voxels(image.shape[1:4], pair.spacing)[None], batch, axis=0)
        for image in (fixed, moving)
    )
    start = to_voxels if pair.start is None else chained(pair.start, to_voxels)
    fixed_mask, moving_mask = masks
    return Setting(
        fixed=cubed(fixed),
        moving=cubed(moving),
        fixed_mask=cubed(fixed_mask, "constant"),
        moving_mask=cubed(moving_mask, "constant"),
        to_mm=inverse(to_voxels),
        to_moving=start,
        moving_to_mm=inverse(moving_to_voxels),
        spacing=pair.spacing,
    )


def cubed(images: np.ndarray, mode: str = "edge") -> np.ndarray:
    """Volumes ``(batch, *spatial, 1)`` continued behind the ends of their axes.

    Example:

    >>> import numpy as np
    >>> from zoo.agent.setting import cubed
    >>> cubed(np.zeros((2, 20, 50, 33, 1))).shape
    (2, 64, 64, 64, 1)
    """
    edge = edge_of(images.shape[1:4])
    pads = [(0, 0), *((0, edge - n) for n in images.shape[1:4]), (0, 0)]
    return np.pad(images, pads, mode)  # pyright: ignore[reportCallIssue, reportArgumentType]


def edge_of(shape: Sequence[int]) -> int:
    """Voxels of an edge of the cube that holds a volume: a power of two, or one and a half.

    Example:

    >>> from zoo.agent.setting import edge_of
    >>> edge_of((9, 8, 7)), edge_of((20, 50, 33)), edge_of((65, 60, 60))
    (32, 64, 96)
    """
    edge = _LEAST
    while edge < max(shape):
        edge = 3 * edge // 2 if edge & (edge - 1) == 0 else 4 * edge // 3
    return edge
