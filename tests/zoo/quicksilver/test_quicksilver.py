import keras
import numpy as np
import pytest

from tfreg import ops
from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.registration import Preprocessing
from zoo.quicksilver.model import DisplacementPrediction, Quicksilver
from zoo.quicksilver.network import MomentumNetwork

pytestmark = pytest.mark.plain


def brains(rng, shape, count=2):
    """Smooth blobs on a background of zero."""
    grid = np.moveaxis(np.indices(shape), 0, -1) - (np.array(shape) - 1) / 2
    found = []
    for _ in range(count):
        radius = np.linalg.norm(grid * (1 + 0.15 * rng.normal(size=len(shape))), axis=-1)
        found.append(np.clip(1.5 - radius / (0.25 * min(shape)), 0, 1))
    return np.stack(found).astype("float32")


@pytest.fixture
def model(rng):
    """A small network whose output is about as large as a momentum is."""
    found = Quicksilver(2, width=2, dropout=0.2, corrected=True, momentum_scale=0.8)
    found.build()
    for weight in found.weights:
        weight.assign(0.3 * rng.normal(size=weight.shape))
    return found


def test_full_network_has_the_parameters_of_the_papers_layers():
    network = MomentumNetwork(3)
    network.build()
    assert network.count_params() == 21_826_344
    encoders = sum(encoder.count_params() for encoder in network.encoders)
    assert encoders == 2_986_896
    patch = np.zeros((1, 15, 15, 15, 1), "float32")
    code = keras.ops.concatenate([encoder(patch) for encoder in network.encoders], axis=-1)
    assert tuple(code.shape) == (1, 5, 5, 5, 256)


@pytest.mark.parametrize("ndim", [2, 3])
def test_sizes_and_slopes_of_the_layers(ndim):
    network = MomentumNetwork(ndim, width=2, dropout=0.2)
    network.build()
    patch = np.zeros((3, *(15,) * ndim, 1), "float32")
    assert tuple(network(patch, patch).shape) == (3, *(15,) * ndim, ndim)
    sizes = [layer.output.shape[1] for layer in network.encoders[0].layers]
    assert sizes[0] == 15 and sizes[-1] == 5 and 8 in sizes
    decoder = network.decoders[0].layers
    assert [decoder[0].output.shape[1], decoder[1].output.shape[1]] == [10, 8]
    assert decoder[-1].output.shape[1] == 15
    slopes = [layer for layer in network.encoders[0].layers if "re_lu" in layer.name]
    assert len(slopes) == 8 and all(layer.count_params() == 1 for layer in slopes)
    assert len(network.dropouts) == 2 * 6 + ndim * 5


def test_networks_see_the_moving_image_first(rng):
    network = MomentumNetwork(2, width=2)
    network.build()
    one, other = rng.random((2, 1, 15, 15, 1)).astype("float32")
    for weight in network.encoders[0].weights:
        weight.assign(0 * weight)
    same = np.asarray(network(one, other)), np.asarray(network(other, other))
    np.testing.assert_array_equal(*same)
    assert np.abs(np.asarray(network(one, one)) - same[0]).max() > 1e-4


@pytest.mark.on_jax
def test_whole_images_by_call_and_by_patches_of_the_answer(rng, numpy, model):
    images = brains(rng, (46, 40))
    called = model({"fixed": images[:1, ..., None], "moving": images[1:, ..., None]})
    answer = model.register(images[0], images[1])
    np.testing.assert_allclose(answer.displacement, numpy(called["displacement"])[0], atol=1e-4)
    unit = ops.FluidOperator().c
    parameters = numpy(called["parameters"])[0]
    np.testing.assert_allclose(answer.path.momentum, unit * parameters, atol=1e-6)
    assert np.abs(answer.displacement).max() > 0.05
    np.testing.assert_allclose(answer.at(1), answer.displacement, atol=1e-5)
    # A corner without content in either image has no momentum.
    far = np.pad(images, ((0, 0), (0, 30), (0, 30)))
    assert not model.register(far[0], far[1]).path.momentum[-15:, -15:].any()


