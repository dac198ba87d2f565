import numpy as np
import pytest
from keras import ops

from tfreg.errors import InputError
from tfreg.features.principal import principal
from zoo.sae.model import StackedAutoencoder
from zoo.sae.pca import PatchPCA


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture
def model():
    found = StackedAutoencoder(units=(5, 4))
    found.build()
    rng = np.random.default_rng(1)
    found.set_weights([rng.normal(0, 0.5, w.shape) for w in found.get_weights()])
    return found


def test_the_code_of_a_patch_is_that_of_loops(model, rng):
    """3x3x3 voxels each, the largest of 3x3x3 responses at every second place, 2x2x2 of these."""
    patch = rng.random((7, 7, 7)).astype("float32")
    first, second = (layer.get_weights() for layer in model.encoders)
    response = np.empty((5, 5, 5, 5))
    for place in np.ndindex(5, 5, 5):
        box = tuple(slice(p, p + 3) for p in place)
        response[place] = sigmoid(patch[box].ravel() @ first[0] + first[1])
    pooled = np.empty((2, 2, 2, 5))
    for place in np.ndindex(2, 2, 2):
        box = tuple(slice(2 * p, 2 * p + 3) for p in place)
        pooled[place] = response[box].max(axis=(0, 1, 2))
    expected = sigmoid(pooled.ravel() @ second[0] + second[1])
    found = model.encoded(ops.convert_to_tensor(patch[None, ..., None]))[0]
    assert tuple(found.shape) == (1, 1, 1, 1, 4) and model.size == 7 and model.reach == 3
    np.testing.assert_allclose(ops.convert_to_numpy(found)[0, 0, 0, 0], expected, atol=1e-5)


def test_a_feature_is_the_code_of_the_patch_about_a_voxel(model, rng):
    image = rng.random((12, 11, 13)).astype("float32")
    image[0, 0, :2] = 0, 1
    found = model.features(image)
    for place in ((5, 6, 7), (3, 7, 9)):
        box = tuple(slice(p - 3, p + 4) for p in place)
        patch = ops.convert_to_tensor(image[box][None, ..., None])
        expected = ops.convert_to_numpy(model.encoded(patch)[0])[0, 0, 0, 0]
        np.testing.assert_allclose(found[place], expected, atol=1e-5)


def test_a_layer_sees_what_pooling_leaves_of_the_layer_before(model, rng):
    patches = ops.convert_to_tensor(rng.random((2, 7, 7, 7, 1)).astype("float32"))
    first = ops.convert_to_numpy(model.seen(patches, 0))
    assert first.shape == (2 * 27, 27)
    np.testing.assert_array_equal(first[1], ops.convert_to_numpy(patches)[0, :3, :3, 2:5].ravel())
    second = model.seen(patches, 1)
    assert tuple(second.shape) == (2, 8 * 5)
    code = ops.convert_to_numpy(model.encoders[1](second))
    expected = ops.convert_to_numpy(model.encoded(patches)[0])[:, 0, 0, 0]
    np.testing.assert_allclose(code, expected, atol=1e-5)


def test_each_layer_learns_alone_and_then_all(model, rng):
    patches = rng.random((4, 7, 7, 7, 1)).astype("float32")
    shapes = {0: (4 * 27, 27), 1: (4, 40), None: (4, 7, 7, 7, 1)}
    for layer, shape in shapes.items():
        model.learn(layer)
        assert len(model.trainable_variables) == (8 if layer is None else 4)
        model.compile("adam", jit_compile=False)
        before = model.get_weights()
        target, found = model(patches)
        assert tuple(target.shape) == tuple(found.shape) == shape
        model.train_on_batch(patches)
        changed = [
            not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)
        ]
        assert sum(changed) == (8 if layer is None else 4)
        assert model.score(patches).shape == (shape[0],)


def test_more_layers_and_images(rng):
    deep = StackedAutoencoder(2, kernels=(3, 2, 1), units=(6, 8, 3))
    assert deep.size == 7 and deep.features(rng.random((10, 9))).shape == (10, 9, 3)
    wide = StackedAutoencoder(2, kernels=(5, 3), units=(6, 3), pool=3, stride=2)
    assert wide.size == 11
    found = wide(ops.convert_to_tensor(rng.random((2, 11, 11, 1)).astype("float32")))
    assert tuple(found[1].shape) == (2, 11, 11, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": (3,)}, "as many positive integers"),
        ({"kernels": ()}, "as many positive integers"),
        ({"decay": -1}, "decay=-1"),
        ({"kernels": (4, 2)}, "middle voxel, an odd size. Received: 8"),
    ],
)
def test_no_autoencoder(options, message):
    with pytest.raises(ValueError, match=message):
        StackedAutoencoder(**options)


def test_images_that_are_too_small(model):
    with pytest.raises(InputError, match="7 voxels or more"):
        model.features(np.zeros((6, 9, 9)))


def test_components_are_products_with_the_patch_about_a_voxel(rng):
    patches = rng.random((300, 27))
    model = PatchPCA(size=3, components=5)
    model.build()
    found = principal([patches], 5)
    model.use(found)
    image = rng.random((8, 9, 7)).astype("float32")
    image[0, 0, :2] = 0, 1
    answer = model.features(image)
    box = image[3:6, 4:7, 2:5].ravel()
    expected = (box - found.mean) @ found.directions
    np.testing.assert_allclose(answer[4, 5, 3], expected, atol=1e-5)
    whole = PatchPCA(size=3, components=27)
    whole.build()
    whole.use(principal([patches], 27))
    cubes = patches.reshape(-1, 3, 3, 3, 1).astype("float32")
    again = ops.convert_to_numpy(whole(cubes))
    np.testing.assert_allclose(again.reshape(-1, 27), patches, atol=1e-4)
    np.testing.assert_allclose(whole.score(cubes[:4]), 1, atol=1e-4)


@pytest.mark.parametrize("options", [{"size": 4}, {"size": 3, "components": 28}])
def test_no_components(options):
    with pytest.raises(ValueError, match="must be"):
        PatchPCA(**options)
