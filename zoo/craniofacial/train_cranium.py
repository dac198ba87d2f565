"""The recipe of ``craniofacial-cranium``, runnable as ``tfreg train craniofacial-cranium``."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.data import implants, radiographs
from tfreg.errors import InputError
from tfreg.geometry import ConeBeam
from tfreg.image import Image
from tfreg.registration import Preprocessing
from zoo.craniofacial import METHOD
from zoo.craniofacial.deformation import subspace
from zoo.craniofacial.images import Pairs, Pool
from zoo.craniofacial.model import Craniofacial
from zoo.halves import halve, rounded
from zoo.presets import Preset
from zoo.recipes import Recipe, Training, each

COMPONENTS, SIZE = 8, 4.5  # of the sub-space, and the mm of a deformation
LATERAL = np.array([0.0, 0.0, 1500.0, 0.0, 0.0, 90.0])  # as a cephalostat holds the head
POOL, HELD_OUT = 3000, 256


class Cranium(Recipe):
    """Random deformations of one skull, seen from the side."""

    name = "craniofacial-cranium"
    method = METHOD
    sources = each({"cranium": radiographs.SOURCES["cranium"], "phantom": implants.SOURCE})
    iterations, batch, learning_rate = 4000, 32, 1e-3

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--pool", type=int, default=POOL, help=f"deformations (default: {POOL})"
        )

    def check(self, settings: dict[str, Any]) -> None:
        if settings["pool"] < 1:
            raise InputError(f"--pool must be positive. Received: {settings['pool']}")

    def preset_name(self, settings: dict[str, Any]) -> str:
        return f"craniofacial-{settings['data']}"

    def prepare(self, settings: dict[str, Any], folder: Path) -> Training:
        volume, camera, limits, attenuates = thing(settings["data"])
        shape, spacing = volume.array.shape, volume.geometry.spacing[::-1]
        found = subspace(shape, spacing, COMPONENTS, SIZE, settings["seed"])
        model = Craniofacial(
            found.control,
            shape,
            spacing,
            camera,
            LATERAL.tolist(),
            intensity_range=limits,
            attenuates=attenuates,
        )
        model.build()
        scene, seed = model.scene(volume), settings["seed"]
        kept = Path(folder) / f"pool-{settings['data']}-{settings['pool']}-{seed}.npz"
        pool = Pool(model, scene, settings["pool"], seed, kept)
        fresh = Pool(model, scene, HELD_OUT, seed + 2**20)
        images, coefficients = fresh.pairs(np.arange(HELD_OUT), np.ones(HELD_OUT, bool))
        return Training(
            model,
            Pairs(pool, settings["batch"], seed),
            {"images": images, "coefficients": coefficients},
            f"Deformation of a {settings['data']} from a lateral X-ray, {COMPONENTS} parameters",
            Preprocessing(shape, intensity_range=limits),
            f"{settings['pool']} random deformations of one volume",
            sample="deformations",
        )

    def fit(self, training: Training, *args: Any, **kwargs: Any) -> dict[str, Any]:
        curve = super().fit(training, *args, **kwargs)
        # The score is that of the weights as they are written.
        training.model.set_weights(rounded(training.model.get_weights()))
        return curve

    def train(self, settings: dict[str, Any], folder: Path, *args: Any, **kwargs: Any) -> Preset:
        return halve(super().train(settings, folder, *args, **kwargs))


def thing(data: str) -> tuple[Image, ConeBeam, tuple[float, float], bool]:
    """The volume, the camera of a lateral view, the range of its values, and whether they are
    attenuation.

    Raises:
        InputError: if the data are not there.
    """
    if data == "cranium":
        volume = radiographs.coarse(radiographs.volume(data), 2.5, 1.0)
        limits, attenuates = (-1000.0, 3000.0), False
    else:
        volume, limits, attenuates = implants.knee(), (0.0, implants.METAL), True
    extent = float(np.linalg.norm(volume.geometry.extent))
    distance = 1600.0
    pixel = 0.75 * extent * distance / LATERAL[2] / 128
    camera = ConeBeam(distance, (128, 128), round(pixel, 2))
    return volume, camera, limits, attenuates


RECIPE = Cranium()