def test_denser_patches_are_those_of_a_stride(rng, model):
    fixed, moving = (image[None, ..., None] for image in brains(rng, (31, 29)))
    expected = model.predicted("prediction", fixed, moving, stride=7)
    answer = model.register(fixed[0, ..., 0], moving[0, ..., 0], stride=7)
    np.testing.assert_allclose(answer.path.momentum, 0.001 * expected[0], atol=1e-6)
    assert np.abs(expected - model.predicted("prediction", fixed, moving)).max() > 1e-3
    corrected = model.register(fixed[0, ..., 0], moving[0, ..., 0], correct=True, stride=7)
    assert np.abs(corrected.path.momentum - answer.path.momentum).max() > 1e-6


@pytest.mark.on_jax
def test_correction_adds_the_momentum_of_what_is_left(rng, numpy, model):
    fixed, moving = (image[None, ..., None] for image in brains(rng, (31, 29)))
    first = model.predicted("prediction", fixed, moving)
    forward = ops.geodesic(model.transform((31, 29)).momentum(first))[1]
    back = numpy(ops.resample(fixed, forward))
    expected = first + model.predicted("correction", back, moving)
    answer = model.register(fixed[0, ..., 0], moving[0, ..., 0], correct=True)
    assert (answer.details["share"] == 1).all()
    np.testing.assert_allclose(answer.path.momentum, 0.001 * expected[0], atol=1e-6)
    assert np.abs(expected - first).max() > 0.01


@pytest.mark.compiled
def test_a_momentum_that_folds_is_shortened(rng, numpy, model):
    """Three at once: as they are, by tenths, not at all."""
    grid = np.indices((31, 29)) - np.array([[[15]], [[14]]])
    bump = np.exp(-(grid**2).sum(axis=0) / 18)[..., None] * np.array([1.0, -0.5])
    added = np.stack([2 * bump, 40 * bump, 1e4 * bump]).astype("float32")
    transform = model.transform((31, 29))
    least = [
        numpy(ops.jacobian_determinant(transform.displacement(values))).min(axis=(1, 2))
        for values in (added, 0.9**20 * added)
    ]
    assert least[0][0] > 0.1 > least[0][1] and least[1][2] < 0.1 < least[1][1]
    found, share = model.unfolded(np.zeros_like(added), added)
    tenths = np.log(share[1]) / np.log(0.9)
    assert share[0] == 1 and share[2] == 0 and tenths == pytest.approx(round(tenths), abs=1e-3)
    np.testing.assert_allclose(found, share[:, None, None, None] * added)
    before = 0.1 * added[:1]
    both, (part,) = model.unfolded(before, added[1:2])
    np.testing.assert_allclose(both, before + part * added[1:2], rtol=1e-6)
    assert 0 < part < 1
    model.predicted = lambda *_, **__: added[1:2]
    answer = model.register(*rng.random((2, 31, 29)))
    assert answer.check().jacobian_min > 0.05
    assert answer.details["share"] == share[1]


@pytest.mark.long
@pytest.mark.on_jax
def test_samples_are_those_of_dropout_and_come_again(rng, model):
    pair = brains(rng, (31, 29))
    found, again = (model.register(*pair, samples=4) for _ in range(2))
    np.testing.assert_array_equal(found.path.momentum, again.path.momentum)
    variance = found.details["variance"]
    assert variance.shape == (31, 29) and (variance >= 0).all() and variance.max() > 1e-4
    images = [image[None, ..., None] for image in pair]
    momenta = [model.predicted("prediction", *images, sample=k)[0] for k in range(4)]
    np.testing.assert_allclose(found.path.momentum, 0.001 * np.mean(momenta, axis=0), atol=1e-6)
    fields = [np.asarray(ops.shoot(0.001 * m[None]))[0] for m in momenta]
    expected = np.var(fields, axis=0).sum(axis=-1)
    np.testing.assert_allclose(variance, expected, atol=1e-3 * expected.max())


