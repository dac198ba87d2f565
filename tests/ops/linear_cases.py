"""The kinds of linear transforms, and what their tests share."""

import numpy as np

from tfreg.ops.linear_parameters import KINDS, linear_matrix, parameter_sizes

SHAPES = [(7, 12), (5, 9, 6)]
CASES = [
    (kind, shape) for kind in KINDS for shape in SHAPES if (kind, len(shape)) != ("projective", 3)
]


def count(kind, shape):
    return sum(parameter_sizes(kind, len(shape)).values())


def random_matrix(rng, kind, shape, batch=2, size=0.3):
    parameters = rng.normal(size=(batch, count(kind, shape)), scale=size).astype("float32")
    return linear_matrix(np.clip(parameters, -0.4, 0.4), kind, shape)


def grid(shape):
    return np.moveaxis(np.indices(shape), 0, -1).astype("float32")


def itk_points(transform, shape):
    """Where an ITK transform takes every voxel of a unit grid; x, y, z are the axes reversed."""
    points = grid(shape).reshape(-1, len(shape))
    moved = [transform.TransformPoint([float(v) for v in p[::-1]])[::-1] for p in points]
    return np.array(moved).reshape(*shape, len(shape))
