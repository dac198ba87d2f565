import importlib.util

import keras
import numpy as np
import pytest
from keras import ops as keras_ops

from tfreg import layers, ops
from tfreg.layers.spatial_transformer import SpatialTransformer
from tfreg.ops.spatial import TRANSFORMS

SHAPE = (10, 13)
on_tensorflow = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="exported from TensorFlow"
)


def localisation():
    """Features with axes of their own, of a network that does not begin with zeros."""
    keras.utils.set_random_seed(3)
    convolution = keras.layers.Conv2D(3, 5, activation="relu", bias_initializer="ones")
    return keras.Sequential([convolution, keras.layers.MaxPooling2D(2)])


def functional(transform="affine", **options):
    images = keras.Input((*SHAPE, 2))
    return keras.Model(images, SpatialTransformer(localisation(), transform, **options)(images))


def turned(model, rng):
    """The model after its transforms have left the identity."""
    theta = model.layers[-1].theta
    theta.bias.assign(rng.uniform(-0.3, 0.3, theta.bias.shape))
    theta.kernel.assign(rng.uniform(-0.01, 0.01, theta.kernel.shape))
    return model


@pytest.fixture
def images(rng):
    return rng.normal(size=(2, *SHAPE, 2)).astype("float32")


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
def test_it_begins_with_the_exact_identity(images, numpy, transform, interpolation):
    found = functional(transform, interpolation=interpolation)(images)
    np.testing.assert_array_equal(numpy(found), images)


@pytest.mark.parametrize("interpolation", ["cubic", "catmull-rom"])
def test_it_begins_with_the_identity_of_cubic_kernels(images, numpy, interpolation):
    found = functional("tps", interpolation=interpolation)(images)
    np.testing.assert_allclose(numpy(found), images, atol=1e-5)


@pytest.mark.parametrize("transform", [t for t in TRANSFORMS if t != "projective"])
def test_in_three_dimensions(rng, numpy, transform):
    volumes = rng.normal(size=(2, 6, 5, 7, 1)).astype("float32")
    flat = keras.layers.Flatten()
    options = {"points": 3} if transform == "tps" else {}
    same = SpatialTransformer(flat, transform, **options)(volumes)
    np.testing.assert_array_equal(numpy(same), volumes)
    smaller = numpy(SpatialTransformer(flat, transform, (3, 3, 4), **options)(volumes))
    np.testing.assert_allclose(smaller[:, ::2, ::2, ::3], volumes[:, ::5, ::4, ::6], atol=1e-5)


def test_zeros_outside_are_the_papers_sum(images, rng, numpy):
    """``sum_nm U_nm max(0, 1 - |x - m|) max(0, 1 - |y - n|)``, positions well outside too."""
    layer = functional().layers[-1]
    u = rng.uniform(-6, 6, (2, *SHAPE, 2)).astype("float32")
    position = u + np.moveaxis(np.indices(SHAPE), 0, -1)
    weights = [
        np.maximum(0, 1 - np.abs(position[..., axis, None] - np.arange(size)))
        for axis, size in enumerate(SHAPE)
    ]
    expected = np.einsum("bnmc,bijn,bijm->bijc", images, *weights)
    np.testing.assert_allclose(numpy(layer.warp(images, u)), expected, atol=1e-5)


def test_a_hair_beyond_the_border_there_is_no_black_frame(numpy):
    """Where normalised coordinates end at the voxels' outer edges the identity loses half of it."""
    transformer = SpatialTransformer(keras.layers.Flatten(), "translation")
    ones = np.ones((1, 5, 9, 1), "float32")
    transformer(ones)
    transformer.theta.bias.assign([1e-6, -1e-6])
    np.testing.assert_allclose(numpy(transformer(ones)), 1, atol=1e-5)
    transformer.theta.bias.assign([0.0, 0.0625])  # a quarter of a voxel
    np.testing.assert_allclose(numpy(transformer(ones))[0, :, -2:, 0], [[1, 0.75]] * 5, atol=1e-6)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_gradient_reaches_every_number(rng, check_gradient, transform):
    """Of a bias that moves, as if the network had found it, against finite differences."""
    transformer = SpatialTransformer(keras.layers.Flatten(), transform)
    image = rng.normal(size=(1, 8, 9, 1))
    transformer.build(image.shape)
    weights = keras_ops.convert_to_tensor(rng.normal(size=image.shape))
    image = keras_ops.convert_to_tensor(image)

    def function(numbers):
        u = ops.spatial_displacement(numbers, transform, (8, 9))
        return weights * transformer.warp(image, u)

    numbers = rng.uniform(-0.3, 0.3, (1, transformer.theta.bias.shape[0]))
    found = check_gradient(function, numbers, step=1e-7, tolerance=1e-5)
    assert (np.abs(found) > 1e-6).all()


