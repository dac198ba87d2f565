import numpy as np
import pytest
from keras import ops as keras_ops
from scipy.ndimage import gaussian_filter

from tfreg import ops
from tfreg.ops import squaring
from tfreg.ops.splat import splat

SHAPES = [(14, 11), (9, 1), (9, 8, 11), (1, 7, 6)]


def velocity_of(rng, shape, size, batch=1, dtype="float32"):
    field = rng.normal(size=(batch, *shape, len(shape)))
    field = gaussian_filter(field, (0, *[2] * len(shape), 0))
    return (size * field / np.abs(field).max()).astype(dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.on_jax
def test_splat_is_the_transpose_of_resampling(rng, numpy, shape):
    """``<resample(f, u), g> = <f, splat(g, u)>``, with positions far outside the grid too."""
    field = 4 * rng.normal(size=(2, *shape, len(shape)))
    image, values = rng.normal(size=(2, 2, *shape, 3))
    there = (numpy(ops.resample(image, field)) * values).sum(axis=(1, 2, 3))
    back = (image * numpy(splat(values, field))).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(there, back, rtol=1e-10)


@pytest.mark.parametrize("shape", [(20, 23), (12, 14, 13)])
@pytest.mark.on_jax
def test_flow_is_the_exponential(rng, numpy, shape):
    """With seven squarings to the bit of rounding; with fewer to the error of the first step."""
    velocity = velocity_of(rng, shape, 20.0)
    assert numpy(squaring.squarings(velocity))[0] == 7
    np.testing.assert_allclose(
        numpy(ops.flow(velocity)), numpy(ops.exponential(velocity)), atol=2e-5
    )
    slow = velocity_of(rng, shape, 1.5)
    assert numpy(squaring.squarings(slow))[0] == 3
    np.testing.assert_allclose(numpy(ops.flow(slow)), numpy(ops.exponential(slow)), atol=0.03)
    np.testing.assert_array_equal(numpy(ops.flow(0 * slow)), 0)


def test_each_item_of_a_batch_has_its_own_squarings(rng, numpy):
    parts = [velocity_of(rng, (12, 15), size) for size in (0.1, 3.0, 40.0)]
    together = numpy(ops.flow(np.concatenate(parts)))
    alone = np.concatenate([numpy(ops.flow(part)) for part in parts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 9), (5, 6, 7)])
@pytest.mark.on_jax
def test_gradient_is_that_of_finite_differences(rng, numpy, shape, check_gradient):
    velocity = velocity_of(rng, shape, 2.3, batch=2, dtype="float64")
    weights = rng.normal(size=velocity.shape)
    check_gradient(lambda v: keras_ops.sum(ops.flow(v) * weights), velocity, tolerance=1e-5)


@pytest.mark.on_jax
def test_gradient_is_that_of_the_plain_squarings(rng, numpy):
    velocity, weights = velocity_of(rng, (9, 8, 10), 20.0), rng.normal(size=(1, 9, 8, 10, 3))
    weights = weights.astype("float32")
    found = [
        numpy(
            ops.value_and_gradient(
                lambda v, f=function: keras_ops.reshape(keras_ops.sum(f(v) * weights), (1,)),
                keras_ops.convert_to_tensor(velocity),
            )[1]
        )
        for function in (ops.flow, ops.exponential)
    ]
    np.testing.assert_allclose(*found, atol=1e-4 * np.abs(found[1]).max())


@pytest.mark.on_jax
def test_flow_of_minus_v_undoes_the_flow(rng, numpy):
    velocity = velocity_of(rng, (30, 34), 3.0)
    velocity[:, :4], velocity[:, -4:], velocity[:, :, :4], velocity[:, :, -4:] = 0, 0, 0, 0
    velocity = gaussian_filter(velocity, (0, 2, 2, 0))
    there, back = ops.flow(velocity), ops.flow(-velocity)
    left = np.abs(numpy(ops.compose(there, back))).max()
    assert np.abs(numpy(there)).max() > 1 and left < 0.05
    assert numpy(ops.jacobian_determinant(there)).min() > 0


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="most=0"):
        ops.flow(np.zeros((1, 4, 4, 2), "float32"), 0)
    with pytest.raises(ValueError, match=r"velocity\.shape"):
        ops.flow(np.zeros((1, 4, 4, 3), "float32"))
