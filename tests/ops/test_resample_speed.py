import time

import keras
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from tfreg import ops


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="the bar is TensorFlow's")
@pytest.mark.compiled
def test_warping_a_volume_is_five_times_as_fast_as_scipy(rng):
    """128^3, forward, both in this run; the first call compiles and is not timed."""
    image = rng.normal(size=(1, 128, 128, 128, 1)).astype("float32")
    displacement = (3 * rng.normal(size=(1, 128, 128, 128, 3))).astype("float32")
    tensors = [keras.ops.convert_to_tensor(array) for array in (image, displacement)]
    points = np.indices((128, 128, 128), "float32") + np.moveaxis(displacement[0], -1, 0)

    def ours():
        return ops.resample(*tensors).numpy()[0, ..., 0]

    def scipys():
        return map_coordinates(image[0, ..., 0], points, order=1, mode="nearest")

    np.testing.assert_allclose(ours(), scipys(), atol=1e-5)
    seconds = {}
    for function in (ours, scipys):
        runs = []
        for _ in range(3):
            begin = time.perf_counter()
            function()
            runs.append(time.perf_counter() - begin)
        seconds[function] = np.median(runs)
    assert seconds[scipys] > 5 * seconds[ours], seconds
