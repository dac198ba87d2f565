import numpy as np
from shapes import MATRIX, OFFSET, SPACING, affine

from tfreg import metrics


def test_points_under_an_affine_field(rng):
    measure = metrics.target_registration_error
    shape = (9, 11, 8)
    u = affine(shape, MATRIX, OFFSET)
    fixed = rng.random((20, 3)) * (np.array(shape) - 1)
    fixed[0] = np.array(shape) - 1  # the last voxel belongs to the grid
    reached = fixed + fixed @ MATRIX.T + OFFSET
    assert np.allclose(measure(fixed, reached, u, SPACING), 0, atol=1e-9)
    miss = rng.standard_normal((20, 3))
    expected = np.sqrt((miss**2 * np.square(SPACING)).sum(1))
    assert np.allclose(measure(fixed, reached + miss, u, SPACING), expected)


def test_snapping_takes_the_nearest_voxel():
    u = np.full((5, 5, 2), (0.4, -0.6))
    points = np.array([[1.0, 3.0], [2.0, 2.0], [1.2, 3.9]])
    moving = np.array([[1.0, 2.0], [2.0, 2.0], [2.0, 3.0]])
    found = metrics.target_registration_error(points, moving, u, (3.0, 2.0), snap_to_voxel=True)
    assert found.tolist() == [0.0, 2.0, 0.0]
    halves = np.full((5, 5, 2), 0.5)
    found = metrics.target_registration_error([[1, 2]], [[2, 3]], halves, snap_to_voxel=True)
    assert found.tolist() == [0.0]


def test_no_points_no_errors():
    none = np.zeros((0, 2))
    assert metrics.target_registration_error(none, none, np.zeros((3, 3, 2))).shape == (0,)
