import time

import keras
import numpy as np
import pytest
from scipy.ndimage import correlate

from tfreg import ops

CASES = [((2, 7, 9, 3), (3, 5), 4), ((1, 6, 5, 7, 2), (3, 1, 5), 3)]
cases = pytest.mark.parametrize(("shape", "sizes", "filters"), CASES)


def drawn(rng, shape, sizes, filters, dtype="float64"):
    kernel = rng.normal(size=(*sizes, shape[-1], filters))
    return [keras.ops.convert_to_tensor(a, dtype) for a in (rng.normal(size=shape), kernel)]


@pytest.mark.on_jax
@cases
def test_it_is_scipys_sum_over_the_channels(rng, numpy, shape, sizes, filters):
    images, kernel = drawn(rng, shape, sizes, filters)
    found = numpy(ops.convolution(images, kernel))
    assert found.shape == (*shape[:-1], filters)
    images, kernel = numpy(images), numpy(kernel)
    for item in range(shape[0]):
        for k in range(filters):
            parts = (
                correlate(images[item, ..., c], kernel[..., c, k], mode="constant")
                for c in range(shape[-1])
            )
            np.testing.assert_allclose(found[item, ..., k], sum(parts), atol=1e-12)


@pytest.mark.on_jax
@cases
def test_both_gradients_are_those_of_the_plain_convolution(rng, numpy, shape, sizes, filters):
    images, kernel = drawn(rng, shape, sizes, filters)
    weights = keras.ops.convert_to_tensor(rng.normal(size=(*shape[:-1], filters)), "float64")

    def gradients(convolve):
        def of_images(tensor):
            return convolve(tensor, kernel) ** 2 * weights

        def of_kernel(tensor):
            return convolve(images, tensor) ** 2 * weights

        pairs = ((of_images, images), (of_kernel, kernel))
        return [numpy(ops.value_and_gradient(*pair)[1]) for pair in pairs]

    def plain(images, kernel):
        return keras.ops.conv(images, kernel, padding="same", data_format="channels_last")

    for found, expected in zip(gradients(ops.convolution), gradients(plain), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize(
    ("images", "kernel", "message"),
    [
        ((4, 4, 1), (3, 3, 1, 1), r"2-D or 3-D.*\(4, 4, 1\) and \(3, 3, 1, 1\)"),
        ((1, 4, 4, 1), (3, 3, 3, 1, 1), r"Received: \(1, 4, 4, 1\) and \(3, 3, 3, 1, 1\)"),
        ((1, 4, 4, 1), (3, 2, 1, 1), r"odd sizes and 1 channels.*\(3, 2, 1, 1\)"),
        ((1, 4, 4, 2), (3, 3, 1, 1), r"odd sizes and 2 channels"),
    ],
)
def test_what_does_not_fit_is_refused(images, kernel, message):
    with pytest.raises(ValueError, match=message):
        ops.convolution(np.zeros(images, "float32"), np.zeros(kernel, "float32"))


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="the bar is TensorFlow's")
@pytest.mark.compiled
@pytest.mark.timed
def test_its_gradient_in_a_compiled_loop_takes_a_tenth_of_the_time(rng):
    """Eight steps down the gradient of two layers; the best of some runs of each, in turn."""
    images, first = drawn(rng, (1, 64, 64, 16), (3, 3), 32, "float32")
    second = drawn(rng, (1, 1, 1, 32), (3, 3), 32, "float32")[1]

    def plain(images, kernel):
        return keras.ops.conv(images, kernel, padding="same", data_format="channels_last")

    def descent(convolve):
        def run(images, first, second):
            def loss(images):
                return convolve(keras.ops.relu(convolve(images, first)), second) ** 2

            def step(_, images):
                return images - 1e-6 * ops.value_and_gradient(loss, images)[1]

            return keras.ops.fori_loop(0, 8, step, images)

        return ops.compiled(run)

    runs = {name: descent(f) for name, f in (("plain", plain), ("ours", ops.convolution))}
    seconds = dict.fromkeys(runs, np.inf)
    for turn in range(6):
        for name, run in runs.items():
            begin = time.perf_counter()
            run(images, first, second).numpy()
            if turn:  # the first one compiles
                seconds[name] = min(seconds[name], time.perf_counter() - begin)
    assert seconds["ours"] < 0.1 * seconds["plain"], seconds
