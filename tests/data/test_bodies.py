import numpy as np
import pytest
from scipy import ndimage

from tfreg.data import bodies


def at(image, points):
    return ndimage.map_coordinates(image, points.T, order=1)


@pytest.mark.parametrize(
    ("pairs", "label"),
    [(bodies.hearts(3, seed=2), 2), (bodies.lungs(2, seed=2, shape=(40, 48, 36)), 1)],
    ids=["hearts", "lungs"],
)
def test_corresponding_points_show_the_same_tissue(pairs, label):
    for index in range(len(pairs.fixed)):
        p, q = pairs.fixed_points[index], pairs.moving_points[index]
        assert np.linalg.norm(p - q, axis=-1).mean() > 1
        for image, points in ((pairs.fixed_labels, p), (pairs.moving_labels, q)):
            places = tuple(np.round(points).astype(int).T)
            assert (image[index][places] == label).mean() > 0.95
        right = at(pairs.fixed[index], p) - at(pairs.moving[index], q)
        wrong = at(pairs.fixed[index], p) - at(pairs.moving[index], p)
        assert np.abs(right).mean() < 0.05 and np.abs(right).mean() < 0.5 * np.abs(wrong).mean()


def test_seeds_decide():
    one, same, other = (bodies.hearts(1, seed=s, size=48) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.moving, same.moving)
    assert np.abs(one.fixed - other.fixed).max() > 0.1
