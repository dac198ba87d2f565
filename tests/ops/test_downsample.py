import keras
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tfreg import ops


@pytest.mark.parametrize(("shape", "factors"), [((12, 15), (2, 3)), ((8, 9, 6), (2, 1, 3))])
def test_weights_are_a_gaussian_at_the_centre_of_each_block(rng, numpy, shape, factors):
    image = rng.normal(size=(2, *shape, 2)).astype("float32")
    expected = image.astype("float64")
    for axis, (size, factor) in enumerate(zip(shape, factors, strict=True)):
        if factor == 1:
            continue
        rows = []
        for j in range(-(-size // factor)):
            distance = (np.arange(size) - ((j + 0.5) * factor - 0.5)) / (factor / 2)
            weights = np.exp(-(distance**2) / 2) * (np.abs(distance) <= 4)
            weights /= weights.sum()
            rows.append(np.tensordot(weights, expected, (0, 1 + axis)))
        expected = np.stack(rows, axis=1 + axis)
    found = numpy(ops.downsample(image, factors))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_would_alias_is_gone(numpy):
    """A wave of two voxels per period: every second voxel alone would show a constant 1."""
    wave = np.cos(np.pi * np.arange(64)).astype("float32")
    image = np.broadcast_to(wave[None, :, None, None], (1, 64, 8, 1))
    found = numpy(ops.downsample(image, (2, 1)))
    assert np.abs(image[:, ::2]).min() == 1 and np.abs(found[:, 2:-2]).max() < 0.01


def test_a_ramp_keeps_its_place(numpy):
    ramp = np.broadcast_to(np.arange(24.0)[None, :, None, None], (1, 24, 6, 1)).astype("float32")
    found = numpy(ops.downsample(ramp, (3, 1)))[0, :, 0, 0]
    np.testing.assert_allclose(found[2:-2], (np.arange(8) * 3 + 1)[2:-2], atol=1e-4)


def test_close_to_scipy_in_the_middle(rng, numpy):
    image = rng.normal(size=(1, 45, 45, 1)).astype("float32")
    smooth = gaussian_filter(image[0, ..., 0].astype("float64"), 1.5, truncate=4, mode="nearest")
    found = numpy(ops.downsample(image, (3, 3)))[0, ..., 0]
    np.testing.assert_allclose(found[3:-3, 3:-3], smooth[1::3, 1::3][3:-3, 3:-3], atol=1e-3)


def test_partial_blocks_and_factor_one(rng, numpy):
    image = rng.normal(size=(1, 7, 5, 1)).astype("float32")
    np.testing.assert_array_equal(numpy(ops.downsample(image, (1, 1))), image)
    assert numpy(ops.downsample(image, (2, 2))).shape == (1, 4, 3, 1)
    flat = numpy(ops.downsample(np.ones_like(image), (4, 3)))
    np.testing.assert_allclose(flat, 1, atol=1e-6)


@pytest.mark.on_jax
def test_gradient(rng, check_gradient):
    weights = keras.ops.convert_to_tensor(rng.normal(size=(1, 3, 3, 1)), "float64")
    check_gradient(
        lambda i: weights * ops.downsample(i, (2, 3)) ** 2, rng.normal(size=(1, 5, 7, 1))
    )


@pytest.mark.parametrize(
    ("shape", "factors"), [((1, 4, 4, 1), (2,)), ((1, 4, 4, 1), (0, 2)), ((4, 4, 1), (2, 2))]
)
def test_bad_input_is_named(shape, factors):
    with pytest.raises(ValueError, match="Received"):
        ops.downsample(np.zeros(shape, "float32"), factors)


@pytest.mark.on_jax
def test_smooth_is_scipys_gaussian_normalised_at_the_border(rng, numpy):
    image = rng.random((2, 9, 20, 13, 2)).astype("float32")
    sigma = (1.3, 0.0, 2.0)

    def gaussian(values):
        axes = (0, *sigma, 0)
        return gaussian_filter(values, axes, mode="constant", truncate=4.0)

    expected = gaussian(image) / gaussian(np.ones_like(image))
    # SciPy cuts its kernel at whole voxels, so the tails differ by what lies there.
    np.testing.assert_allclose(numpy(ops.smooth(image, sigma)), expected, atol=2e-4)
    np.testing.assert_allclose(numpy(ops.smooth(np.full((1, 5, 6, 1), 3.0), (2.0, 1.0))), 3.0)
    with pytest.raises(ValueError, match="sigma"):
        ops.smooth(image, (1.0, 1.0))
