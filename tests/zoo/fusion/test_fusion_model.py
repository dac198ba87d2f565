import keras
import numpy as np
import plain_fusion
import pytest
from scipy import ndimage

from tfreg.colour import rgb_to_yuv
from tfreg.errors import InputError
from zoo.fusion.model import FusionNetwork, weight_map

pytestmark = pytest.mark.plain


@pytest.fixture(scope="module")
def model():
    """An untrained network, with biases, of the same weights on every backend."""
    made = FusionNetwork()
    made.build()
    rng = np.random.default_rng(3)
    for variable in made.trainable_variables:
        spread = 0.02
        if len(variable.shape) > 1:
            *places, given, taken = variable.shape
            spread = np.sqrt(2 / (np.prod(places) * (given + taken)))
        variable.assign(rng.normal(0, spread, variable.shape))
    made.head.bias.assign([5.0, -5.0])  # which are not to be applied
    made.head.kernel.assign(8 * made.head.kernel)
    return made


def pictures(rng, shape):
    """Two images of 8 bits, each blurred where the other is sharp."""
    sharp = rng.random(shape)
    blurred = ndimage.gaussian_filter(sharp, 1.5)
    left = np.arange(shape[1]) < shape[1] // 2
    both = [np.where(left, sharp, blurred), np.where(left, blurred, sharp)]
    return [np.rint(255 * image).astype("uint8") for image in both]


def plain(model, first, second):
    """The weight and the fused image, written down plainly."""
    layers = [layer for layer in model.column.layers if layer.weights]
    kernels, biases = ([np.asarray(layer.weights[k]) for layer in layers] for k in (0, 1))
    head = np.asarray(model.head.kernel).reshape(8, 8, 512, 2)
    weight = plain_fusion.weight_map(first / 255, second / 255, kernels, biases, head)
    return weight, plain_fusion.fused(first / 255, second / 255, weight)


def test_it_has_as_many_weights_as_the_papers(model):
    assert model.count_params() == 435_202
    assert sum(layer.count_params() for layer in model.column.layers) == 369_664


@pytest.mark.parametrize(
    ("shape", "seed"),
    [pytest.param((19, 25), 0, marks=pytest.mark.compiled), ((20, 28), 1), ((16, 17), 4)],
)
def test_the_pipeline_is_exact(model, shape, seed):
    """In 8 bits too: with these seeds no pixel is so near to a half that single precision tells."""
    first, second = pictures(np.random.default_rng(seed), shape)
    answer = model.fuse(first, second, first_range=(0, 255), second_range=(0, 255))
    weight, fused = plain(model, first, second)
    np.testing.assert_allclose(answer.weight, weight, atol=2e-5)
    assert weight.max() - weight.min() > 0.02
    np.testing.assert_allclose(answer.fused, np.clip(fused, 0, 1), atol=5e-6)
    assert np.abs(255 * np.clip(fused, 0, 1) % 1 - 0.5).min() > 255 * 5e-6
    found, expected = (plain_fusion.as_bytes(image) for image in (answer.fused, fused))
    np.testing.assert_array_equal(found, expected)


def test_a_weight_is_the_mean_of_the_patches_about_it(rng, numpy):
    scores = rng.random((1, 3, 5, 1)).astype("float32")
    found = numpy(weight_map(scores, (19, 24)))[0, ..., 0]
    assert found[0, 0] == scores[0, 0, 0, 0] and found[18, 23] == pytest.approx(scores[0, 2, 4, 0])
    assert found[7, 9] == pytest.approx(scores[0, :, :, 0].mean(), rel=1e-6)
    assert found[2, 3] == pytest.approx(scores[0, :2, :2, 0].mean(), rel=1e-6)


def test_a_patch_is_scored_at_use_as_in_training(model, rng):
    """At use without the biases of the classes."""
    first, second = rng.random((2, 16, 16)).astype("float32")
    answer = model.fuse(first, second, first_range=(0, 1), second_range=(0, 1))
    logits = model({"sharp": first[None, ..., None], "blurred": second[None, ..., None]})
    logits = keras.ops.convert_to_numpy(logits)[0, 0] - [5, -5]
    expected = np.exp(logits[1]) / np.exp(logits).sum()
    np.testing.assert_allclose(answer.weight, expected, atol=1e-5)


def test_loss_and_score_are_of_both_orders(numpy):
    logits = np.array([[[0.0, 2.0], [1.0, 0.0]], [[3.0, 0.0], [1.0, 0.5]]], "float32")
    loss = float(FusionNetwork().compute_loss(y_pred=keras.ops.convert_to_tensor(logits)))
    margins = np.array([2.0, 1.0, -3.0, 0.5])  # of the right class over the other
    assert loss == pytest.approx(np.log1p(np.exp(-margins)).mean(), rel=1e-6)
    net = FusionNetwork()
    net.predict = lambda *_, **__: logits
    np.testing.assert_array_equal(net.score(None), [1.0, 0.5])


