import itertools
import re

import keras
import numpy as np
import pytest

import zoo
from tfreg import losses, ops
from tfreg.data import damage, sections, tissue
from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.registration import Level, Pyramid, register
from zoo.ssemnet import maps, similarity
from zoo.ssemnet.energy import of_features, of_intensities, regularisers
from zoo.ssemnet.model import SsEMnet
from zoo.ssemnet.scheme import SCHEMES, Scheme, scheme_of
from zoo.ssemnet.similarity import FeatureSimilarity
from zoo.ssemnet.start import start
from zoo.ssemnet.turn import align_in_turn


def values(**changes):
    plain = {**vars(SCHEMES["paper"]), "spacings": (16,), "steps": 8, "drop_steps": 1}
    return {**plain, **changes}


def made(seed=3, **changes):
    """A small network with random weights."""
    keras.utils.set_random_seed(seed)
    model = SsEMnet((4, 6), (1, 1), 8, scheme=values(**changes))
    model.build()
    return model


@pytest.fixture(scope="module")
def pair():
    """A section, and it once more, deformed by a known map."""
    section = tissue.block(1, (64, 80), seed=5).images[0]
    return section, damage.cut(section, rms=1.5, shift=2.0, seed=2)


def test_the_drop_is_halved_round_by_round():
    scheme = Scheme(**values(drop=0.5, drop_steps=3, steps=40))
    rounds = list(scheme.rounds())
    assert [drop for drop, _ in rounds] == [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0]
    assert [steps for _, steps in rounds] == [3] * 6 + [22]
    assert list(Scheme(**values(drop=0.0)).rounds()) == [(0.0, 8)]
    assert list(Scheme(**values(drop=0.5, drop_steps=5, steps=8)).rounds()) == [(0.5, 5), (0.0, 3)]


def test_the_encoder_halves_with_every_block_and_the_decoder_doubles(numpy):
    model = SsEMnet()
    model.build()
    images = np.zeros((2, 40, 59, 1), "float32")  # 59: three pixels fill no pixel of the code
    code = model.encoded(images)
    assert tuple(code.shape) == (2, 5, 7, 64) and model.factor == 8
    assert tuple(model.decoded(code).shape) == (2, 40, 56, 1)
    # Weights and biases of 3x3 convolutions: 1-8, 8-16-16, 16-32-32, 32-64.
    widths = (1, 8, 16, 16, 32, 32, 64)
    count = sum(9 * a * b + b for a, b in itertools.pairwise(widths))
    assert sum(w.size for layer in model.encoder for w in layer.get_weights()) == count


