"""A part of a phantom brain for the networks that describe voxels."""

from tfreg.data import brain_volumes


def example(preset):
    """Twenty voxels an edge, where the rim is."""
    images = brain_volumes.volumes("test", "phantom").images
    return {"images": images[0, 4:24, 30:50, 26:46]}
