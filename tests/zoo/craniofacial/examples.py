"""The volume of a preset under a deformation, seen by its camera."""

import numpy as np

from tfreg.data import radiographs
from zoo.craniofacial.images import images_of
from zoo.craniofacial.train_cranium import LATERAL, thing


def example(preset):
    """A lateral X-ray; without the data of the cranium, of noise in its shape."""
    import zoo

    model = zoo.load(preset, task="pose")
    real = preset != "craniofacial-cranium" or radiographs.available("cranium")
    volume, camera, *_ = thing(preset.removeprefix("craniofacial-") if real else "phantom")
    if not real:
        from tfreg.geometry import Geometry
        from tfreg.image import Image

        known = model.subspace
        index = np.moveaxis(np.indices(known.shape), 0, -1) - np.array(known.shape) / 2
        shell = np.abs(np.linalg.norm(index / np.array(known.shape), axis=-1) - 0.35) < 0.05
        grid = Geometry.of_shape(known.shape, known.spacing)
        volume = Image(np.where(shell, 1000.0, -1000.0), grid)
    scene = model.scene(volume, camera, LATERAL)
    true = np.linspace(-1, 1, len(model.subspace.control), dtype="float32")[None]
    xray = images_of(scene, true, "siddon")[0]
    return {"volume": volume, "xray": xray, "camera": camera, "initial": LATERAL}
