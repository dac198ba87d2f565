"""The object of a preset before textures, seen by its camera."""

import numpy as np

from tfreg.data import radiographs
from zoo.pehl import objects, pairs


def example(preset):
    """A start near a pose of the preset's zone; without the data of its object, the implant."""
    _, name, *zone = preset.split("-")[:4]
    zone = (0, 0) if zone[0] == "all" else tuple(int(k.replace("m", "-")) for k in zone)
    known = name != "cranium" or radiographs.available("cranium")
    thing = objects.load(name if known and name != "implant" else "phantom")
    rng = np.random.default_rng(7)
    true = objects.poses(zone, 1, rng)
    xray = pairs.synthetic(thing, true, rng)[0]
    initial = true[0] + (0.8, -0.6, 5.0, 1.5, -6.0, 5.0)
    return {"volume": thing.volume, "xray": xray, "camera": thing.camera, "initial": initial}
