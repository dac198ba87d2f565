import numpy as np
import pytest
from scipy import ndimage

from tfreg.errors import InputError
from tfreg.features import attributes, raw_patches
from tfreg.features.principal import principal


@pytest.mark.parametrize("shape", [(33, 29), (21, 19, 23)])
def test_attributes_do_not_change_under_a_quarter_turn(rng, shape):
    image = ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
    found = attributes(image)
    assert found.shape == (*shape, 1 + 2 * (2 + len(shape))) and found.dtype == np.float32
    turned = attributes(np.rot90(image, axes=(0, 1)))
    np.testing.assert_allclose(turned, np.rot90(found, axes=(0, 1)), atol=1e-4)
    scale = found.std(axis=tuple(range(len(shape))))
    assert (scale > 1e-3).all()


def test_moments_of_a_point_are_those_of_the_window():
    image = np.zeros((25, 25, 25))
    image[12, 12, 12] = 1
    found = attributes(image, scales=(2.0,))
    away = np.array([2, -1, 3])
    place = tuple(12 + away)  # of the point seen from there
    taps = np.exp(-0.5 * (np.arange(-6, 7) / 2.0) ** 2)
    window = np.exp(-0.5 * (away @ away) / 4) / taps.sum() ** 3
    moments = window * np.outer(away, away) / 4
    assert found[(*place, 1)] == pytest.approx(window, rel=1e-4)
    assert found[(*place, 2)] == pytest.approx(np.trace(moments), rel=1e-4)
    assert found[(*place, 3)] == pytest.approx(0, abs=1e-4)  # of one direction no minor is left
    assert found[(*place, 4)] == pytest.approx(0, abs=1e-3)


def test_raw_patches_are_the_voxels_about_each(rng):
    image = rng.normal(size=(6, 7, 8)).astype("float32")
    found = raw_patches(image, 5)
    assert found.shape == (6, 7, 8, 125)
    np.testing.assert_array_equal(found[3, 3, 4], image[1:6, 1:6, 2:7].ravel())
    np.testing.assert_array_equal(found[..., 62], image)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: attributes(np.zeros(5)), "2-D or 3-D"),
        (lambda: attributes(np.zeros((5, 5), complex)), "real numbers"),
        (lambda: attributes(np.zeros((5, 5)), scales=(0,)), "scales must be positive"),
        (lambda: raw_patches(np.zeros((5, 5)), size=4), "size must be odd"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_principal_components_are_those_of_all_batches(rng):
    mixing = rng.normal(size=(6, 6))
    vectors = 100 + rng.normal(size=(500, 6)) * [5, 3, 2, 1, 0.5, 0.1] @ mixing
    found = principal([vectors[:300], vectors[300:310], vectors[310:]], 3)
    np.testing.assert_allclose(found.mean, vectors.mean(axis=0), rtol=1e-10)
    _, values, rows = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(found.variances, values[:3] ** 2 / 500, rtol=1e-8)
    np.testing.assert_allclose(np.abs((found.directions.T * rows[:3]).sum(axis=1)), 1, rtol=1e-8)
    assert (found.directions.sum(axis=0) >= 0).all()
    white = (vectors - found.mean) @ found.whitening
    np.testing.assert_allclose(white.T @ white / 500, np.eye(3), atol=1e-8)


def test_no_principal_components(rng):
    with pytest.raises(ValueError, match="1 vectors, count=2"):
        principal([rng.normal(size=(1, 4))], 2)
    with pytest.raises(ValueError, match="count=5"):
        principal([rng.normal(size=(9, 4))], 5)
