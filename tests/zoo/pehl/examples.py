"""The phantom before textures, seen by the camera of a preset's object: in need of no data."""

from dataclasses import replace

import numpy as np

from tfreg.data import implants
from tfreg.geometry import Geometry
from tfreg.image import Image
from zoo import describe
from zoo.pehl import objects, pairs

# Of the configuration, what differs from zone to zone where the network is the same.
CONTENT = ("zone", "points", "width")


def example(preset):
    """A start near a pose of the preset's zone, on its grid; for one that takes a CT, in HU."""
    known = describe(preset)
    size, spacing = (known.preprocessing.get(name) for name in ("size", "spacing"))
    spacing = np.array(spacing or (implants.SPACING,) * 3)[::-1]
    origin = -(np.array(size[::-1]) - 1) * spacing / 2
    grid = Geometry(tuple(size[::-1]), tuple(spacing), tuple(origin), np.eye(3))
    thing = objects.load("phantom")
    volume = thing.volume.resample(grid, fill=0.0)
    strange = not known.architecture["config"]["attenuates"]
    if strange:  # before X-rays it stays the implant
        volume = Image(-1000 + 3000 * volume.array / implants.METAL, grid)
    thing = replace(thing, volume=volume)
    zone = known.architecture["config"]["zone"]
    rng = np.random.default_rng(7)
    true = objects.poses(tuple(zone) if zone else (0, 0), 1, rng)
    xray = pairs.synthetic(thing, true, rng)[0]
    initial = true[0] + (0.8, -0.6, 5.0, 1.5, -6.0, 5.0)
    found = {"volume": volume, "xray": xray, "camera": thing.camera, "initial": initial}
    if not strange:
        return found
    # What it never saw it does not find, and from step to step roundings grow to millimetres.
    return found | {"iterations": 1}
