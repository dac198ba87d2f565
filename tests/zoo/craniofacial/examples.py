"""A shell in the place of a preset's volume, under a deformation: in need of no data."""

import numpy as np

from tfreg.geometry import Geometry
from tfreg.image import Image
from zoo.craniofacial.images import images_of


def example(preset):
    """A lateral X-ray of the shell, by the camera of the preset."""
    import zoo

    model = zoo.load(preset, task="pose")
    shape = np.array(model.subspace.shape)
    index = np.moveaxis(np.indices(shape), 0, -1) - shape / 2
    shell = np.abs(np.linalg.norm(index / shape, axis=-1) - 0.35) < 0.05
    air, bone = model.intensity_range if model.attenuates else (-1000.0, 1000.0)
    grid = Geometry.of_shape(tuple(shape.tolist()), model.subspace.spacing)
    volume = Image(np.where(shell, bone, air), grid)
    true = np.linspace(-1, 1, len(model.subspace.control), dtype="float32")[None]
    xray = images_of(model.scene(volume), true, "siddon")[0]
    return {
        "volume": volume,
        "xray": xray,
        "camera": model.camera,
        "initial": np.array(model.view),
    }
