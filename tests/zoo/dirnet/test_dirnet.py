import keras
import numpy as np
import pytest

from tfreg import losses, ops
from tfreg.errors import InputError
from zoo.dirnet.model import VARIANTS, DIRNet, variant

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


@pytest.mark.long
def test_training_raises_the_ncc(rng):
    from tfreg.data import PairSampler, phantoms

    keras.utils.set_random_seed(0)
    phantom = phantoms.digits(100, seed=0)
    pairs = PairSampler(phantom.images, phantom.labels, 16, seed=0, scale=1 / 255)
    model = DIRNet(poolings=2)
    # Compiling the whole step is for long trainings; on JAX it is what makes it bearable.
    model.compile(keras.optimizers.Adam(3e-3), jit_compile=keras.config.backend() == "jax")
    batches = pairs.dataset if keras.config.backend() == "tensorflow" else pairs.tuples
    loss = model.fit(
        batches(0, 120), epochs=4, steps_per_epoch=30, shuffle=False, verbose=0
    ).history["loss"]
    assert loss[-1] < loss[0] - 0.03


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"poolings": 7}, "poolings=7"),
        ({"poolings": 0, "convolutions": 0}, "convolutions=0"),
        ({"kernels": (4, 4)}, r"each of the 6 convolutions. Received: kernels=\(4, 4\)"),
        ({"kernels": 0}, "kernels=0"),
        ({"passes": 0}, "passes=0"),
        ({"passes": 1.5}, "passes=1.5"),
        ({"full_image": True}, "full_image=True"),
        ({"full_image": ()}, r"full_image=\(\)"),
        ({"full_image": (64,)}, r"full_image=\(64,\)"),
        ({"full_image": (0, 64)}, r"full_image=\(0, 64\)"),
        ({"full_image": (64, 40)}, r"full_image=\(64, 40\)"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        DIRNet(**options)


def test_kernels_of_each_convolution():
    model = DIRNet(poolings=1, convolutions=3, kernels=(3, 4, 5))
    model.build()
    convolutions = [layer for layer in model.regressor if isinstance(layer, keras.layers.Conv2D)]
    shapes = [tuple(layer.kernel.shape) for layer in convolutions]
    assert shapes == [(3, 3, 2, 3), (3, 3, 3, 4), (3, 3, 4, 5), *[(1, 1, 5, 5)] * 2, (1, 1, 5, 2)]
    again = DIRNet.from_config(model.get_config())
    again.build()
    assert parameters_of(again) == parameters_of(model)


def test_every_option_survives_the_config():
    options = {
        "poolings": 1,
        "kernels": 3,
        "convolutions": 2,
        "boundary": "edge",
        "refine_learning_rate": 0.25,
        "refine_folding_weight": 3.0,
        "downsampling": "max",
        "spline": "quadratic",
        "full_image": (8, 12),
        "bending_weight": 0.5,
        "passes": 2,
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


SIZES = {  # trainable parameters at 256x256, by hand from section 2.1 and the variants of 3.2
    "bl": 12_610,
    "a1": 12_610,
    "a2": 12_610 + 4 * (2 * 2 * 16 * 16 + 32),
    "b1": 12_610,
    "b2": 12_610,
    "c1": 7_938,
    "c2": (288 + 6 * 2304 + 7 * 32) + 2 * (1024 * 1024 + 2 * 1024) + (1024 * 512 + 512),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_have_the_papers_grid_and_size(name):
    model = variant(name, (256, 256))
    model.build()
    assert parameters_of(model) == SIZES[name]
    shape = (None, 256, 256, 2)
    for layer in model.regressor:
        shape = layer.compute_output_shape(shape)
    assert shape == (None, 16, 16, 2)


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_answer_save_and_load(name, rng, numpy, tmp_path):
    model = variant(name, (64, 64), kernels=2)
    pair = inputs(rng, 64)
    answer = model(pair)
    assert tuple(answer["parameters"].shape) == (2, 4, 4, 2)
    assert tuple(answer["displacement"].shape) == (2, 64, 64, 2)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numpy(again(pair)["moved"]), numpy(answer["moved"]))


def test_what_a_variant_changes():
    kinds = {
        name: [type(y).__name__ for y in variant(name, (64, 64)).regressor] for name in VARIANTS
    }
    assert kinds["a1"] == [k.replace("Average", "Max") for k in kinds["bl"]]
    assert kinds["a2"].count("Conv2D") == kinds["bl"].count("Conv2D") + 4
    assert kinds["b1"] == kinds["b2"] == kinds["bl"]
    assert kinds["c1"].count("Conv2D") == kinds["bl"].count("Conv2D") - 2
    tail = ["Conv2D", "BatchNormalization", "Activation", "AveragePooling2D", "Flatten"]
    dense = ["Dense", "BatchNormalization", "Activation"]
    assert kinds["c2"][-13:] == [*tail, *dense, *dense, "Dense", "Reshape"]
    strided = [y for y in variant("a2", (64, 64)).regressor if getattr(y, "strides", 0) == (2, 2)]
    assert [y.kernel_size for y in strided] == [(2, 2)] * 4


@pytest.mark.parametrize("name", ["b1", "b2", "bl"])
def test_the_spline_of_a_variant_has_its_support(name, numpy):
    """One control point moves: 3 cells of it for order 2, 4 for order 3, everything for B2."""
    parameters = np.zeros((1, 8, 8, 2), "float32")
    parameters[0, 4, 4, 0] = 1
    u = numpy(variant(name, (128, 128)).displacement(parameters))[0, ..., 0]
    reached = int((np.abs(u).max(axis=1) > 1e-6).sum())
    expected = {"b1": 3 * 16, "bl": 4 * 16, "b2": 128}[name]
    assert abs(reached - expected) <= 1 + 3 * (name == "b2") and 0.3 < u.max() < 1.1


def test_a_network_of_the_full_image_takes_no_other_size():
    model = variant("c2", (64, 64), kernels=2)
    with pytest.raises(InputError, match=r"takes \(64, 64\)"):
        model.register(np.eye(96), np.eye(96))
    with pytest.raises(InputError, match="variant is one of"):
        variant("d1", (64, 64))
    for options in ({"downsampling": "mean"}, {"spline": "linear"}, {"full_image": (60, 64)}):
        with pytest.raises(ValueError, match=next(iter(options))):
            DIRNet(**options)
    with pytest.raises(ValueError, match="boundary rule"):
        DIRNet(spline="thin-plate", boundary="edge")


def test_bending_energy_is_part_of_the_improved_loss(rng, numpy):
    pair = inputs(rng, 64)
    plain, bent = (DIRNet(poolings=3, kernels=2, bending_weight=w) for w in (0.0, 0.5))
    keras.utils.set_random_seed(0)
    answer = plain(pair)
    found, expected = (float(numpy(m.compute_loss(pair, None, answer))) for m in (bent, plain))
    cells = numpy(answer["parameters"]) / 8
    energy = float(numpy(losses.bspline_bending_energy(cells, (1, 1)))[...].mean())
    assert found == pytest.approx(expected + 0.5 * energy, abs=1e-6) and energy > 0
    assert float(numpy(bent.ncc_tracker.result())) == pytest.approx(-expected, abs=1e-6)
    with pytest.raises(ValueError, match="bending_weight=-1"):
        DIRNet(bending_weight=-1)


@pytest.mark.long
def test_each_pass_registers_what_the_passes_before_have_left(rng, numpy):
    pair = inputs(rng, 32)
    one, three = (DIRNet(poolings=2, kernels=3, passes=n, bending_weight=0.1) for n in (1, 3))
    for model in (one, three):
        model.build()
    three.set_weights(one.get_weights())
    expected = None
    for _ in range(3):
        moved = pair["moving"] if expected is None else ops.resample(pair["moving"], expected)
        step = one({"fixed": pair["fixed"], "moving": moved})["displacement"]
        expected = step if expected is None else ops.compose(expected, step)
    answer = three(pair)
    assert tuple(answer["parameters"].shape) == (len(pair["fixed"]), 3, 8, 8, 2)
    np.testing.assert_allclose(numpy(answer["displacement"]), numpy(expected), atol=1e-5)
    assert np.abs(numpy(expected)).max() > 0.1
    # Training sees one pass.
    training = [model(pair, training=True)["displacement"] for model in (one, three)]
    np.testing.assert_allclose(numpy(training[0]), numpy(training[1]), atol=1e-5)
    cells = numpy(answer["parameters"]).reshape(-1, 8, 8, 2) / 4
    loss = 0.1 * numpy(losses.bspline_bending_energy(cells, (1, 1))).mean()
    loss -= numpy(losses.ncc(pair["fixed"], answer["moved"])).mean()
    assert float(numpy(three.compute_loss(pair, None, answer))) == pytest.approx(loss, abs=1e-5)
    refined = three.register(pair["fixed"][..., 0], pair["moving"][..., 0], refine=5)
    assert refined.displacement.shape == (len(pair["fixed"]), 32, 32, 2)
