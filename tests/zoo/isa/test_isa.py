import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tfreg.cli import main
from tfreg.data import brain_volumes
from tfreg.errors import InputError
from tfreg.features.principal import Principal, principal
from zoo import patch_recipes
from zoo.isa import train
from zoo.isa.model import Orthonormal, StackedISA, Subspaces


@pytest.fixture
def model():
    """Whitened by patches of noise, its filters as they begin."""
    keras.utils.set_random_seed(0)
    found = StackedISA(kernels=(3, 2), filters=(8, 6), stride=2)
    found.build()
    rng = np.random.default_rng(1)
    found.subspaces[0].use(principal([rng.random((500, 27))], 8))
    found.subspaces[1].use(principal([rng.random((500, 32))], 6))
    return found


@pytest.mark.on_jax
def test_the_constraint_is_the_nearest_orthonormal_matrix(rng, numpy):
    values = rng.normal(size=(6, 6)).astype("float32")
    found = numpy(Orthonormal()(ops.convert_to_tensor(values)))
    u, _, v = np.linalg.svd(values)
    np.testing.assert_allclose(found, u @ v, atol=1e-4)


def test_the_responses_of_a_patch_are_those_of_loops(model, rng):
    patch = rng.random((5, 5, 5)).astype("float32")

    def answered(vector, layer):
        white = (vector - ops.convert_to_numpy(layer.mean)) @ ops.convert_to_numpy(layer.whitening)
        s = white @ ops.convert_to_numpy(layer.kernel)
        return np.sqrt((s**2).reshape(-1, 2).sum(axis=1) + 1e-6)

    first = np.empty((2, 2, 2, 4))
    for place in np.ndindex(2, 2, 2):
        box = tuple(slice(2 * p, 2 * p + 3) for p in place)
        first[place] = answered(patch[box].ravel(), model.subspaces[0])
    expected = answered(first.ravel(), model.subspaces[1])
    found = ops.convert_to_numpy(model.answered(ops.convert_to_tensor(patch[None, ..., None])))
    assert found.shape == (1, 1, 1, 1, 3) and model.size == 5
    np.testing.assert_allclose(found[0, 0, 0, 0], expected, rtol=1e-4)
    image = np.zeros((9, 10, 11), "float32")
    image[2:7, 3:8, 4:9] = patch
    image[0, 0, :2] = 0, 1
    np.testing.assert_allclose(model.features(image)[4, 5, 6], expected, rtol=1e-4)


def test_subspaces_do_not_change_when_their_filters_turn(rng):
    layer = Subspaces(10, 4, 2)
    layer.build()
    layer.use(principal([rng.random((99, 10))], 4))
    patches = rng.random((7, 10)).astype("float32")
    before = ops.convert_to_numpy(layer(patches))
    turn = np.eye(4, dtype="float32")
    turn[:2, :2] = [[0.6, -0.8], [0.8, 0.6]]
    layer.kernel.assign(ops.matmul(layer.kernel, turn))
    np.testing.assert_allclose(ops.convert_to_numpy(layer(patches)), before, rtol=1e-4)


