import numpy as np
import pytest
from keras import ops

from tfreg import losses
from tfreg.errors import InputError
from tfreg.registration import Level, Pyramid, register
from tfreg.registration.instance.similarity import quick_ncc


@pytest.mark.parametrize("shape", [(3, 40, 30, 1), (2, 20, 18, 16, 1), (2, 16, 12, 3)])
@pytest.mark.parametrize("masked", [False, True])
def test_quick_ncc_is_ncc(rng, numpy, shape, masked):
    fixed, noise = (rng.random((2, *shape)) - 0.5).astype("float32")
    moved = (0.1 + 0.2 * fixed + 0.05 * noise).astype("float32")
    mask = rng.random((*shape[:-1], 1)).astype("float32") if masked else None
    found, expected = (numpy(f(fixed, moved, mask=mask)) for f in (quick_ncc, losses.ncc))
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert (expected > 0.5).all()


def test_gradient(rng, check_gradient):
    fixed = rng.random((2, 6, 7, 1))
    check_gradient(lambda moved: quick_ncc(fixed, moved), rng.random((2, 6, 7, 1)))


def test_a_constant_image_gives_zero(rng, numpy):
    fixed = (rng.random((1, 8, 8, 1)) - 0.5).astype("float32")
    np.testing.assert_allclose(numpy(quick_ncc(fixed, 0 * fixed + 0.2)), 0, atol=1e-3)


@pytest.mark.parametrize("similarity", ["ncc", "mi"])
def test_a_hot_voxel_does_not_decide_the_range(hearts, one_level, similarity):
    hot = hearts.fixed.copy()
    hot[:, 2, 3] = 50 * hot.max()
    options = {"pyramid": one_level, "similarity": similarity, "ndim": 2}
    found, expected = (
        register(fixed, hearts.moving, **options).displacement for fixed in (hot, hearts.fixed)
    )
    assert np.abs(found - expected).mean() < 0.1 < np.abs(expected).mean()


# Similarities and regularisers of one's own, and images with channels


def nearness(fixed, moved, mask):
    return -losses.mse(fixed, moved, mask)


def features(images):
    """Intensities and their slopes, ``(batch, *spatial, 3)``."""
    return np.stack([images, *np.gradient(images, axis=(1, 2))], axis=-1).astype("float32")


def error(answer, hearts):
    off = answer.warp_points(hearts.fixed_points) - hearts.moving_points
    return np.linalg.norm(off, axis=-1).mean()


@pytest.mark.on_jax
def test_a_similarity_of_ones_own_sees_what_it_is_given(hearts, one_level):
    images = (side - side.min() for side in (hearts.fixed, hearts.moving))
    images = [image / max(hearts.fixed.max(), hearts.moving.max()) for image in images]
    options = {"pyramid": one_level, "ndim": 2}
    seen = []

    def own(fixed, moved, mask):
        seen.append((tuple(fixed.shape), mask))
        return nearness(fixed, moved, mask)

    answer = register(*images, similarity=own, **options)
    assert answer.similarity == "own" and {*seen} == {((3, 64, 64, 1), None)}
    expected = -np.square(images[0] - answer.moved).mean(axis=(1, 2))
    np.testing.assert_allclose(answer.similarity_after, expected, rtol=1e-4)
    traced = len(seen)
    again = register(*images, similarity=own, **options)
    assert again.compile_seconds == 0 and len(seen) == traced
    tenfold = register(*(10 * image for image in images), similarity=own, **options)
    np.testing.assert_allclose(tenfold.similarity_before, 100 * answer.similarity_before, rtol=1e-3)


@pytest.mark.parametrize(
    "similarity",
    [nearness, "ncc", *(pytest.param(name, marks=pytest.mark.long) for name in ("lncc", "ngf"))],
)
def test_feature_maps_are_registered(hearts, two_levels, similarity):
    given = features(hearts.fixed), features(hearts.moving)
    answer = register(*given, similarity=similarity, pyramid=two_levels, ndim=2, channels=True)
    before = np.linalg.norm(hearts.fixed_points - hearts.moving_points, axis=-1).mean()
    assert error(answer, hearts) < 0.75 * before
    assert answer.moved.shape == (3, 64, 64, 3) and answer.displacement.shape == (3, 64, 64, 2)
    assert 0 <= answer.check().outside < 20
    alone = register(
        *(side[1] for side in given), similarity=similarity, pyramid=two_levels, channels=True
    )
    assert alone.moved.shape == (64, 64, 3)
    np.testing.assert_allclose(alone.displacement, answer.displacement[1], atol=0.03)


def test_a_channel_twice_is_no_other_image(hearts, one_level):
    mask = np.zeros((64, 64))
    mask[10:50, 8:60] = 1
    options = {"pyramid": one_level, "fixed_mask": mask}
    one = register(hearts.fixed[0], hearts.moving[0], **options)
    sides = (np.stack([side[0]] * 2, axis=-1) for side in (hearts.fixed, hearts.moving))
    two = register(*sides, channels=True, **options)
    assert two.similarity_after == pytest.approx(one.similarity_after, abs=1e-4)
    np.testing.assert_allclose(two.displacement, one.displacement, atol=0.05)


def test_a_regulariser_of_ones_own_sees_the_whole_displacement(hearts):
    def size(displacement):
        return ops.mean(displacement**2, axis=(1, 2, 3))

    start = np.broadcast_to(np.float32((0, 2)), (64, 64, 2))
    left = []
    for weight in (0.0, 100.0):
        levels = Pyramid((Level(grid_spacing=8, steps=40, weight=weight),))
        pair = hearts.fixed[0], hearts.moving[0]
        answer = register(*pair, regulariser=size, pyramid=levels, start=start)
        left.append(np.square(answer.displacement).mean())
    assert left[1] < 0.05 * left[0]  # what it started from is taken back too


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similarity": [nearness]}, "or a function"),
        ({"similarity": nearness, "samples": 100}, "from samples. Received: similarity=nearness"),
        ({"regulariser": 3}, "regulariser must be bending, diffusion, a function"),
        ({"confine": 1}, "confine must be True or False"),
    ],
)
def test_what_is_no_function(options, message):
    with pytest.raises(InputError, match=message):
        register(np.eye(8), np.eye(8), **options)
