"""Phantom sections for the presets of ssEMnet, and where their displacements are looked at."""

import functools

from tfreg.data import damage, tissue


def example(preset):
    """A section and the next one, cut and damaged."""
    fixed, moving = _sections()
    return {
        "fixed": fixed,
        "moving": moving,
        "places": ((30, 40), (64, 75), (80, 50)),
        "refine": (0,),
        # px: a thousandth of a grey value decides which features are dropped, and where Adam goes
        # on from when the drop is halved; of some presets the map then differs by half a pixel.
        "tolerance": 0.6,
    }


@functools.cache
def _sections():
    first, second = tissue.block(2, (96, 112), seed=9).images
    return first, damage.cut(second, rms=2.0, shift=3.0, damages=("dust",), seed=4).image
