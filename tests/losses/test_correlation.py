import keras
import numpy as np
import pytest

from tfreg import losses, ops


@pytest.mark.parametrize("shape", [(3, 6, 9, 1), (2, 4, 5, 6, 2)])
def test_ncc_equals_numpy_per_image(rng, numpy, shape):
    fixed, moved = rng.normal(size=(2, *shape)).astype("float32")
    expected = [np.corrcoef(f.ravel(), m.ravel())[0, 1] for f, m in zip(fixed, moved, strict=True)]
    np.testing.assert_allclose(numpy(losses.ncc(fixed, moved)), expected, atol=1e-6)
    loss = float(losses.NCC()(fixed, moved))
    assert loss == pytest.approx(-np.mean(expected), abs=1e-6)


def test_ncc_ignores_linear_changes_of_intensity(rng, numpy):
    image = rng.normal(size=(2, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(numpy(losses.ncc(image, 1e3 + 7 * image)), 1, atol=1e-5)
    np.testing.assert_allclose(numpy(losses.ncc(image, 2 - 1e-3 * image)), -1, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0, 1000.3])
@pytest.mark.on_jax
def test_constant_images_give_zero_with_a_zero_gradient(rng, numpy, value):
    image = keras.ops.convert_to_tensor(rng.normal(size=(1, 8, 8, 1)).astype("float32"))
    constant = keras.ops.full((1, 8, 8, 1), value)
    values, gradient = ops.value_and_gradient(lambda m: losses.ncc(image, m), constant)
    assert abs(numpy(values)[0]) < 1e-6
    assert np.isfinite(numpy(gradient)).all()
    assert numpy(losses.ncc(constant, constant))[0] == 0


@pytest.mark.on_jax
def test_gradients(rng, check_gradient):
    fixed = keras.ops.convert_to_tensor(rng.normal(size=(2, 5, 6, 1)), "float64")
    check_gradient(lambda m: losses.ncc(fixed, m), rng.normal(size=(2, 5, 6, 1)))


@pytest.mark.on_jax
def test_half_precision_is_computed_in_float32(rng, numpy):
    image = (1000 + rng.normal(size=(1, 32, 32, 1))).astype("float16")
    assert numpy(losses.ncc(image, image)).dtype == np.float32
    assert numpy(losses.ncc(image, image))[0] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("size", [(28, 28), (31, 17)])
@pytest.mark.parametrize("value", [0.1, 1000.3, -7e4])
def test_constant_images_are_constant_whatever_the_rounding_of_their_mean(rng, numpy, size, value):
    """The mean of many equal float32 values need not be that value; the centred image is noise."""
    image = keras.ops.convert_to_tensor(rng.normal(size=(1, *size, 1)).astype("float32"))
    constant = keras.ops.full((1, *size, 1), value, dtype="float32")
    assert numpy(losses.ncc(constant, constant))[0] == 0
    values, gradient = ops.value_and_gradient(lambda m: losses.ncc(image, m), constant)
    assert numpy(values)[0] == 0 and (numpy(gradient) == 0).all()


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e6, 1e12])
def test_ncc_ignores_the_scale_of_both_images(rng, numpy, scale):
    """E.g. diffusion in m2/s (1e-9) or raw counts: units must not decide."""
    image = rng.normal(size=(1, 9, 8, 1)).astype("float32")
    scaled = image * np.float32(scale)
    np.testing.assert_allclose(numpy(losses.ncc(scaled, scaled)), 1, atol=1e-5)


@pytest.mark.on_jax
def test_a_mask_weights_the_sums(rng, numpy):
    fixed, moved = rng.normal(size=(2, 2, 4, 5, 6, 2)).astype("float32")
    mask = rng.uniform(size=(2, 4, 5, 6, 1)).astype("float32")
    expected = []
    for f, m, w in zip(fixed, moved, mask, strict=True):
        covariance = np.cov(f.ravel(), m.ravel(), aweights=np.repeat(w, 2, axis=-1).ravel())
        expected.append(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))
    np.testing.assert_allclose(numpy(losses.ncc(fixed, moved, mask)), expected, atol=1e-6)
