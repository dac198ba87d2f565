import numpy as np
import pytest
from keras import ops
from scipy import ndimage

from tfreg.features.dense import around, convolve, maximum, spread, vectors, widened


@pytest.mark.on_jax
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("shape", [(12, 9), (8, 9, 10)])
def test_convolution_is_that_of_the_dilated_kernel(rng, shape, dilation):
    ndim = len(shape)
    image = rng.normal(size=(2, *shape, 3)).astype("float32")
    kernel = rng.normal(size=(*[2] * ndim, 3, 4)).astype("float32")
    found = ops.convert_to_numpy(convolve(ops.convert_to_tensor(image), kernel, dilation))
    wide = np.zeros((*[dilation + 1] * ndim, 3, 4))
    wide[(*[slice(None, None, dilation)] * ndim,)] = kernel
    inside = tuple(slice(0, n - dilation) for n in shape)
    expected = np.zeros((*found.shape,))
    for item in range(2):
        for i in range(3):
            for o in range(4):
                part = ndimage.correlate(
                    image[item, ..., i].astype("float64"),
                    wide[..., i, o],
                    origin=-((dilation + 1) // 2),
                    mode="constant",
                )
                expected[item, ..., o] += part[inside]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_maximum_of_a_window_with_holes(rng):
    image = rng.normal(size=(1, 9, 8, 7, 2)).astype("float32")
    found = ops.convert_to_numpy(maximum(ops.convert_to_tensor(image), 3, 2))
    assert found.shape == (1, 5, 4, 3, 2)
    for place in np.ndindex(5, 4, 3):
        box = tuple(slice(p, p + 5, 2) for p in place)
        np.testing.assert_array_equal(found[(0, *place)], image[0][box].max(axis=(0, 1, 2)))


def test_images_are_mirrored_beyond_their_borders(rng):
    image = rng.normal(size=(1, 5, 6, 1)).astype("float32")
    found = ops.convert_to_numpy(around(ops.convert_to_tensor(image), 2))
    np.testing.assert_array_equal(found[0, ..., 0], np.pad(image[0, ..., 0], 2, "symmetric"))


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (2, 2)])
def test_patches_that_agree_give_back_the_image(rng, size, stride):
    places = (4, 3, 2)
    shape = tuple(stride * (n - 1) + size for n in places)
    image = rng.normal(size=(2, *shape, 3)).astype("float32")
    parts = np.empty((2, *places, size**3, 3), "float32")
    for place in np.ndindex(*places):
        box = tuple(slice(stride * p, stride * p + size) for p in place)
        parts[(slice(None), *place)] = image[(slice(None), *box)].reshape(2, -1, 3)
    found = ops.convert_to_numpy(spread(ops.convert_to_tensor(parts), size, stride))
    np.testing.assert_allclose(found, image, atol=1e-5)
    # One voxel said wrong by one of the patches that cover it is wrong by its share.
    parts[0, 0, 0, 0, 0, 1] += 1
    moved = ops.convert_to_numpy(spread(ops.convert_to_tensor(parts), size, stride)) - image
    assert moved[0, 0, 0, 0, 1] == pytest.approx(1, abs=1e-5)
    assert np.abs(moved).sum() == pytest.approx(1, abs=1e-3)


def test_a_single_channel_goes_the_same_way(rng):
    parts = rng.normal(size=(2, 3, 3, 9, 2)).astype("float32")
    both = ops.convert_to_numpy(spread(ops.convert_to_tensor(parts), 3))
    one = ops.convert_to_numpy(spread(ops.convert_to_tensor(parts[..., :1]), 3))
    np.testing.assert_allclose(one, both[..., :1], atol=1e-5)


def test_a_maximum_goes_back_to_its_whole_window():
    values = np.array([1.0, 3.0], "float32").reshape(1, 2, 1, 1)
    values = np.concatenate([values, values], axis=2)
    found = ops.convert_to_numpy(widened(ops.convert_to_tensor(values), 3, 2))
    np.testing.assert_allclose(found[0, :, 0, 0], [1, 1, 2, 3, 3])


def test_vectors_are_patches_in_the_order_of_a_kernel(rng):
    image = rng.normal(size=(2, 5, 6, 3)).astype("float32")
    found = ops.convert_to_numpy(vectors(ops.convert_to_tensor(image), 2, dilation=2, stride=2))
    assert found.shape == (2 * 2 * 2, 2 * 2 * 3)
    np.testing.assert_array_equal(found[0], image[0, :3:2, :3:2].ravel())
    np.testing.assert_array_equal(found[-1], image[1, 2:5:2, 2:5:2].ravel())
