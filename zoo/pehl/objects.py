"""The objects that PEHL is trained for, and the cameras that see them."""

from dataclasses import dataclass

import keras
import numpy as np

from tfreg import ops
from tfreg.data import Source, implants, radiographs
from tfreg.geometry import ConeBeam
from tfreg.geometry.pose import ZONE
from tfreg.image import Image
from tfreg.metrics import corners_of

DISTANCE = 800.0  # mm from the source to an object, about which it stands
_BONE = 250.0  # HU, above which a voxel is part of the box about a skull


@dataclass(frozen=True, eq=False)
class Thing:
    """An object before a camera.

    Attributes:
        name: of it.
        volume: attenuation.
        camera: that sees the whole of it, wherever :func:`poses` put it.
        corners: ``(8, 3)`` of the box about it, in LPS mm.
        sources: of the data that it was made from.
    """

    name: str
    volume: Image
    camera: ConeBeam
    corners: np.ndarray
    sources: tuple[Source, ...]

    @property
    def size(self) -> float:
        """The diagonal of the box about it, in mm; success is an error below 1 % of it."""
        return float(np.linalg.norm(self.corners[-1] - self.corners[0]))


SOURCES = {
    "implant": (implants.SOURCE, radiographs.SOURCES["chest"]),
    "cranium": (radiographs.SOURCES["cranium"], radiographs.SOURCES["chest"]),
}


def load(name: str) -> Thing:
    """An object by name: ``"implant"``, drawn by code, or ``"cranium"``, from CT.

    Raises:
        InputError: if the data are not there.
    """
    if name == "implant":
        volume = implants.knee()
        camera = ConeBeam(1000.0, (192, 192), 1.1)
        corners = corners_of(volume.geometry, volume.array > 0.5 * implants.METAL)
        return Thing(name, volume, camera, corners, SOURCES[name])
    hounsfield = radiographs.volume("cranium")
    corners = corners_of(hounsfield.geometry, hounsfield.array > _BONE)
    grid = hounsfield.geometry.resampled(spacing=2.5)
    smooth = keras.ops.convert_to_numpy(
        ops.smooth(
            np.asarray(hounsfield.array, "float32")[None, ..., None],
            [1.0 / step for step in hounsfield.geometry.spacing[::-1]],
        )
    )[0, ..., 0]
    small = Image(smooth, hounsfield.geometry).resample(grid)
    values = keras.ops.convert_to_numpy(ops.attenuation(small.array))
    camera = ConeBeam(1000.0, (192, 192), 2.2)
    return Thing(name, Image(values, grid), camera, corners, SOURCES[name])


def poses(zone: tuple[int, int], count: int, rng: np.random.Generator) -> np.ndarray:
    """Poses ``(count, 6)`` with out-of-plane rotations in a zone, drawn uniformly.

    The paper does not say how far the other parameters reach.
    """
    middle = np.array([0.0, 0.0, DISTANCE, 0.0, zone[0] * ZONE, zone[1] * ZONE])
    half = np.array([10.0, 10.0, 40.0, 30.0, ZONE / 2, ZONE / 2])
    return middle + half * rng.uniform(-1, 1, (count, 6))


def middle_of(zone: tuple[int, int]) -> np.ndarray:
    """The pose ``(6,)`` in the middle of a zone."""
    return np.array([0.0, 0.0, DISTANCE, 0.0, zone[0] * ZONE, zone[1] * ZONE])