def test_every_unit_begins_alive_and_the_reconstruction_as_the_mean_grey(rng, numpy):
    keras.utils.set_random_seed(0)
    model = SsEMnet((4, 6), (1, 2), 8)
    model.build()
    kernels = [layer.get_weights()[0] for layer in (*model.encoder, *model.decoder)]
    images = (0.7 + 0.1 * rng.normal(size=(4, 32, 40, 1))).astype("float32")
    start(model, images)
    code = numpy(model.encoded(images))
    active = (code > 0).mean(axis=(0, 1, 2))
    assert active.min() > 0.3 and active.max() < 0.7
    np.testing.assert_allclose(numpy(model.decoded(code)), images.mean(), rtol=1e-5)
    after = [layer.get_weights()[0] for layer in (*model.encoder, *model.decoder)]
    for one, other in zip(kernels[:-1], after[:-1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_equation_3_is_the_reconstruction_and_all_squares(rng, numpy):
    model = SsEMnet((2,), (1,), 3, decay=0.01)
    model.build()
    images = rng.random((2, 8, 8, 1)).astype("float32")
    found = model(images)
    loss = float(numpy(model.compute_loss(images, None, found)))
    squares = sum((weight**2).sum() for weight in model.get_weights())
    expected = ((images - numpy(found)) ** 2).mean() + 0.01 * squares
    assert loss == pytest.approx(expected, rel=1e-5)


def test_the_energy_is_equation_5_term_by_term(rng, numpy):
    model = made(alpha=0.3, beta=0.5, gamma=0.7, drop=0.0)
    moving = rng.random((1, 32, 48, 1)).astype("float32")
    fixed = rng.random((1, 32, 48, 2)).astype("float32")
    references = model._features(fixed)
    vectors = rng.normal(size=(1, 2, 3, 2)).astype("float32")
    weights = np.array([0.25, 0.75], "float32")
    zero = np.float32(0)
    energy = of_features(model.encoded, model.factor, model.scheme, 16)
    masks = rng.random((2, 1, 32, 48, 1)).astype("float32")
    found = numpy(energy(vectors, zero, weights, references, moving, *masks))[0]
    field = maps.dense(vectors, (32, 48), 16, "bilinear")
    code = model.encoded(ops.resample(moving, field))
    moved_mask = ops.resample(masks[1], field, mode="constant")
    mask = similarity.averaged(masks[0] * moved_mask, model.factor)
    unlike = [
        float(numpy(similarity.distance(references[:, i], code, mask, 0.0, "squared"))[0])
        for i in (0, 1)
    ]
    v = vectors[0] / 16
    rough = [
        (np.diff(v[..., c], axis=0) ** 2).mean() + (np.diff(v[..., c], axis=1) ** 2).mean()
        for c in (0, 1)
    ]
    expected = 0.25 * unlike[0] + 0.75 * unlike[1] + 0.3 * (v**2).sum(axis=-1).mean()
    expected += 0.7 * rough[0] + 0.5 * rough[1]  # gamma: along y; beta: along x
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "interpolation",
    [
        "bilinear",
        *(pytest.param(n, marks=pytest.mark.long) for n in maps.INTERPOLATIONS if n != "bilinear"),
    ],
)
def test_a_known_map_is_found_whatever_the_interpolation(pair, interpolation):
    section, cut = pair
    model = made(interpolation=interpolation, steps=60, similarity="centred", learning_rate=1.0)
    before = [weight.copy() for weight in model.get_weights()]
    answer = model.register(cut.image, section)
    left = np.linalg.norm(answer.displacement - cut.displacement, axis=-1)[8:-8, 8:-8]
    start = np.linalg.norm(cut.displacement, axis=-1)[8:-8, 8:-8]
    assert left.mean() < 0.45 * start.mean()
    for one, other in zip(before, model.get_weights(), strict=True):  # only the map is optimised
        np.testing.assert_array_equal(one, other)


@pytest.mark.long
def test_steps_on_ncc_follow_where_the_scheme_has_them(pair):
    section, cut = pair
    without, model = (made(ncc_steps=steps) for steps in (0, 20))
    answer = model.register(cut.image, section)
    assert answer.similarity_after > without.register(cut.image, section).similarity_after + 0.01
    # Onto one neighbour it is the same.
    onto = model.align_to(cut.image[None], section)
    np.testing.assert_allclose(onto, answer.displacement, atol=1e-4)


def test_the_steps_on_ncc_have_the_masks_and_the_regularisers(rng, numpy):
    scheme = Scheme(**values(alpha=0.3))
    fixed, moving = rng.random((2, 1, 32, 48, 1)).astype("float32")
    fixed_mask, moving_mask = rng.random((2, 1, 32, 48, 1)).astype("float32")
    other = rng.random((1, 32, 48, 1)).astype("float32")
    vectors = rng.normal(size=(1, 2, 3, 2)).astype("float32")
    both, weights = np.concatenate([fixed, other], axis=-1), np.array([0.25, 0.75], "float32")
    found = of_intensities(scheme, 16)(vectors, weights, both, moving, fixed_mask, moving_mask)
    field = maps.dense(vectors, (32, 48), 16, "bilinear")
    mask = fixed_mask * ops.resample(moving_mask, field, mode="constant")
    moved = ops.resample(moving, field)
    alike = 0.25 * losses.ncc(fixed, moved, mask) + 0.75 * losses.ncc(other, moved, mask)
    expected = regularisers(vectors, scheme, 16) - alike
    np.testing.assert_allclose(numpy(found), numpy(expected), atol=1e-6)


def test_registering_looks_where_the_masks_say(pair):
    """Of a section whose right half is another one's, and said to be nothing."""
    section, cut = pair
    model = made(steps=20, learning_rate=1.0, drop=0.0)
    spoilt, mask = section.copy(), np.ones(section.shape, "float32")
    spoilt[:, 40:], mask[:, 40:] = section[::-1, 40:], 0
    everywhere = np.ones_like(mask)
    masked, plain = (
        model.register(cut.image, spoilt, fixed_mask=everywhere, moving_mask=m).displacement
        for m in (mask, everywhere)
    )
    # Nothing pulls at what is not looked at: there the map goes on as it is beside it.
    rough = [np.abs(np.diff(u[:, 48:], axis=1)).mean() for u in (masked, plain)]
    assert rough[0] < 0.7 * rough[1]
    # Of images in space as of arrays.
    grid = Geometry.of_shape(section.shape)
    images = (Image(one, grid) for one in (cut.image, spoilt))
    there = model.register(*images, moving_mask=Image(mask, grid)).inner.displacement
    np.testing.assert_allclose(there, masked, atol=1e-4)


@pytest.mark.long
@pytest.mark.on_jax
def test_registering_follows_the_weights(pair):
    section, cut = pair
    model, other = (made(seed, steps=10, learning_rate=1.0) for seed in (3, 4))
    first = model.register(cut.image, section).displacement
    model.set_weights(other.get_weights())
    found = model.register(cut.image, section).displacement
    assert np.abs(found - first).max() > 0.1
    expected = other.register(cut.image, section).displacement
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.long
def test_several_neighbours_agree_on_one_map(pair):
    section, cut = pair
    model = made(steps=40, learning_rate=1.0)
    stack = np.stack([cut.image, cut.image])
    found = model.align_to(stack, section)
    start = np.linalg.norm(cut.displacement, axis=-1).mean()
    assert np.linalg.norm(found - cut.displacement, axis=-1).mean() < 0.6 * start
    noise = np.random.default_rng(0).integers(0, 255, section.shape).astype("uint8")
    ignoring = model.align_to(np.stack([cut.image, noise]), section, weights=(1, 0))
    np.testing.assert_allclose(ignoring, found, atol=0.05)
    for wrong, message in (
        ({"weights": (1, 1, 1)}, "2 numbers.*1, 1, 1"),
        ({"weights": (0, 0)}, "not all 0"),
        ({"moving": section[1:]}, r"Received: \(2, 64, 80\) and \(63, 80\)"),
    ):
        with pytest.raises(InputError, match=message):
            model.align_to(**{"neighbours": stack, "moving": section, **wrong})


@pytest.mark.long
def test_any_keras_model_is_an_encoder_of_the_engine(pair):
    section, cut = pair
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential(
        [
            keras.Input((None, None, 1)),
            keras.layers.Conv2D(6, 3, padding="same", activation="relu"),
            keras.layers.AveragePooling2D(2),
        ]
    )
    features = FeatureSimilarity(encoder)
    one_level = Pyramid((Level(1, steps=40),))
    answer = register(cut.image, section, "translation", similarity=features, pyramid=one_level)
    assert answer.similarity == "features (centred)"
    shift = cut.displacement.mean(axis=(0, 1))
    assert np.linalg.norm(answer.displacement[32, 40] - shift) < 0.5 * np.linalg.norm(shift)
    with pytest.raises(InputError, match="similarity must be one of"):
        FeatureSimilarity(encoder, "cosine")
    with pytest.raises(InputError, match=r"drop=1.0"):
        FeatureSimilarity(encoder, drop=1.0)
    valid = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(2, 5)])
    for other, shape in ((valid, "(60, 76)"), (lambda x: x[:, :, ::2], "(64, 40)")):
        with pytest.raises(InputError, match=re.escape(f"Received: {shape} of images of (64, 80)")):
            FeatureSimilarity(other)(*np.zeros((2, 1, 64, 80, 1), "float32"), None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"interpolation": "nearest"}, "interpolation='nearest'"),
        ({"similarity": "mse"}, "similarity='mse'"),
        ({"spacings": (16, 32)}, r"coarse to fine. Received: spacings=\(16, 32\)"),
        ({"spacings": (1,)}, r"2 px or more. Received: spacings=\(1,\)"),
        ({"drop": 1.0}, "drop=1.0"),
        ({"alpha": -1.0}, "alpha must be 0 or more. Received: -1.0"),
        ({"steps": 0}, "steps must be positive. Received: 0"),
        ({"drop_steps": 8}, "drop=0.5, steps=8, drop_steps=8"),
    ],
)
def test_a_scheme_that_cannot_be_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        SsEMnet(scheme=values(**changes))


