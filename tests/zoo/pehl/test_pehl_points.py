import numpy as np
import pytest

from tfreg.data import implants
from tfreg.geometry import Geometry
from tfreg.image import Image
from zoo.pehl.points import Candidates, candidates, filtered, ranked, spread_out, variances


def box():
    """A box of 20 x 16 x 12 mm (x, y, z) with edges of one voxel."""
    array = np.zeros((32, 32, 32))
    array[10:22, 8:24, 6:26] = 1.0
    return Image(array, Geometry.of_shape(array.shape, 1.0))


def test_edges_of_a_box_are_found_on_its_outline():
    pose = np.array([0, 0, 800.0, 0, 0, 0])
    found = candidates(box(), pose, np.random.default_rng(0), 200)
    points = found.points[found.share > 0.1]  # an edge along the view is of no one depth
    # Seen from the front: x to the right is x, y down is minus z; half of 20 and of 12 mm.
    outline = np.maximum(np.abs(points[:, 0]) - 10, np.abs(points[:, 1]) - 6)
    assert len(points) > 50 and np.abs(outline).max() < 1.5


def test_depth_is_where_the_edge_is():
    """Two thin plates at different depths: an edge is on one of them."""
    array = np.zeros((40, 40, 40))
    array[8:16, 5:7, 8:20] = 1.0  # in front, to one side
    array[22:32, 32:34, 20:34] = 1.0  # at the back, to the other
    image = Image(array, Geometry.of_shape(array.shape, 1.0))
    pose = np.array([0, 0, 800.0, 0, 0, 0])
    found = candidates(image, pose, np.random.default_rng(0), 300)
    points, share = filtered(found, 30)
    assert share == 0.9
    depth = points[:, 2]  # y of the volume, from its middle at 19.5
    np.testing.assert_allclose(np.abs(depth - np.where(points[:, 1] > 0, -14, 13)), 0, atol=2.0)


def test_a_turned_view_gives_points_of_the_same_volume():
    image = implants.knee()
    pose = np.array([0, 0, 800.0, 0, 20, -20])
    found = candidates(image, pose, np.random.default_rng(0), 100)
    reach = np.array(image.geometry.extent) / 2
    assert (np.abs(found.points) < np.array([reach[0], reach[2], reach[1]]) + 1).all()


def test_less_is_asked_for_where_few_points_are_of_one_depth():
    found = Candidates(np.arange(15.0).reshape(5, 3), np.array([0.95, 0.85, 0.72, 0.5, 0.1]))
    for least, count, share in ((1, 1, 0.9), (2, 2, 0.8), (3, 3, 0.7), (5, 4, 0.1)):
        points, asked = filtered(found, least)
        assert asked == share and len(points) == (count if least < 5 else 5)


def test_ranks_are_of_sensitivity_over_stability():
    assert ranked(np.array([1.0, 4.0, 2.0]), np.array([1.0, 1.0, 0.1])).tolist() == [2, 1, 0]


def test_regions_overlap_by_a_quarter_at_most():
    points = np.array([[0, 0, 0], [7, 0, 0], [8, 0, 0], [0, 20, 0], [6, 6, 0]], float)
    pose = np.array([0, 0, 800.0, 0, 0, 0])
    kept = spread_out(points, np.array([0, 1, 2, 3, 4]), 10.0, pose)
    assert kept.tolist() == [0, 2, 3]  # 30 and 32 % are too much, 20 % is not
    nearer = points - np.array([0, 0, 400])  # twice as large on the detector, and as far apart
    assert spread_out(nearer, np.array([0, 1, 2, 3, 4]), 10.0, pose).tolist() == [0, 1, 3, 4]


def test_variances_over_poses_and_over_offsets(rng):
    residuals = rng.normal(size=(3, 4, 2, 5))
    sensitive, stable = variances(residuals)
    for i in range(2):
        h = residuals[:, :, i]
        assert stable[i] == pytest.approx(((h - h.mean(0)) ** 2).mean())
        assert sensitive[i] == pytest.approx(((h - h.mean(1, keepdims=True)) ** 2).mean())
