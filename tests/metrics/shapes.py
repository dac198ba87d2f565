"""Masks and maps that the tests of the metrics measure."""

import numpy as np

SPACING = (0.5, 2.0, 3.0)
MATRIX = np.array([[0.02, 0.05, -0.03], [-0.04, 0.01, 0.02], [0.03, -0.02, 0.04]])
OFFSET = np.array([0.7, -0.4, 1.2])


def box(shape, *bounds):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*bound) for bound in bounds)] = True
    return mask


def ellipsoid(shape, centre, radii, spacing=(1, 1, 1)):
    grid = np.moveaxis(np.indices(shape), 0, -1) * spacing
    return (((grid - centre) / radii) ** 2).sum(-1) <= 1


def affine(shape, matrix, offset):
    """Displacement of x -> x + matrix x + offset."""
    return np.moveaxis(np.indices(shape), 0, -1) @ np.transpose(matrix) + offset