@pytest.mark.compiled
def test_it_is_saved_and_loaded(images, rng, tmp_path):
    model = turned(functional("tps", output_shape=(6, 7), points=3), rng)
    assert model.output_shape == (None, 6, 7, 2)
    expected = model.predict(images, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(images, verbose=0), expected)
    layer = model.layers[-1]
    assert SpatialTransformer.from_config(layer.get_config()).get_config() == layer.get_config()


@on_tensorflow
@pytest.mark.compiled
def test_saved_model(images, rng, tmp_path):
    import tensorflow as tf

    model = turned(functional("projective"), rng)
    expected = model.predict(images, verbose=0)
    model.export(str(tmp_path / "saved"), format="tf_saved_model", verbose=False)
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    served = saved.serve(images)
    np.testing.assert_allclose(np.asarray(served), expected, atol=1e-5)
    assert np.abs(expected - images).max() > 0.1


@on_tensorflow
@pytest.mark.skipif(
    importlib.util.find_spec("tf2onnx") is None or importlib.util.find_spec("onnxruntime") is None,
    reason="tf2onnx and onnxruntime are not installed",
)
def test_onnx(images, rng, tmp_path):
    import onnxruntime

    model = turned(functional("tps", output_shape=(6, 7)), rng)
    expected = model.predict(images, verbose=0)
    path = str(tmp_path / "model.onnx")
    with ops.uncompiled():
        model.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path)
    found = session.run(None, {session.get_inputs()[0].name: images})[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_coordinates_stay_float32_under_mixed_precision(numpy):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4)])
        transformer = SpatialTransformer(network, "translation")
    finally:
        keras.config.set_dtype_policy("float32")
    image = np.zeros((1, 2, 601, 1), "float32")
    image[0, :, 500] = 1
    transformer(image)
    assert network.layers[-1].compute_dtype == "bfloat16"
    transformer.theta.bias.assign([0.0, 0.5 / 300])
    moved = numpy(transformer(image))
    np.testing.assert_allclose(moved[0, 0, 499:501, 0], 0.5, atol=1e-3)
    half = keras_ops.cast(image, "bfloat16")
    assert keras.backend.standardize_dtype(transformer(half).dtype) == "bfloat16"


def test_in_series_and_in_parallel(rng):
    """As in the networks for house numbers and birds; each transformer learns."""
    images = keras.Input((12, 12, 1))
    first = SpatialTransformer(keras.layers.Flatten(), "affine", name="first")(images)
    maps = keras.layers.Conv2D(2, 3)(first)
    sides = [
        SpatialTransformer(keras.layers.Flatten(), kind, (5, 5), name=kind)(maps)
        for kind in ("attention", "tps")
    ]
    together = keras.layers.Flatten()(keras.layers.Concatenate()(sides))
    model = keras.Model(images, keras.layers.Dense(3)(together))
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
    values, targets = rng.normal(size=(8, 12, 12, 1)).astype("float32"), rng.normal(size=(8, 3))
    first, *_, last = (model.train_on_batch(values, targets) for _ in range(5))
    assert last < first
    for name in ("first", "attention", "tps"):
        assert np.abs(keras_ops.convert_to_numpy(model.get_layer(name).theta.bias)).min() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transform": "elastic"}, "transform=elastic"),
        ({"transform": "affine", "points": 5}, "points=5"),
        ({"interpolation": "cubical"}, "cubical"),
        ({"output_shape": (0, 4)}, r"\(0, 4\)"),
        ({"localisation": "cnn"}, "localisation=cnn"),
    ],
)
def test_bad_options_fail_at_construction(options, message):
    with pytest.raises(ValueError, match=message):
        SpatialTransformer(**{"localisation": keras.layers.Flatten(), **options})


def test_what_does_not_fit_fails_when_built():
    with pytest.raises(ValueError, match="of known size"):
        SpatialTransformer(keras.layers.Flatten())(keras.Input((None, 8, 1)))
    with pytest.raises(ValueError, match=r"\(4, 4, 4\)"):
        SpatialTransformer(keras.layers.Flatten(), output_shape=(4, 4, 4))(np.zeros((1, 8, 8, 1)))
    with pytest.raises(ValueError, match="ndim=3"):
        SpatialTransformer(keras.layers.Flatten(), "projective")(np.zeros((1, 8, 8, 8, 1)))


def test_it_is_among_the_layers():
    assert layers.SpatialTransformer is SpatialTransformer
