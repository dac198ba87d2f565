import keras
import numpy as np
import pytest

from tfreg import layers, ops
from tfreg.errors import InputError
from tfreg.geometry import ConeBeam, Geometry, frame_of

CAMERA = ConeBeam(1000.0, (5, 6), (2.0, 3.0))
GRID = Geometry((7, 6, 8), (1.0, 1.5, 2.0), (3.0, -4.0, 5.0), np.eye(3)[[1, 2, 0]])
POSE = np.array([[0, 1, 700, 10, 20, -30], [1, 0, 900, 0, -20, 70]], "float32")


@pytest.mark.parametrize("method", ["joseph", "siddon"])
def test_it_is_the_projection_of_its_camera(rng, numpy, method):
    volume = rng.uniform(size=(1, *GRID.shape, 1)).astype("float32")
    found = layers.Projector(CAMERA, GRID, method)([volume, POSE])
    source, rays = CAMERA.rays()
    frame, source, rays = (part.astype("float32") for part in (frame_of(GRID), source, rays[None]))
    expected = ops.project(volume, *ops.pose_rays(POSE, frame, source, rays), method)
    np.testing.assert_allclose(numpy(found), numpy(expected), atol=1e-4)


def test_it_is_what_its_config_says(rng, numpy):
    layer = layers.Projector(CAMERA, GRID, "siddon")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    volume = rng.uniform(size=(1, *GRID.shape, 1)).astype("float32")
    np.testing.assert_array_equal(numpy(again([volume, POSE])), numpy(layer([volume, POSE])))


def test_shape_without_a_call():
    volume, pose = keras.Input((8, 6, 7, 1), batch_size=1), keras.Input((6,))
    assert layers.Projector(CAMERA, GRID)([volume, pose]).shape == (None, 5, 6, 1)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="method must be one of"):
        layers.Projector(CAMERA, GRID, "ray")
    with pytest.raises(InputError, match="This is not a camera"):
        layers.Projector({"focal": 1}, GRID)
