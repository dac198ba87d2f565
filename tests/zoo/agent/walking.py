"""A network that needs no training: it sees where two blobs are, and steps towards it."""

import numpy as np
from keras import ops


class Follower:
    """Values the translations that bring the centre of mass of the moved image to the fixed one's.

    Args:
        spacing: mm between the voxels of what is seen.
    """

    def __init__(self, spacing):
        self.spacing = spacing
        self.variables = []

    def __call__(self, seen, training=None):
        apart = self._centre(seen[..., 1]) - self._centre(seen[..., 0])
        values = ops.stack([-apart, apart], axis=-1)
        values = ops.reshape(values, (-1, 6))
        return ops.concatenate([values, ops.zeros_like(values) - 1e3], axis=-1)

    def _centre(self, images):
        total = ops.sum(images, axis=(1, 2, 3)) + 1e-6
        found = []
        for axis in range(3):
            shape = [1, 1, 1, 1]
            shape[axis + 1] = images.shape[axis + 1]
            index = np.arange(images.shape[axis + 1], dtype="float32").reshape(shape)
            found.append(ops.sum(images * index, axis=(1, 2, 3)) / total)
        return self.spacing * ops.stack(found, axis=-1)


def blob(shape, place, spacing=(1.0, 1.0, 1.0), width=12.0):
    """A ball at a place in voxels; ``width`` in mm."""
    grid = np.moveaxis(np.indices(shape, dtype="float64"), 0, -1)
    square = (((grid - place) * spacing) ** 2).sum(axis=-1)
    return np.exp(-square / (2 * width**2)).astype("float32")


def followed(model, spacing):
    """The model with this network in the place of its first one."""
    model.build()
    model.networks = [Follower(spacing)]
    return model
