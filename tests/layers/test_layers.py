import keras
import numpy as np
import pytest

from tfreg import layers, ops


def functional():
    image = keras.Input((8, 12, 1))
    control_points = keras.Input((2, 3, 2))
    displacement = layers.BSplineTransformer((4, 4), "edge")(control_points)
    moved = layers.Resampler(mode="constant", fill_value=2.0)([image, displacement])
    return keras.Model([image, control_points], moved)


@pytest.mark.compiled
def test_functional_model_equals_the_ops(rng, numpy):
    model = functional()
    assert model.output_shape == (None, 8, 12, 1)
    image = rng.normal(size=(3, 8, 12, 1)).astype("float32")
    control_points = rng.normal(size=(3, 2, 3, 2)).astype("float32")
    displacement = ops.bspline_displacement(control_points, (4, 4), "edge")
    expected = numpy(ops.resample(image, displacement, mode="constant", fill_value=2.0))
    np.testing.assert_allclose(numpy(model([image, control_points])), expected, atol=1e-6)
    np.testing.assert_allclose(
        model.predict([image, control_points], verbose=0), expected, atol=1e-6
    )


@pytest.mark.compiled
def test_model_is_saved_and_loaded(rng, tmp_path):
    model = functional()
    inputs = [
        rng.normal(size=(2, 8, 12, 1)).astype("float32"),
        rng.normal(size=(2, 2, 3, 2)).astype("float32"),
    ]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        again.predict(inputs, verbose=0), model.predict(inputs, verbose=0)
    )


@pytest.mark.compiled
def test_unknown_spatial_size(rng, numpy):
    image, displacement = keras.Input((None, None, 1)), keras.Input((None, None, 2))
    model = keras.Model([image, displacement], layers.Resampler()([image, displacement]))
    assert model.output_shape == (None, None, None, 1)
    values = rng.normal(size=(1, 5, 7, 1)).astype("float32")
    zero = np.zeros((1, 5, 7, 2), "float32")
    np.testing.assert_array_equal(numpy(model([values, zero])), values)


@pytest.mark.compiled
def test_coordinates_stay_float32_under_mixed_precision(numpy):
    layer = layers.Resampler(dtype="mixed_bfloat16")
    image = np.zeros((1, 2, 600, 1), "float32")
    image[0, :, 500] = 1
    displacement = np.zeros((1, 2, 600, 2), "float32")
    displacement[..., 1] = 0.5
    moved = numpy(layer([image, displacement]))
    assert moved[0, 0, 499, 0] == 0.5 and moved[0, 0, 500, 0] == 0.5


def test_bad_options_fail_at_construction():
    with pytest.raises(ValueError, match="cubical"):
        layers.Resampler(interpolation="cubical")
    with pytest.raises(ValueError, match="wrap"):
        layers.Resampler(mode="wrap")
    with pytest.raises(ValueError, match="spacing"):
        layers.BSplineTransformer((0, 4))
    with pytest.raises(ValueError, match="boundary"):
        layers.BSplineTransformer((4, 4), boundary="mirror")
