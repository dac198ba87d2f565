import numpy as np
import pytest

from tfreg import metrics
from tfreg.geometry import Geometry

GRID = Geometry((5, 4, 3), (1.0, 2.0, 3.0), (10.0, 20.0, 30.0), np.eye(3))


def test_corners():
    found = metrics.corners_of(GRID)
    assert {tuple(point) for point in found} == {
        (x, y, z) for x in (10, 14) for y in (20, 26) for z in (30, 36)
    }


def test_corners_of_what_is_inside():
    inside = np.zeros(GRID.shape)
    inside[1, 1:3, 2:5] = 1
    found = metrics.corners_of(GRID, inside)
    assert {tuple(point) for point in found} == {(x, y, 33) for x in (12, 14) for y in (22, 24)}
    with pytest.raises(ValueError, match="not 0 somewhere"):
        metrics.corners_of(GRID, 0 * inside)


def test_error_is_parallel_to_the_detector():
    targets, centre = metrics.corners_of(GRID), GRID.centre
    true = (0, 0, 800, 0, 0, 0)
    measure = metrics.projected_tre
    assert measure((3, 4, 850, 0, 0, 0), true, targets, centre) == pytest.approx(5)
    # An in-plane turn moves each corner, sqrt(2^2 + 3^2) from the centre in the image.
    turned = measure((0, 0, 800, 60, 0, 0), true, targets, centre)
    assert turned == pytest.approx(np.hypot(2, 3))  # 60 degrees: the chord is the radius
    # A half turn about the patient's long axis mirrors left and right: 2 x 2 mm.
    assert measure((0, 0, 800, 0, 0, 180), true, targets, centre) == pytest.approx(4)


def test_spread_of_answers(rng):
    targets, centre = metrics.corners_of(GRID), GRID.centre
    poses = np.tile([0, 0, 800.0, 0, 0, 0], (4, 1))
    poses[:, :2] = [[1, 1], [1, -1], [-1, 1], [-1, -1]]
    assert metrics.projected_spread(poses, targets, centre) == pytest.approx(np.sqrt(2))
    assert metrics.projected_spread(poses[:1], targets, centre) == 0


def test_bad_targets_are_named():
    with pytest.raises(ValueError, match=r"targets must be \(n, 3\)"):
        metrics.projected_tre((0,) * 6, (0,) * 6, [1, 2, 3], (0, 0, 0))