def test_independent_subspaces_have_the_least_objective(rng):
    """Two pairs of sources, each pair with an amplitude of its own."""
    amplitudes = rng.laplace(size=(4000, 2)).repeat(2, axis=1)
    sources = (amplitudes * rng.normal(size=(4000, 4))).astype("float32")
    layer = Subspaces(4, 4, 2)
    layer.build()
    layer.use(Principal(np.zeros(4), np.eye(4), np.ones(4)))

    def objective(kernel):
        layer.kernel.assign(kernel.astype("float32"))
        return ops.convert_to_numpy(layer(sources)).mean()

    least = objective(np.eye(4))
    for angle in (0.2, 0.5, np.pi / 4):  # a filter of each pair, mixed
        mixed = np.eye(4)
        mixed[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        assert objective(mixed) > least + 1e-3
        least = objective(mixed)
    swapped = np.eye(4)[[2, 3, 0, 1]]
    assert objective(swapped) == pytest.approx(objective(np.eye(4)), rel=1e-5)


def test_training_separates_subspaces(rng):
    """From a mixture of such pairs; how much of a subspace is of which pair."""
    amplitudes = rng.laplace(size=(2000, 2)).repeat(2, axis=1)
    sources = amplitudes * rng.normal(size=(2000, 4))
    patches = np.zeros((2000, 9), "float32")
    patches[:, :4] = sources / sources.std(axis=0)
    model = StackedISA(2, kernels=(3,), filters=(4,))
    model.build()
    layer = model.subspaces[0]
    layer.use(Principal(np.zeros(9), np.eye(9)[:, :4], np.ones(4)))
    begin = Orthonormal()(ops.convert_to_tensor(np.eye(4) + 0.55 * rng.normal(size=(4, 4))))

    def share(kernel):
        squares = ops.convert_to_numpy(kernel).reshape(2, 2, 2, 2) ** 2
        return squares.sum(axis=(1, 3)).trace() / 4

    layer.kernel.assign(ops.cast(begin, "float32"))
    before = share(layer.kernel)
    model.learn(0)
    model.compile(keras.optimizers.Adam(0.02), jit_compile=False)
    for _ in range(60):
        model.train_on_batch(patches.reshape(-1, 3, 3, 1))
    assert before < 0.7 and share(layer.kernel) > 0.97


def test_a_layer_learns_what_the_one_before_answers(model, rng):
    patches = rng.random((4, 5, 5, 5, 1)).astype("float32")
    for layer, shape in ((0, (4, 3, 3, 3, 4)), (1, (4, 1, 1, 1, 3))):
        model.learn(layer)
        assert len(model.trainable_variables) == 1
        model.compile("adam", jit_compile=False)
        assert tuple(model(patches).shape) == shape
        model.train_on_batch(patches)
        kernel = ops.convert_to_numpy(model.subspaces[layer].kernel)
        np.testing.assert_allclose(kernel.T @ kernel, np.eye(len(kernel)), atol=1e-4)
        assert model.score(patches).shape == (4,)
    seen = ops.convert_to_numpy(model.seen(ops.convert_to_tensor(patches), 1))
    again = ops.convert_to_numpy(model.subspaces[1](seen))
    expected = ops.convert_to_numpy(model.answered(ops.convert_to_tensor(patches)))
    np.testing.assert_allclose(again, expected[:, 0, 0, 0], rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": (8,)}, "as many positive integers"),
        ({"filters": (7, 6)}, "multiples of subspace"),
        ({"kernels": (4, 2)}, "odd size. Received: 6"),
        ({"kernels": (3, 2), "filters": (28, 6)}, "at most as many filters .* 27"),
    ],
)
def test_no_analysis(options, message):
    with pytest.raises(ValueError, match=message):
        StackedISA(**options)


def test_images_that_are_too_small(model):
    with pytest.raises(InputError, match="5 voxels or more"):
        model.features(np.zeros((4, 9, 9)))


def test_mixed_precision_is_refused():
    with pytest.raises(InputError, match="--bfloat16 is not for subspaces"):
        train.RECIPE.check({"bfloat16": True})
    train.RECIPE.check({"bfloat16": False})


def test_a_training_leaves_a_preset(tmp_path, capsys, monkeypatch):
    for split in ("train", "validation", "test"):
        monkeypatch.setitem(brain_volumes.SOURCES["phantom"].splits, split, 2)
    monkeypatch.setattr(patch_recipes, "HELD_OUT", 64)
    monkeypatch.setattr(train, "WHITENED", 10)
    words = ["--data", "phantom", "--iterations", "100", "--batch", "32", "--out", str(tmp_path)]
    assert main(["train", "isa", *words]) == 0
    assert "validation objective " in capsys.readouterr().out
    (path,) = (tmp_path / "presets").glob("*.json")
    preset = zoo.describe(path, task="features")
    curves = preset.training["curve"]
    assert [*curves] == ["layer 1", "layer 2"] and preset.score["metric"] == "objective"
    images = brain_volumes.volumes("test", "phantom").images[0, 20:36, 28:44, 20:36]
    assert zoo.load(path).features(images).shape == (16, 16, 16, 16)
