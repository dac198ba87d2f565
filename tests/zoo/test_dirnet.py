import keras
import numpy as np
import pytest

from zoo.dirnet.model import DIRNet

pytestmark = pytest.mark.on_jax


def inputs(rng, size, batch=2):
    return {k: rng.random((batch, size, size, 1)).astype("float32") for k in ("fixed", "moving")}


def parameters_of(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def test_baseline_has_the_papers_size(rng):
    model = DIRNet(poolings=4)
    answer = model(inputs(rng, 256, 1))
    assert tuple(answer["parameters"].shape) == (1, 16, 16, 2)
    assert tuple(answer["displacement"].shape) == (1, 256, 256, 2)
    assert parameters_of(model) == 12_610


def test_mnist_network_has_a_grid_of_seven(rng):
    model = DIRNet(poolings=2)
    assert tuple(model(inputs(rng, 28))["parameters"].shape) == (2, 7, 7, 2)
    assert parameters_of(model) == 12_610


def test_layers_are_in_the_papers_order():
    kinds = [type(layer).__name__ for layer in DIRNet(poolings=4).regressor]
    block = ["Conv2D", "BatchNormalization", "Activation"]
    assert kinds == 4 * [*block, "AveragePooling2D"] + 2 * block + 2 * block + ["Conv2D"]


def test_save_load_same_numbers(rng, numpy, tmp_path):
    model = DIRNet(poolings=2, kernels=4)
    pair = inputs(rng, 28)
    expected = numpy(model(pair)["moved"])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    np.testing.assert_array_equal(numpy(again(pair)["moved"]), expected)
    model.save_weights(tmp_path / "model.weights.h5")
    other = DIRNet(**model.get_config())
    other.build()
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(numpy(other(pair)["moved"]), expected)


def test_training_raises_the_ncc(rng):
    from tfreg.data import PairSampler, phantoms

    keras.utils.set_random_seed(0)
    phantom = phantoms.digits(100, seed=0)
    pairs = PairSampler(phantom.images, phantom.labels, 16, seed=0, scale=1 / 255)
    model = DIRNet(poolings=2)
    model.compile(keras.optimizers.Adam(3e-3), jit_compile=True)
    # On JAX as it is trained where there is no TensorFlow.
    batches = pairs.dataset if keras.config.backend() == "tensorflow" else pairs.tuples
    loss = model.fit(
        batches(0, 120), epochs=4, steps_per_epoch=30, shuffle=False, verbose=0
    ).history["loss"]
    assert loss[-1] < loss[0] - 0.03


def test_bad_options():
    with pytest.raises(ValueError, match="poolings=7"):
        DIRNet(poolings=7)


def test_every_option_survives_the_config():
    options = {
        "poolings": 1,
        "kernels": 3,
        "convolutions": 2,
        "boundary": "edge",
        "refine_learning_rate": 0.25,
        "refine_folding_weight": 3.0,
    }
    again = DIRNet.from_config(DIRNet(**options).get_config())
    assert {name: getattr(again, name) for name in options} == options


def test_normalised_layers_have_no_bias_and_the_activation_is_elu():
    layers = DIRNet(poolings=2).regressor
    convolutions = [layer for layer in layers if isinstance(layer, keras.layers.Conv2D)]
    assert [c.use_bias for c in convolutions] == [False] * 8 + [True]
    assert [c.kernel_size for c in convolutions] == [(3, 3)] * 6 + [(1, 1)] * 3
    kinds = {a.activation.__name__ for a in layers if isinstance(a, keras.layers.Activation)}
    assert kinds == {"elu"}
