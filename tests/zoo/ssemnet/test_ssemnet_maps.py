import numpy as np
import pytest
from keras import ops as keras_ops

from zoo.ssemnet import maps


@pytest.mark.parametrize("interpolation", maps.INTERPOLATIONS)
def test_a_map_of_one_vector_is_a_translation_and_a_slope_stays_one(numpy, interpolation):
    shape = (40, 56)
    grid = maps.grid_of(shape, 16)
    assert grid == (3, 4)
    one = np.ones((2, *grid, 2), "float32") * (2, -3)
    np.testing.assert_allclose(numpy(maps.dense(one, shape, 16, interpolation))[0, 3, 5], (2, -3))
    slope = np.zeros((1, *grid, 2), "float32")
    slope[0, ..., 1] = 16 * np.arange(grid[1])
    found = numpy(maps.dense(slope, shape, 16, interpolation))[0, ..., 1]
    # Between the control points, at 7.5 and so on; at the ends the others repeat the last one.
    inner = slice(24, 40)
    expected = np.arange(56)[inner] - 7.5
    np.testing.assert_allclose(found[20, inner], expected, atol=0.05)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "thin-plate"])
def test_these_maps_pass_through_their_vectors(rng, numpy, interpolation):
    vectors = rng.normal(size=(1, 3, 4, 2)).astype("float32")
    found = numpy(maps.dense(vectors, (15, 20), 5, interpolation))
    np.testing.assert_allclose(found[:, 2::5, 2::5], vectors, atol=1e-4)


def test_bicubic_is_keys():
    """Half way between four points the weights are -1, 9, 9, -1 sixteenths."""
    weights = maps._bicubic(np.array([1.5]), 4)
    np.testing.assert_allclose(weights[0] * 16, (-1, 9, 9, -1))
    np.testing.assert_allclose(maps._bicubic(np.array([-0.7, 5.2]), 6).sum(axis=1), 1)


@pytest.mark.parametrize("interpolation", maps.INTERPOLATIONS)
def test_a_finer_map_agrees_with_the_coarse_one_at_its_points(rng, numpy, interpolation):
    vectors = keras_ops.convert_to_tensor(rng.normal(size=(2, 3, 2, 2)).astype("float32"))
    shape = (45, 30)
    coarse = numpy(maps.dense(vectors, shape, 15, interpolation))
    fine = maps.finer(vectors, shape, 15, 5, interpolation)
    assert tuple(fine.shape) == (2, 9, 6, 2)
    again = numpy(maps.dense(fine, shape, 5, interpolation))
    np.testing.assert_allclose(again[:, 2::5, 2::5], coarse[:, 2::5, 2::5], atol=2e-4)