def test_light_is_fused_and_colours_stay(model, rng):
    grey, other = pictures(rng, (20, 28))
    colours = np.rint(other[..., None] * np.array([0.9, 0.6, 0.3])).astype("uint8")
    whole = {"first_range": (0, 255), "second_range": (0, 255)}
    answer = model.fuse(grey, colours, **whole)
    assert answer.fused.shape == (20, 28, 3) and answer.weight.shape == (20, 28)
    light = rgb_to_yuv(colours / 255)
    alone = model.fuse(grey / 255, light[..., 0], first_range=(0, 1), second_range=(0, 1))
    np.testing.assert_allclose(answer.weight, alone.weight, atol=1e-4)
    found = rgb_to_yuv(answer.fused)
    inside = ((answer.fused > 0) & (answer.fused < 1)).all(axis=-1)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(found[inside, 0], alone.fused[inside], atol=1e-4)
    np.testing.assert_allclose(found[inside, 1:], light[inside, 1:], atol=1e-4)


def test_two_images_in_colour_are_fused_channel_by_channel(model, rng):
    first, second = (
        np.stack([image, image // 2, image[::-1]], axis=-1) for image in pictures(rng, (20, 28))
    )
    whole = {"first_range": (0, 255), "second_range": (0, 255)}
    answer = model.fuse(first, second, channels_apart=True, **whole)
    weight = answer.weight.astype("float64")
    for channel in range(3):
        expected = plain_fusion.fused(first[..., channel] / 255, second[..., channel] / 255, weight)
        np.testing.assert_allclose(answer.fused[..., channel], np.clip(expected, 0, 1), atol=1e-4)
    batch = model.fuse(first[None], second[None], channels_apart=True, **whole)
    np.testing.assert_allclose(batch.fused[0], answer.fused, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_volumes_are_fused_slice_by_slice_in_one_range(model, rng, axis):
    shape = [18, 18, 18]
    shape[axis] = 2
    first, second = rng.random((2, *shape)).astype("float32")
    first *= 1 + np.indices(shape)[axis]  # the last slice is the brightest
    answer = model.fuse(first, second, axis=axis)
    assert answer.fused.shape == answer.weight.shape == tuple(shape)
    ends = {"first_range": (first.min(), first.max())}
    ends["second_range"] = second.min(), second.max()
    alone = model.fuse(first.take(0, axis), second.take(0, axis), **ends)
    np.testing.assert_allclose(answer.fused.take(0, axis), alone.fused, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"second": np.eye(20)[:, :17]}, r"register them first. Received: first \(20, 20\)"),
        ({"first": np.eye(20)[..., None] * np.ones(3)}, "colour must be the second one"),
        ({"first": np.full((20, 20), 3.0)}, "first must show something. Received: the value 3 "),
        ({"second": np.full((20, 20), np.nan)}, "second must hold finite values"),
        ({"first_range": (9, 2)}, r"first_range must be two finite numbers.*\(9, 2\)"),
        ({"first_range": (300, 400)}, "first must have .* between 300 and 400.*: 0 to 1$"),
        ({"second_range": 7}, "second_range must be two finite numbers.*=7"),
        ({"channels_apart": True}, "channels_apart is for two images"),
        ({"axis": 1}, r"axis is 0, 1 or 2 of one volume.*shape=\(20, 20\)"),
        ({"batch_size": 0}, "batch_size must be positive"),
    ],
)
def test_bad_input_is_refused_in_one_line(model, change, message):
    given = {"first": np.eye(20), "second": 1 - np.eye(20)}
    with pytest.raises(InputError, match=message) as error:
        model.fuse(**{**given, **change})
    assert "\n" not in str(error.value)


def test_two_images_in_colour_and_small_ones_are_refused(model):
    colours = np.random.default_rng(0).random((20, 20, 3))
    with pytest.raises(InputError, match=r"Of two images in colour.*channels_apart=True"):
        model.fuse(colours, colours)
    with pytest.raises(InputError, match=r"16 x 16 pixels or more. Received: 15 x 20"):
        model.fuse(np.eye(20)[:15], np.eye(20)[:15])


@pytest.mark.parametrize(
    ("options", "message"), [({"threshold": 1.5}, "threshold=1.5"), ({"ndim": 3}, "ndim=3")]
)
def test_bad_options_fail_at_construction(options, message):
    with pytest.raises(ValueError, match=message):
        FusionNetwork(**options)
