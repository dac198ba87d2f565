"""The objects that PEHL is trained for, and the cameras that see them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

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
        volume: as it is registered: attenuation of an implant, HU of a CT.
        fine: what X-rays lose in it per mm, about the same centre, in the finer voxels that X-rays
            are rendered from: the method must not see its own grid.
        intensity_range: of its values.
        attenuates: whether they are attenuation.
        camera: that sees the whole of it, wherever :func:`poses` put it.
        corners: ``(8, 3)`` of the box about it, in LPS mm.
        sources: of the data that it and the backgrounds of its X-rays are made from.
    """

    name: str
    volume: Image
    fine: Image
    intensity_range: tuple[float, float]
    attenuates: bool
    camera: ConeBeam
    corners: np.ndarray
    sources: tuple[Source, ...]

    @property
    def size(self) -> float:
        """The diagonal of the box about it, in mm; success is an error below 1 % of it."""
        return float(np.linalg.norm(self.corners[-1] - self.corners[0]))

    @property
    def chest(self) -> bool:
        """Whether X-rays of it have a chest in their backgrounds."""
        return radiographs.SOURCES["chest"] in self.sources

    @cached_property
    def attenuation(self) -> Image:
        """What X-rays lose in :attr:`volume`, per mm."""
        return self.volume if self.attenuates else radiographs.attenuating(self.volume)


# Weights from the cranium bear its licence, which joins with no other that asks for something: it
# is before textures alone. "phantom" is the implant before those, and needs no data.
SOURCES = {
    "implant": (implants.SOURCE, radiographs.SOURCES["chest"]),
    "cranium": (radiographs.SOURCES["cranium"],),
    "phantom": (implants.SOURCE,),
}


def load(name: str) -> Thing:
    """An object by name: ``"implant"``, ``"phantom"`` or ``"cranium"``.

    Raises:
        InputError: if its data are not there.
    """
    if name == "cranium":
        return _cranium()
    volume = implants.knee()
    camera = ConeBeam(1000.0, (192, 192), 1.1)
    corners = corners_of(volume.geometry, volume.array > 0.5 * implants.METAL)
    fine = implants.knee(implants.SPACING / 2)
    return Thing(name, volume, fine, (0.0, implants.METAL), True, camera, corners, SOURCES[name])


def _cranium() -> Thing:
    """The skull in voxels of 2.5 mm, smoothed before by 1 mm; before X-rays in half of that."""
    whole = radiographs.volume("cranium")
    corners = corners_of(whole.geometry, whole.array > _BONE)
    small = radiographs.coarse(whole, 2.5, 1.0)
    camera = ConeBeam(1000.0, (192, 192), 2.2)
    finer = whole.resample(whole.geometry.resampled(spacing=1.25), fill=-1000)
    fine = radiographs.attenuating(finer)
    limits = (-1000.0, 3000.0)
    return Thing("cranium", small, fine, limits, False, camera, corners, SOURCES["cranium"])


def poses(zone: tuple[int, int] | None, count: int, rng: np.random.Generator) -> np.ndarray:
    """Poses ``(count, 6)`` with out-of-plane rotations in a zone, or any, drawn uniformly.

    The paper does not say how far the other parameters reach.
    """
    turn = 180.0 if zone is None else ZONE / 2
    half = np.array([10.0, 10.0, 40.0, 30.0, turn, turn])
    return middle_of(zone or (0, 0)) + half * rng.uniform(-1, 1, (count, 6))


def middle_of(zone: tuple[int, int]) -> np.ndarray:
    """The pose ``(6,)`` in the middle of a zone."""
    return np.array([0.0, 0.0, DISTANCE, 0.0, zone[0] * ZONE, zone[1] * ZONE])
