import numpy as np
import pytest
from keras import ops

from tfreg.errors import InputError
from zoo.stn import METHOD
from zoo.stn.data import Scenes, held_out, load
from zoo.stn.model import SpatialTransformerNetwork
from zoo.stn.networks import DISTORTIONS, KINDS, TRANSFORMS, architecture, name_of, network

MODELS = [("fcn", None), ("cnn", None)]
ALL = [*MODELS, *((model, t) for model in ("st-fcn", "st-cnn") for t in TRANSFORMS)]


def turned(model, rng):
    """The model after its transformers have left the identity."""
    for transformer in model.transformers:
        bias = transformer.theta.bias
        bias.assign(rng.uniform(-0.3, 0.3, bias.shape))
    return model


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        ("r", (208_842, 208_586, 216_080, 216_146, 216_938, 219_672, 219_714, 220_218)),
        ("rts", (243_722, 229_066, 239_248, 239_314, 240_106, 227_352, 227_394, 227_898)),
    ],
)
def test_networks_of_one_column_have_about_as_many_weights(kind, counts):
    found = [network(kind, model, transform).count_params() for model, transform in ALL]
    assert tuple(found) == counts and max(found) < 1.1 * min(found)


def test_networks_of_scenes_have_their_weights():
    assert network("clutter", "st-cnn", "attention").count_params() == 254_809
    assert network("clutter", "cnn", None).count_params() == 270_026
    assert network("addition", "2xst-fcn", "tps").count_params() == 752_595
    assert network("addition", "st-fcn", "affine").count_params() == 410_905


@pytest.mark.parametrize("kind", KINDS)
def test_every_network_of_the_paper_is_there(kind):
    table = f"stn-mnist-{kind}" if kind not in DISTORTIONS else "stn-mnist"
    for method in METHOD.numbers[table]:
        model, _, transform = method.partition(" ")
        assert architecture(kind, model, transform or None)["base"] == model[-3:]


@pytest.mark.parametrize("shape", [("e", "st-cnn", "tps"), ("addition", "2xst-fcn", "projective")])
def test_the_answer_says_where_it_looked(rng, shape):
    """The grid that is answered, and the image looked up there, is what the classifier saw."""
    kind, *_ = shape
    model = turned(network(*shape), rng)
    images, _ = held_out(kind, "test", "phantom", 3)
    answer = model.classify(images[..., 0] if kind == "e" else images)
    side, count = model.size[0], len(model.transformers)
    assert answer.displacement.shape == answer.grid.shape == (3, count, side, side, 2)
    np.testing.assert_array_equal(answer.grid[0, 0, 5, 7] - answer.displacement[0, 0, 5, 7], (5, 7))
    assert np.abs(answer.displacement).max() > 1
    from scipy import ndimage

    unit = images / images.max(axis=(1, 2, 3), keepdims=True)
    seen = [
        ndimage.map_coordinates(unit[2, ..., c], grid, order=1, mode="grid-constant")
        for grid in np.moveaxis(answer.grid[2], -1, 1)
        for c in range(images.shape[-1])
    ]
    seen = np.stack(seen, -1)
    if model.pool == 2:
        seen = seen.reshape(side // 2, 2, side // 2, 2, -1).mean(axis=(1, 3))
    np.testing.assert_allclose(answer.seen[2], seen, atol=2e-4)
    expected = ops.softmax(model(unit.astype("float32")))
    np.testing.assert_allclose(answer.probabilities, expected, atol=1e-4)


def test_a_network_without_transformers_saw_the_image():
    answer = network("r", "fcn", None).classify(np.eye(28))
    assert answer.displacement is None and answer.grid is None
    np.testing.assert_array_equal(answer.seen[..., 0], np.eye(28))


def test_an_untrained_network_looks_at_the_image_as_it_is(rng):
    image = rng.random((42, 42)).astype("float32")
    answer = network("rts", "st-cnn", "projective").classify(image)
    np.testing.assert_array_equal(answer.displacement, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": "rnn"}, "base=rnn"),
        ({"transform": "elastic"}, "transform=elastic"),
        ({"transform": None, "pool": 2}, "pool=2"),
        ({"transformers": 0}, "transformers=0"),
    ],
)
def test_bad_options_fail_at_construction(options, message):
    with pytest.raises(ValueError, match=message):
        SpatialTransformerNetwork(**options)


def test_images_of_another_size_are_refused():
    with pytest.raises(InputError, match=r"28 x 28 pixels\. Received: 42 x 42"):
        network("r", "cnn", None).classify(np.eye(42))
    with pytest.raises(InputError, match=r"no such network for clutter\. .*transform=tps"):
        architecture("clutter", "st-cnn", "tps")
    with pytest.raises(InputError, match="model=cnn, transform=affine"):
        architecture("r", "cnn", "affine")


def test_names():
    assert name_of("mnist", "rts", "st-fcn", "affine") == "stn-mnist-st-fcn-affine-rts"
    assert name_of("phantom", "addition", "2xst-fcn", "tps") == "stn-phantom-addition-2xst-fcn-tps"
    assert name_of("mnist", "e", "cnn", None) == "stn-mnist-cnn-e"


def test_training_scenes_follow_from_seed_and_step():
    found = load("train", "phantom")
    assert len(found.labels) == 4500 and len(load("validation", "phantom").labels) == 500
    for kind in KINDS:
        batches = Scenes(kind, found, 8, seed=3)
        one, again, other = (batches.batch(step) for step in (5, 5, 6))
        for name in ("images", "labels"):
            np.testing.assert_array_equal(one[name], again[name])
            assert one[name].shape == (8, *batches.arrays[name].shape)
            assert one[name].dtype == batches.arrays[name].dtype
        assert np.abs(one["images"] - other["images"]).max() > 0.5
        assert 0.5 < one["images"].max() <= 1


def test_sums_are_of_the_digits_that_are_shown():
    """Whichever is the second term: every digit is the first of one sum and the second of one."""
    images, sums = held_out("addition", "test", "phantom", 40)
    _, digits = load("test", "phantom")
    assert sums.sum() == 2 * digits[:40].astype(int).sum()
    mass = images.sum(axis=(1, 2))
    assert abs(mass[:, 0].mean() / mass[:, 1].mean() - 1) < 0.2


def test_held_out_scenes_are_always_the_same():
    one, again, other = (held_out("e", "test", "phantom", 5, seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 100
    validation, _ = held_out("e", "validation", "phantom", 5)
    assert np.abs(one - validation).max() > 100