def test_other_bad_arguments_are_refused():
    with pytest.raises(InputError, match=r"one of \('paper', 'plus'\). Received: scheme=best"):
        SsEMnet(scheme="best")
    with pytest.raises(InputError, match=r"A scheme has alpha, beta.*Received: drop"):
        scheme_of({"drop": 0.5})
    with pytest.raises(ValueError, match=r"as many.*\(8,\), \(1, 2\)"):
        SsEMnet((8,), (1, 2))
    with pytest.raises(ValueError, match="decay=-1"):
        SsEMnet(decay=-1)
    with pytest.raises(InputError, match=r"16 px or more.*size=\(12, 40\)"):
        SsEMnet().check_size((12, 40))


@pytest.mark.parametrize("in_turn", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_stack_is_aligned_with_it(pair, tmp_path, in_turn):
    section, cut = pair
    model = made(steps=40, learning_rate=1.0, similarity="centred")
    stack = [cut.image, section, cut.image]
    if in_turn:
        found = align_in_turn(model, stack, 1, start="none")
        np.testing.assert_array_equal(found.displacement(0), 0)
    else:
        found = model.align(stack, start="none", neighbours=1, drift=None, folder=tmp_path)
        other = made(4, steps=40, learning_rate=1.0, similarity="centred")
        with pytest.raises(InputError, match="another model, weights_sha256"):
            other.align(stack, start="none", neighbours=1, drift=None, folder=tmp_path)
    # Where the cut one shows x, the section shows x + d(x): the maps differ by it.
    inner = (slice(12, -12),) * 2
    painted = np.linalg.norm(cut.displacement, axis=-1)[inner].mean()
    between = found.displacement(1) - found.displacement(0)
    assert np.linalg.norm(between - cut.displacement, axis=-1)[inner].mean() < 0.6 * painted
    apart = found.displacement(2) - found.displacement(0)
    assert np.linalg.norm(apart, axis=-1)[inner].mean() < 0.4 * painted


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("ssemnet-phantom", "phantom"),
        pytest.param("ssemnet-vnc", "vnc", marks=pytest.mark.real_data),
    ],
)
def test_no_unit_of_a_preset_is_dead(numpy, name, source):
    images = sections.stacks(source, "validation")[0].images[:3]
    code = numpy(zoo.load(name).encoded(images[..., None].astype("float32") / 255))
    assert code.shape[-1] == 64 and (code > 0).any(axis=(0, 1, 2)).all()
