import keras
import numpy as np
import pytest

from tfreg import layers, ops


@pytest.mark.on_jax
def test_it_is_the_layer_of_keras_with_its_weights_and_gradients(rng, numpy):
    ours, plain = (
        kind(3, (3, 5), padding="same", activation="relu")
        for kind in (layers.Convolution2D, keras.layers.Conv2D)
    )
    images = keras.ops.convert_to_tensor(rng.normal(size=(2, 6, 9, 2)).astype("float32"))
    for layer in (ours, plain):
        layer.build(images.shape)
    ours.set_weights([rng.normal(size=weight.shape) for weight in ours.get_weights()])
    plain.set_weights(ours.get_weights())
    np.testing.assert_allclose(numpy(ours(images)), numpy(plain(images)), atol=1e-5)
    found, expected = (
        numpy(ops.value_and_gradient(lambda x, of=layer: of(x) ** 2, images)[1])
        for layer in (ours, plain)
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_it_is_saved_and_loaded_with_a_model(rng, tmp_path):
    layer = layers.Convolution2D(4, use_bias=False, activation="relu")
    model = keras.Sequential([keras.Input((None, None, 1)), layer])
    assert model.output_shape == (None, None, None, 4)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.layers[0]) is layers.Convolution2D
    images = rng.normal(size=(1, 7, 8, 1)).astype("float32")
    np.testing.assert_array_equal(again(images), model(images))


@pytest.mark.parametrize(
    "given", [{"strides": 2}, {"padding": "valid"}, {"dilation_rate": 2}, {"groups": 2}]
)
def test_what_it_does_not_do_is_refused(given):
    with pytest.raises(ValueError, match=f"must be 1, padding 'same'.*{next(iter(given))}"):
        layers.Convolution2D(4, **given)
