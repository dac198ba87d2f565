"""Models with the layers leave Keras: SavedModel and ONNX give the same numbers."""

import importlib.util

import keras
import numpy as np
import pytest

from tfreg import layers, ops

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="exported from TensorFlow"
)

SHAPE = (8, 12)


def model(transformer):
    moving = keras.Input((*SHAPE, 1), name="moving")
    if transformer == "affine":
        parameters = keras.Input((6,), name="parameters")
        displacement = layers.LinearTransformer("affine", SHAPE)(parameters)
    elif transformer == "bspline":
        parameters = keras.Input((2, 3, 2), name="parameters")
        displacement = layers.BSplineTransformer((4, 4))(parameters)
    elif transformer == "tps":
        parameters = keras.Input((4, 4, 2), name="parameters")
        displacement = layers.TPSTransformer(SHAPE)(parameters)
    else:
        parameters = keras.Input((*SHAPE, 2), name="parameters")
        displacement = layers.VelocityTransformer(squarings=3)(parameters)
    interpolation = "cubic" if transformer == "bspline" else "linear"
    moved = layers.Resampler(interpolation)([moving, displacement])
    return keras.Model([moving, parameters], moved)


def inputs(rng, network):
    shapes = [(2, *tensor.shape[1:]) for tensor in network.inputs]
    return [(0.3 * rng.normal(size=shape)).astype("float32") for shape in shapes]


@pytest.mark.parametrize("transformer", ["affine", "bspline", "tps", "velocity"])
@pytest.mark.compiled
def test_saved_model(rng, tmp_path, transformer):
    import tensorflow as tf

    network = model(transformer)
    values = inputs(rng, network)
    expected = network.predict(values, verbose=0)
    network.export(str(tmp_path / "saved"), format="tf_saved_model", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "saved")).serve(values)
    np.testing.assert_allclose(np.asarray(served), expected, atol=1e-5)
    assert np.abs(expected - values[0]).max() > 0.1


@pytest.mark.skipif(
    importlib.util.find_spec("tf2onnx") is None or importlib.util.find_spec("onnxruntime") is None,
    reason="tf2onnx and onnxruntime are not installed",
)
@pytest.mark.parametrize("transformer", ["affine", "bspline", "tps", "velocity"])
def test_onnx(rng, tmp_path, transformer):
    import onnxruntime

    network = model(transformer)
    values = inputs(rng, network)
    expected = network.predict(values, verbose=0)
    path = str(tmp_path / "model.onnx")
    with ops.uncompiled():
        network.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path)
    feed = {node.name: value for node, value in zip(session.get_inputs(), values, strict=True)}
    np.testing.assert_allclose(session.run(None, feed)[0], expected, atol=1e-4)
