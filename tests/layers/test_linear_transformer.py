import keras
import numpy as np
import pytest

from tfreg import layers
from tfreg.layers.linear_transformer import LinearTransformer
from tfreg.ops.linear import linear_displacement
from tfreg.ops.linear_parameters import bounded_parameters, linear_matrix
from tfreg.ops.normalised import matrix_from_normalised, stn_identity, stn_theta


def localisation(kind, shape, moving_shape):
    """A spatial transformer network with the paper's zero weights and identity bias."""
    image = keras.Input((*moving_shape, 1))
    bias = stn_identity(kind, len(shape))
    theta = keras.layers.Dense(
        len(bias), kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(bias)
    )(keras.layers.Flatten()(image))
    u = LinearTransformer(kind, shape, frame="normalised", moving_shape=moving_shape)(theta)
    return keras.Model(image, layers.Resampler(mode="constant")([image, u]))


@pytest.mark.parametrize("kind", ["attention", "affine", "projective"])
def test_untrained_stn_is_the_identity(rng, numpy, kind):
    model = localisation(kind, (9, 13), (9, 13))
    image = rng.normal(size=(2, 9, 13, 1)).astype("float32")
    np.testing.assert_allclose(model.predict(image, verbose=0), image, atol=1e-6)
    layer = LinearTransformer(kind, (9, 13), frame="normalised")
    assert np.all(numpy(layer(stn_identity(kind, 2)[None])) == 0)


def test_stn_with_another_output_size(rng):
    model = localisation("affine", (5, 7), (9, 13))  # every other voxel: corners on corners
    assert model.output_shape == (None, 5, 7, 1)
    image = rng.normal(size=(2, 9, 13, 1)).astype("float32")
    np.testing.assert_allclose(model.predict(image, verbose=0), image[:, ::2, ::2], atol=1e-6)


@pytest.mark.parametrize(("kind", "n"), [("translation", 3), ("rigid", 6), ("affine", 12)])
def test_layer_is_the_ops(rng, numpy, kind, n):
    shape = (5, 9, 6)
    values = rng.normal(size=(2, n), scale=0.3).astype("float32")
    expected = linear_displacement(linear_matrix(values, kind, shape), shape)
    found = LinearTransformer(kind, shape)(values)
    np.testing.assert_array_equal(numpy(found), numpy(expected))


def test_bounded(rng, numpy):
    values = rng.normal(size=(2, 6), scale=5).astype("float32")
    expected = linear_matrix(bounded_parameters(values, "affine", 2), "affine", (5, 9))
    found = LinearTransformer("affine", (5, 9), bounded=True)(values)
    np.testing.assert_allclose(
        numpy(found), numpy(linear_displacement(expected, (5, 9))), atol=1e-6
    )


@pytest.mark.parametrize("frame", ["voxel", "normalised"])
@pytest.mark.parametrize("tail", [(2, 3), (3, 3), (3, 4)])
def test_matrix_as_input(rng, numpy, frame, tail):
    shape = (5, 9, 6)[: tail[1] - 1]
    matrix = (np.eye(*tail) + rng.normal(size=(2, *tail), scale=0.01)).astype("float32")
    voxel = matrix if frame == "voxel" else matrix_from_normalised(matrix, shape)
    found = LinearTransformer("matrix", shape, frame=frame)(matrix)
    np.testing.assert_array_equal(numpy(found), numpy(linear_displacement(voxel, shape)))


def test_theta_is_the_papers(numpy):
    theta = stn_theta(np.array([[0.5, 0.5, 0.0]], "float32"), "attention", 2)
    u = numpy(LinearTransformer("matrix", (5, 9), frame="normalised")(theta))
    np.testing.assert_allclose(u[0, 2, 0], [0, 4], atol=1e-6)  # x = -1 goes to 0, the middle
    np.testing.assert_allclose(u[0, 0, 8], [1, 0], atol=1e-6)  # x = 1 stays, y = -1 goes to -0.5


@pytest.mark.parametrize("kind", ["affine", "projective"])
def test_model_is_saved_and_loaded(rng, tmp_path, kind):
    model = localisation(kind, (5, 7), (9, 13))
    image = rng.normal(size=(2, 9, 13, 1)).astype("float32")
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(image, verbose=0), model.predict(image, verbose=0))


def test_config_round_trip():
    layer = LinearTransformer("rigid", (5, 9), bounded=True, name="turn")
    again = LinearTransformer.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@pytest.mark.compiled
def test_a_training_step_moves_the_parameters(rng):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    parameters = keras.layers.Dense(6, kernel_initializer="zeros")(inputs)
    model = keras.Model(inputs, LinearTransformer("affine", (6, 8), bounded=True)(parameters))
    model.compile(keras.optimizers.Adam(0.05), "mse")
    x = np.ones((8, 4), "float32")
    y = np.tile(np.array([1.5, -0.5], "float32"), (8, 6, 8, 1))
    first = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=40, verbose=0)
    assert model.evaluate(x, y, verbose=0) < 0.05 * first


def test_coordinates_stay_float32_under_mixed_precision(numpy):
    layer = LinearTransformer("translation", (2, 600), dtype="mixed_bfloat16")
    u = numpy(layer(np.array([[0.0, 300.125]], "float32")))
    assert u.dtype == np.float32 and np.all(u[..., 1] == np.float32(300.125))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "shear", "shape": (4, 4)}, "kind=shear"),
        ({"kind": "rigid", "shape": (4, 4), "frame": "normalised"}, "kind=rigid"),
        ({"kind": "rigid", "shape": (4, 4), "frame": "pixel"}, "frame=pixel"),
        ({"kind": "rigid", "shape": (4,)}, r"\(4,\)"),
        ({"kind": "projective", "shape": (4, 4, 4)}, "ndim=3"),
        ({"kind": "rigid", "shape": (4, 4), "moving_shape": (4, 4)}, "no effect"),
        ({"kind": "translation", "shape": (4, 4), "bounded": True}, "no effect"),
        ({"kind": "matrix", "shape": (4, 4), "bounded": True}, "no effect"),
    ],
)
def test_bad_options_fail_at_construction(options, message):
    with pytest.raises(ValueError, match=message):
        LinearTransformer(**options)


def test_wrong_number_of_parameters_fails_when_built():
    with pytest.raises(ValueError, match=r"\(6,\)"):
        LinearTransformer("affine", (4, 4))(np.zeros((1, 5), "float32"))
