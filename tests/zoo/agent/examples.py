"""A phantom for the presets of the agent, and where their displacements are looked at."""

import functools

import numpy as np


def example(preset):
    """Balls of tissue, and the same ones shifted, in voxels of any size."""
    fixed, moving = _balls()
    return {
        "fixed": fixed,
        "moving": moving,
        "places": ((8, 10, 9), (14, 16, 12), (20, 9, 15)),
        "refine": (0, 20),
        # voxels: a network that is led by a rounding takes another step of up to 4 mm.
        "tolerance": 1.2,
    }


@functools.cache
def _balls():
    rng = np.random.default_rng(5)
    shape = (26, 28, 24)
    grid = np.moveaxis(np.indices(shape, dtype="float64"), 0, -1)
    places, widths = rng.uniform(6, 18, (6, 3)), rng.uniform(2, 4, 6)
    return tuple(
        sum(
            np.exp(-(((grid - place - shift) / width) ** 2).sum(axis=-1) / 2)
            for place, width in zip(places, widths, strict=True)
        ).astype("float32")
        for shift in (np.zeros(3), np.array([1.0, -2.0, 1.5]))
    )
