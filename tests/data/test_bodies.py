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


def test_the_tissue_of_a_beating_heart_is_followed_between_any_two_frames():
    hearts = bodies.beating_hearts(2, frames=8, seed=4, size=96)
    assert hearts.systole == 3 and hearts.images.dtype == np.float32
    grid = np.moveaxis(np.indices((96, 96)), 0, -1).astype(float)
    for heart, fixed, moving in ((0, 0, 3), (1, 3, 0), (0, 2, 6)):
        u = hearts.displacement(heart, fixed, moving)
        there = np.moveaxis(grid + u, -1, 0)
        label = hearts.labels[heart]
        moved = ndimage.map_coordinates(label[moving], there, order=0)
        seen = label[fixed] > 0
        assert (
            (moved == label[fixed])[seen].mean()
            > 0.95
            > (label[moving] == label[fixed])[seen].mean()
        )
        image = hearts.images[heart]
        after = ndimage.map_coordinates(image[moving], there, order=1) - image[fixed]
        before = image[moving] - image[fixed]
        assert np.abs(after)[seen].mean() < 0.4 * np.abs(before)[seen].mean()
        back = hearts.displacement(heart, moving, fixed)
        points = there.reshape(2, -1).T
        there_and_back = u + np.stack([at(back[..., k], points) for k in (0, 1)], -1).reshape(
            u.shape
        )
        assert np.abs(there_and_back[8:-8, 8:-8]).max() < 0.05
    assert np.abs(hearts.displacement(0, 5, 5)).max() < 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_a_beating_heart_contracts_until_systole_and_rests_at_the_border(seed):
    hearts = bodies.beating_hearts(1, frames=4, seed=seed)
    cavity = (hearts.labels[0] == 3).sum(axis=(1, 2))
    assert cavity.argmin() == hearts.systole and cavity.argmax() == 0
    u = hearts.displacement(0, 0, hearts.systole)
    border = np.concatenate([u[0], u[-1], u[:, 0], u[:, -1]])
    assert np.abs(border).max() < 1e-6 and np.abs(u).max() > 3
    jacobian = np.stack(np.gradient(u, axis=(0, 1)), axis=-1) + np.eye(2)
    assert np.linalg.det(jacobian).min() > 0.2


@pytest.mark.parametrize("options", [{"count": 0}, {"frames": 3}, {"size": 8}])
def test_a_bad_sequence_is_named(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        bodies.beating_hearts(**{"count": 1, **options})
