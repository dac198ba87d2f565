"""The phantom before textures, seen by the camera of a preset's object: in need of no data."""

from dataclasses import replace

import numpy as np

from tfreg.data import implants
from tfreg.image import Image
from zoo.pehl import objects, pairs


def example(preset):
    """A start near a pose of the preset's zone; for a network that takes a CT, in HU."""
    _, name, *zone = preset.split("-")[:4]
    zone = (0, 0) if zone[0] == "all" else tuple(int(k.replace("m", "-")) for k in zone)
    thing = objects.load("phantom")
    if name == "cranium":
        hounsfield = -1000 + 3000 * thing.volume.array / implants.METAL
        bone = Image(hounsfield, thing.volume.geometry)  # before X-rays it stays the implant
        thing = replace(thing, volume=bone, attenuates=False)
    rng = np.random.default_rng(7)
    true = objects.poses(zone, 1, rng)
    xray = pairs.synthetic(thing, true, rng)[0]
    initial = true[0] + (0.8, -0.6, 5.0, 1.5, -6.0, 5.0)
    return {"volume": thing.volume, "xray": xray, "camera": thing.camera, "initial": initial}
