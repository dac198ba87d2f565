"""Pairs of phantoms for the momentum networks, and where their displacements are looked at."""

from tfreg.data import brain_slices, hippocampus


def example(preset):
    """A pair like those that the network is for; volumes are not refined, which takes seconds."""
    if "hippocampus" in preset:
        fixed, moving = hippocampus.subjects("test", "phantom").images[:2]
        places, refine = ((20, 30, 22), (24, 40, 26), (28, 22, 20)), (0,)
    else:
        fixed, moving = brain_slices.slices("test", "phantom").images[[3, 8]]
        places, refine = ((40, 64), (64, 50), (90, 80)), (0, 5)
    return {"fixed": fixed, "moving": moving, "places": places, "refine": refine}
