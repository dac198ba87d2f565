"""Phantom pairs for the presets of DLIR, and where their displacements are looked at."""

import functools

from tfreg.data import breathing, hippocampus, phantoms, ventricles


def example(preset):
    """A pair like those that the network is for; volumes are not refined, which takes seconds."""
    makers = {
        "dlir-mnist": _digits,
        "dlir-cine": _stacks,
        "dlir-hippocampus": _hippocampi,
        "dlir-chest-ct": _breath,
    }
    # Trainings of one recipe have names that begin with its own.
    (maker,) = (make for name, make in makers.items() if preset.startswith(name))
    fixed, moving, places = maker()
    refine = (0, 10) if fixed.ndim == 2 else (0,)
    return {"fixed": fixed, "moving": moving, "places": places, "refine": refine}


def _digits():
    images = phantoms.digits(20, seed=5).images
    return images[4], images[14], ((9, 14), (14, 12), (20, 15))


@functools.cache
def _stacks():
    stacks = ventricles.beating_stacks(1, seed=9)
    return stacks.diastole[0], stacks.systole[0], ((3, 58, 60), (6, 64, 75), (8, 76, 66))


@functools.cache
def _hippocampi():
    fixed, moving = hippocampus.subjects("test", "phantom").images[:2]
    return fixed, moving, ((20, 30, 22), (24, 40, 26), (28, 22, 20))


@functools.cache
def _breath():
    breath = breathing.make("validation", shape=(48, 56, 56), spacing=(5.0, 5.0, 5.0))
    extent = breathing.HIGHEST - breathing.LOWEST
    fixed, moving = (breathing.LOWEST + extent * i for i in (breath.fixed, breath.moving))  # HU
    return fixed, moving, ((20, 24, 16), (28, 30, 40), (36, 28, 18))