@pytest.mark.long
@pytest.mark.compiled
def test_refining_goes_on_with_lddmm(rng, model):
    pair = brains(rng, (31, 29))
    errors = []
    for refine in (0, 3, 12):
        answer = model.register(*pair, refine=refine)
        errors.append(((answer.moved - answer.fixed) ** 2).mean())
        assert answer.check().jacobian_min > 0 and answer.path is not None
    assert errors[0] > errors[1] > errors[2]


def test_volumes(rng):
    model = Quicksilver(3, width=1, voxel_size=(2.0, 1.0, 1.0))
    pair = brains(rng, (16, 20, 18))
    answer = model.register(*pair)
    assert answer.displacement.shape == (16, 20, 18, 3)
    np.testing.assert_allclose(answer.at(1), answer.displacement, atol=1e-5)


@pytest.mark.long
def test_images_in_space_of_any_size_and_voxels(rng, model):
    """A network of other voxels: nothing is cut, and the path is in millimetres."""
    grid = Geometry((36, 44), (1.4, 1.7), (3.0, -2.0), ((0.8, -0.6), (0.6, 0.8)))
    fixed, moving = (Image(one, grid) for one in brains(rng, (44, 36)))
    model.preprocessing = Preprocessing((24, 20), (1.5, 1.5), covers="field of view")
    for options in ({}, {"correct": True}, {"refine": 2}):
        answer = model.register(fixed, moving, **options)
        points = grid.to_physical([[12.0, 9.0], [20.0, 30.0]])
        there = answer.transform.apply_points(points)
        np.testing.assert_allclose(answer.at(1).apply_points(points), there, atol=1e-3)
        assert answer.momentum[0].geometry.spacing == pytest.approx((1.5, 1.5))
        extent = np.multiply(answer.momentum[0].geometry.shape, 1.5)
        assert (extent > np.multiply(grid.shape, grid.spacing[::-1]) - 1.5).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"correct": 1}, "correct must be True or False. Received: correct=1"),
        ({"samples": 1}, "samples must be 0, or 2 or more. Received: samples=1"),
        ({"samples": 2.0}, "samples must be 0, or 2 or more. Received: samples=2.0"),
        ({"correct": True}, "no correction network. Received: correct=True"),
        ({"samples": 5}, "no dropout to sample. Received: samples=5"),
        ({"stride": 15}, "stride must be an integer, 1 to 14. Received: 15"),
        ({"stride": 7.0}, "stride must be an integer, 1 to 14. Received: 7.0"),
    ],
)
def test_options_without_effect_are_refused(rng, options, message):
    with pytest.raises(InputError, match=message):
        Quicksilver(2, width=1).register(*brains(rng, (20, 18)), **options)


@pytest.mark.parametrize(
    "options", [{"width": 0}, {"dropout": 1.0}, {"momentum_scale": 0}, {"correction_scale": -1}]
)
def test_bad_arguments_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Quicksilver(2, **options)


def test_predicted_displacements_are_answered_as_they_are(rng):
    model = DisplacementPrediction(2, width=1, momentum_scale=0.5)
    model.build()
    fixed, moving = rng.random((2, 20, 18))
    answer = model.register(fixed, moving)
    units = (model.unit(image[None, ..., None]) for image in (fixed, moving))
    expected = model.predicted("prediction", *units)[0]
    np.testing.assert_allclose(answer.displacement, expected, atol=1e-5)
    assert answer.path is None and np.abs(expected).max() > 0.01
    with pytest.raises(InputError, match=r"displacements are not refined\. Received: refine=3"):
        model.register(fixed, moving, refine=3)
