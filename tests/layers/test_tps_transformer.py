import keras
import numpy as np
import pytest

from tfreg import layers
from tfreg.layers.tps_transformer import TPSTransformer
from tfreg.ops.tps_layout import control_point_grid, tps_layout_displacement


def functional():
    image = keras.Input((12, 20, 1))
    control_points = keras.Input((3, 4, 2))
    displacement = TPSTransformer((12, 20), "corners", 0.1)(control_points)
    moved = layers.Resampler()([image, displacement])
    return keras.Model([image, control_points], moved)


@pytest.mark.compiled
def test_functional_model_is_saved_and_loaded(rng, tmp_path):
    model = functional()
    assert model.output_shape == (None, 12, 20, 1)
    inputs = [
        rng.normal(size=(3, 12, 20, 1)).astype("float32"),
        rng.normal(size=(3, 3, 4, 2)).astype("float32"),
    ]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        again.predict(inputs, verbose=0), model.predict(inputs, verbose=0)
    )


def test_zero_is_the_identity(rng, numpy):
    model = functional()
    image = rng.normal(size=(2, 12, 20, 1)).astype("float32")
    zeros = np.zeros((2, 3, 4, 2), "float32")
    np.testing.assert_allclose(model.predict([image, zeros], verbose=0), image, atol=1e-6)
    assert np.all(numpy(TPSTransformer((12, 20))(zeros)) == 0)


@pytest.mark.parametrize("placement", ["cells", "corners"])
@pytest.mark.parametrize(("shape", "grid"), [((12, 20), (3, 4)), ((6, 9, 8), (2, 3, 4))])
def test_layer_is_the_op(rng, numpy, placement, shape, grid):
    values = rng.normal(size=(2, *grid, len(shape))).astype("float32")
    control = control_point_grid(shape, grid, placement)
    np.testing.assert_array_equal(
        numpy(TPSTransformer(shape, placement)(values)),
        numpy(tps_layout_displacement(values, control, shape)),
    )


def test_control_points_move_as_told(rng, numpy):
    values = rng.normal(size=(1, 4, 4, 2)).astype("float32")
    u = numpy(TPSTransformer((16, 31), "corners")(values))
    np.testing.assert_allclose(u[:, ::5, ::10], values, atol=1e-5)


@pytest.mark.compiled
def test_a_training_step_moves_the_control_points():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    values = keras.layers.Dense(32, kernel_initializer="zeros")(inputs)
    values = keras.layers.Reshape((4, 4, 2))(values)
    model = keras.Model(inputs, TPSTransformer((16, 24))(values))
    model.compile(keras.optimizers.Adam(0.05), "mse")
    x = np.ones((8, 4), "float32")
    y = np.tile(np.array([1.5, -0.5], "float32"), (8, 16, 24, 1))
    first = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=40, verbose=0)
    assert model.evaluate(x, y, verbose=0) < 0.05 * first


def test_config_round_trip():
    layer = TPSTransformer((5, 9), "corners", 0.5, name="bend")
    assert TPSTransformer.from_config(layer.get_config()).get_config() == layer.get_config()


def test_stays_float32_under_mixed_precision(numpy):
    u = TPSTransformer((8, 8), dtype="mixed_bfloat16")(np.full((1, 2, 2, 2), 1.001, "float32"))
    assert numpy(u).dtype == np.float32
    np.testing.assert_allclose(numpy(u), 1.001, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (8, 8), "placement": "centre"}, "placement=centre"),
        ({"shape": (8, 8), "regularisation": -1}, "regularisation=-1"),
        ({"shape": (8,)}, r"\(8,\)"),
    ],
)
def test_bad_options_fail_at_construction(options, message):
    with pytest.raises(ValueError, match=message):
        TPSTransformer(**options)


def test_a_grid_that_does_not_fit_fails_when_built():
    with pytest.raises(ValueError, match="grid"):
        TPSTransformer((8, 8))(np.zeros((1, 4, 9, 2), "float32"))
    with pytest.raises(ValueError, match="grid"):
        TPSTransformer((8, 8))(np.zeros((1, 4, 4, 3), "float32"))
