import keras
import numpy as np
import plain_fusion
import pytest

from tfreg import ops


@pytest.mark.on_jax
@pytest.mark.parametrize("shape", [(32, 64), (37, 50), (16, 23), (5, 9), (2, 3)])
def test_levels_are_those_written_down_plainly(rng, numpy, shape):
    image = rng.random((2, *shape, 2))
    levels = ops.highest_level(shape)
    assert 2**levels <= min(shape) < 2 ** (levels + 1)
    for found, plain in (
        (ops.gaussian_pyramid(image), plain_fusion.gaussian),
        (ops.laplacian_pyramid(image), plain_fusion.laplacian),
    ):
        expected = plain(image[1, ..., 1], levels)
        assert [level.shape[1:3] for level in found] == [level.shape for level in expected]
        for level, values in zip(found, expected, strict=True):
            np.testing.assert_allclose(numpy(level)[1, ..., 1], values, atol=1e-6)


@pytest.mark.parametrize("shape", [(64, 64), (37, 50), (255, 131), (9, 12, 7), (1, 8)])
def test_the_inverse_is_exact(rng, numpy, shape):
    image = (100 * rng.normal(size=(2, *shape, 1))).astype("float32")
    again = ops.collapse_laplacian(ops.laplacian_pyramid(image))
    np.testing.assert_allclose(numpy(again), image, atol=1e-5 * np.abs(image).max())


def test_a_constant_image_is_on_the_last_level_alone(numpy):
    *fine, last = ops.laplacian_pyramid(np.full((1, 21, 34, 1), 0.7, "float32"))
    assert all(np.abs(numpy(level)).max() < 1e-6 for level in fine)
    np.testing.assert_allclose(numpy(last), 0.7, rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "levels", "message"),
    [
        ((1, 20, 30, 1), 5, r"levels must be 1 to 4 for an image of \(20, 30\)\. .*levels=5"),
        ((1, 20, 30, 1), 0, "levels=0"),
        ((20, 30, 1), None, "2-D or 3-D"),
    ],
)
def test_bad_input_is_named(shape, levels, message):
    with pytest.raises(ValueError, match=message):
        ops.laplacian_pyramid(np.zeros(shape, "float32"), levels)


def test_levels_of_two_pyramids_are_refused(rng):
    first, second = (ops.laplacian_pyramid(rng.random((1, n, 16, 1))) for n in (16, 20))
    with pytest.raises(ValueError, match="half of the voxels"):
        ops.collapse_laplacian([second[0], *first[1:]])


@pytest.mark.on_jax
def test_gradient(rng, check_gradient):
    weights = [keras.ops.convert_to_tensor(rng.normal(size=(1, n, n, 1))) for n in (7, 4)]

    def total(image):
        levels = ops.laplacian_pyramid(image, 2)
        parts = [
            keras.ops.sum(keras.ops.cast(w, "float64") * level**2)
            for w, level in zip(weights, levels, strict=True)
        ]
        return sum(parts)

    check_gradient(total, rng.normal(size=(1, 7, 7, 1)))
