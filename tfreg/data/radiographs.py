"""CT volumes to look through with X-rays, and real X-rays of a wrist.

The prepared files do not say which way the patient lay in two of the volumes; the directions here
were read from their images, with the patient's left and right as a right-handed frame has them.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfreg.data.slices import read_pack
from tfreg.data.source import Source
from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image

SOURCES = {
    "cranium": Source(
        "Cranium of InVesalius",
        "example of InVesalius 3.1, Debian package invesalius-examples",
        "GPL-2",
        "volumes",
        {"train": 1},
    ),
    "head": Source(
        "headsq of VTK", "VTK's test data, Kitware", "Apache-2.0", "volumes", {"test": 1}
    ),
    "chest": Source(
        "LIDC-IDRI-0001",
        "S. G. Armato et al., The Lung Image Database Consortium, Medical Physics 38(2), 2011; The "
        "Cancer Imaging Archive, doi:10.7937/K9/TCIA.2015.LO9QL9SX",
        "CC BY 3.0",
        "volumes",
        {"train": 1},
    ),
}
WRIST = Source(
    "wrist of Autoscoper",
    "Brown University and the Slicer Autoscoper community, sample data of Autoscoper",
    "BSD-3-Clause",
    "frames",
    {"test": 3},
)
_PACKS = {
    "cranium": ("ct_cranium.npz", (-1.0, -1.0, 1.0)),
    "head": ("ct_head_drr.npz", (-1.0, 1.0, -1.0)),
    "chest": ("ct_chest_drr.npz", (1.0, 1.0, 1.0)),
}
_WRIST = "xray_wrist.npz"
BONES = ("radius", "ulna", "mc3")


class Wrist(NamedTuple):
    """Three moments of a moving wrist, seen by two cameras.

    Attributes:
        xrays: ``(frames, cameras, rows, columns)`` uint8: what reached the detector.
        cameras: the text of each, for :func:`tfreg.io.cameras.camera_of`.
        bones: CT of single bones by name, values of about 0 to 4095 without HU, 0 outside.
    """

    xrays: np.ndarray
    cameras: tuple[str, str]
    bones: dict[str, Image]


def available(name: str) -> bool:
    """Whether :func:`volume` would find the volume of this name, or :func:`wrist` the ``wrist``."""
    return _file(_WRIST if name == "wrist" else _PACKS[name][0]) is not None


def volume(name: str) -> Image:
    """A CT in HU from the prepared file in the folder that ``TFREG_DATA`` names.

    Args:
        name: ``"cranium"``, ``"head"`` or ``"chest"``.

    Raises:
        ValueError: on an unknown name.
        InputError: if the file is not there, or not what it should be.
    """
    if name not in _PACKS:
        raise ValueError(f"name must be one of {tuple(_PACKS)}. Received: name={name}")
    pack, turns = _PACKS[name]
    found = read_pack(_found(pack), ("volume", "spacing_zyx"))
    spacing = tuple(map(float, found["spacing_zyx"][::-1]))
    array = np.asarray(found["volume"])
    grid = Geometry(array.shape[::-1], spacing, (0.0, 0.0, 0.0), tuple(map(tuple, np.diag(turns))))
    return Image(array, grid)


def coarse(hounsfield: Image, spacing: float, sigma: float) -> Image:
    """A CT on a grid of larger voxels, smoothed before.

    Args:
        hounsfield: in HU.
        spacing: of the new voxels, in mm.
        sigma: standard deviation of what smooths, in mm.
    """
    import keras

    from tfreg import ops

    steps = [sigma / step for step in hounsfield.geometry.spacing[::-1]]
    smooth = ops.smooth(np.asarray(hounsfield.array, "float32")[None, ..., None], steps)
    smooth = Image(keras.ops.convert_to_numpy(smooth)[0, ..., 0], hounsfield.geometry)
    return smooth.resample(smooth.geometry.resampled(spacing=spacing))


def attenuating(hounsfield: Image) -> Image:
    """What X-rays lose in a CT per mm, see :func:`tfreg.ops.attenuation`."""
    import keras

    from tfreg import ops

    values = keras.ops.convert_to_numpy(ops.attenuation(hounsfield.array))
    return Image(values, hounsfield.geometry)


def wrist() -> Wrist:
    """The wrist, from the prepared file in the folder that ``TFREG_DATA`` names.

    Raises:
        InputError: if the file is not there, or not what it should be.
    """
    names = ("xray_cam1", "xray_cam2", "calibration_cam1", "calibration_cam2", "spacing_zyx")
    pack = read_pack(_found(_WRIST), (*names, *(f"ct_{bone}" for bone in BONES)))
    step = tuple(map(float, pack["spacing_zyx"]))
    bones = {
        bone: Image(pack[f"ct_{bone}"], Geometry.of_shape(pack[f"ct_{bone}"].shape, step))
        for bone in BONES
    }
    xrays = np.stack([pack["xray_cam1"], pack["xray_cam2"]], axis=1)
    cameras = str(pack["calibration_cam1"]), str(pack["calibration_cam2"])
    return Wrist(xrays, cameras, bones)


def _file(pack: str) -> Path | None:
    folder = os.environ.get("TFREG_DATA")
    path = Path(folder) / pack if folder else None
    return path if path is not None and path.is_file() else None


def _found(pack: str) -> Path:
    path = _file(pack)
    if path is None:
        raise InputError(f"{pack} was not found: set TFREG_DATA to a folder that holds it.")
    return path
