import keras
import numpy as np
import pytest

from tfreg import layers, ops


@pytest.mark.compiled
def test_layer_is_the_op_in_a_saved_functional_model(rng, numpy, tmp_path):
    velocity = keras.Input((9, 12, 2))
    model = keras.Model(velocity, layers.VelocityTransformer(squarings=5)(velocity))
    assert model.output_shape == (None, 9, 12, 2)
    values = rng.normal(size=(2, 9, 12, 2)).astype("float32")
    expected = numpy(ops.exponential(values, 5))
    np.testing.assert_allclose(model.predict(values, verbose=0), expected, atol=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(values, verbose=0), expected, atol=1e-5)


def test_stays_float32_under_mixed_precision(numpy):
    """Half precision cannot hold a quarter voxel at 600."""
    layer = layers.VelocityTransformer(dtype="mixed_bfloat16")
    found = numpy(layer(np.full((1, 4, 4, 2), 600.25, "float32")))
    assert found.dtype == np.float32 and (found == 600.25).all()


@pytest.mark.compiled
def test_symbolic_size():
    velocity = keras.Input((None, None, None, 3))
    assert layers.VelocityTransformer()(velocity).shape == (None, None, None, None, 3)


@pytest.mark.parametrize("squarings", [-1, 2.5])
def test_bad_options_fail_at_construction(squarings):
    with pytest.raises(ValueError, match=f"squarings={squarings}"):
        layers.VelocityTransformer(squarings)
