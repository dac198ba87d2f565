"""Stages that lower the similarity are left out, where the preset says so."""

import numpy as np
import pytest
from dlir_cases import AFFINE, SOLID, inputs, randomised, smooth
from keras import ops as keras_ops

from tfreg import features, losses, ops
from zoo.dlir import tiles
from zoo.dlir.model import DLIR
from zoo.dlir.similarities import similarity_of

pytestmark = pytest.mark.plain

SHAPE = (9, 20, 24)
SIDES = "fixed", "moving"


@pytest.fixture
def pair(rng):
    """Of the first pair both images are one; of the second they are not."""
    found = inputs(rng, SHAPE)
    found["moving"][0] = found["fixed"][0]
    return found


def ncc(numpy, fixed, moving, displacement):
    return numpy(losses.ncc(fixed, ops.resample(moving, displacement)))


@pytest.mark.on_jax
def test_a_stage_that_lowers_ncc_is_left_out_pair_by_pair(pair, numpy):
    plain = randomised(DLIR(3, [AFFINE, SOLID]), outputs=0.05)
    model = DLIR(3, [AFFINE, SOLID], keep="better")
    model.build()
    model.set_weights(plain.get_weights())
    fixed, moving = pair["fixed"], pair["moving"]
    before = numpy(plain.parameters(fixed, moving))
    after = numpy(model.parameters(fixed, moving))
    assert np.abs(before[0]).max() > 0.1
    # What is aligned perfectly can only be made worse: no stage is kept.
    np.testing.assert_array_equal(after[0], 0)
    start = ncc(numpy, fixed, moving, np.zeros((2, *SHAPE, 3), "float32"))
    for count in (1, 2):
        row = numpy(model.parameters(fixed, moving, stages=count))
        found = ncc(numpy, fixed, moving, numpy(model.displacement(row, SHAPE)))
        assert (found >= start - 1e-6).all()
        start = found
    # The first stage of the second pair: kept as it is, or not at all.
    first = before[1, : model.networks[0].size]
    alone = numpy(plain.displacement(before[:, : len(first)], SHAPE))
    better = ncc(numpy, fixed, moving, alone)[1] >= ncc(numpy, fixed, moving, 0 * alone)[1]
    expected = first if better else 0 * first
    np.testing.assert_allclose(after[1, : len(first)], expected, atol=1e-6)


def test_a_stage_that_helps_is_kept(rng, numpy):
    model = DLIR(3, [AFFINE], keep="better")
    model.build()
    fixed = smooth(rng, SHAPE, 1)
    moving = np.roll(fixed, (0, 2, 0), axis=(1, 2, 3))
    own = np.zeros((1, 12), "float32")
    own[0, 1] = 2
    model.networks[0].call = lambda *_, **__: keras_ops.convert_to_tensor(own)
    np.testing.assert_array_equal(numpy(model.parameters(fixed, moving)), own)
    np.testing.assert_array_equal(numpy(model.parameters(moving, fixed)), 0)


def test_training_uses_every_stage(pair, numpy):
    plain = randomised(DLIR(3, [AFFINE, SOLID]), outputs=0.05)
    model = DLIR(3, [AFFINE, SOLID], keep="better")
    model.build()
    model.set_weights(plain.get_weights())
    both = [numpy(one(pair, training=True)["parameters"]) for one in (plain, model)]
    np.testing.assert_allclose(*both, atol=1e-6)
    assert np.abs(both[0][0]).max() > 0.1


def test_tiles_leave_out_the_same_stages(rng, numpy):
    model = randomised(DLIR(3, [AFFINE, SOLID], keep="better"), outputs=0.03)
    shape = (9, 26, 40)
    pair = inputs(rng, shape)
    pair["moving"][0] = pair["fixed"][0]
    expected = numpy(model.parameters(pair["fixed"], pair["moving"]))
    found = tiles.parameters(model, pair["fixed"], pair["moving"], 2, 16)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_array_equal(found[0], 0)


@pytest.mark.parametrize("option", [{"keep": "best"}, {"similarity": "mi"}])
def test_unknown_choices_are_named(option):
    ((name, value),) = option.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value}"):
        DLIR(2, [AFFINE], **option)


def test_choices_survive_the_configuration():
    model = DLIR(2, [AFFINE], keep="better", similarity="lncc")
    again = DLIR.from_config(model.get_config())
    assert (again.keep, again.similarity) == ("better", "lncc")


def test_the_loss_is_of_the_similarity(pair, numpy):
    """Of an identity: less the similarity of the images; the metric is NCC in any case."""
    seen = {}
    alone = {"ncc": losses.ncc, "lncc": losses.lncc}
    alone["mind"] = lambda fixed, moving: similarity_of("mind")(fixed, moving, None)
    for name, alike in alone.items():
        model = DLIR(3, [AFFINE], similarity=name)
        model.build()
        answer = model(pair, training=True)
        seen[name] = float(numpy(model.compute_loss(pair, None, answer)))
        expected = -numpy(alike(pair["fixed"], pair["moving"])).mean()
        assert seen[name] == pytest.approx(expected, abs=1e-5)
        ncc = numpy(losses.ncc(pair["fixed"], pair["moving"])).mean()
        assert float(numpy(model.ncc_tracker.result())) == pytest.approx(ncc, abs=1e-5)
    assert len({round(value, 3) for value in seen.values()}) == 3


@pytest.mark.on_jax
def test_mind_is_of_descriptors_under_the_mask(pair, numpy):
    """One less their mean squared difference, times five; another contrast changes nothing."""
    mask = np.zeros_like(pair["fixed"])
    mask[:, 2:6, 3:15, 4:20] = 1
    alike = similarity_of("mind")
    found = numpy(alike(pair["fixed"], pair["moving"], mask))
    sides = [numpy(features.mind_ssc(pair[side]))[1][mask[1, ..., 0] > 0] for side in SIDES]
    assert found[0] == pytest.approx(1)
    assert found[1] == pytest.approx(1 - 5 * np.square(sides[0] - sides[1]).mean(), abs=1e-5)
    assert found[1] < 0.9
    np.testing.assert_allclose(
        numpy(alike(2 - pair["fixed"], pair["moving"], mask)), found, atol=1e-3
    )
