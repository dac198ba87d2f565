"""Prepare, run, conclude: alone and together, with a network and a refinement on either grid."""

from dataclasses import replace

import numpy as np
import pytest
from physical_cases import QUICK, SHIFT, grids, image
from shipped import CHESTS, DIGITS

import zoo
from tfreg.errors import InputError
from tfreg.image import Image
from tfreg.registration import Level, Preprocessing, Pyramid, Refinement, confine, job, register
from tfreg.registration.inference import Inference
from tfreg.registration.instance.optimisation import Optimisation

STILL = Pyramid((Level(steps=0),))


@pytest.fixture(scope="module")
def model():
    found = zoo.load(DIGITS)
    found.preprocessing = Preprocessing((28, 28), (2.5, 2.5))
    return found


@pytest.fixture
def flat():
    """Two images on two oblique grids that are finer than the network's, and their masks."""
    fixed, moving = grids(2)
    images = image(fixed), image(moving, SHIFT[2], scale=30)
    masks = [Image(one.array > 0.2 * one.array.max(), one.geometry) for one in images]
    return *images, dict(zip(("fixed_mask", "moving_mask"), masks, strict=True))


@pytest.mark.filterwarnings("ignore::tfreg.errors.InputWarning")
@pytest.mark.parametrize("refine", [0, 5, QUICK, Refinement(pyramid=QUICK, grid="fixed")])
def test_together_as_alone(model, flat, refine):
    fixed, moving, masks = flat
    named = not isinstance(refine, int)
    method = Inference(model, refine, masks=masks if named else ())
    given = [masks, {k: Image(m.array[::-1], m.geometry) for k, m in masks.items()}]
    given = given if named else [{}, {}]
    other = Image(moving.array[::-1].copy(), moving.geometry)
    pairs = ((fixed, moving), (fixed, other))
    jobs = [job.prepare(method, *pair, **own) for pair, own in zip(pairs, given, strict=True)]
    assert jobs[0].kind == jobs[1].kind and jobs[0].single
    together = job.run(method, jobs)
    for one, found in zip(jobs, together, strict=True):
        (alone,) = job.run(method, [one])
        np.testing.assert_allclose(found.displacement, alone.displacement, atol=5e-3)
        answer = job.conclude(one, found)
        assert answer.inner is found and answer.fixed.geometry == fixed.geometry
    assert np.abs(together[0].displacement - together[1].displacement).max() > 0.5
    smaller = Image(fixed.array[:, 4:], fixed.geometry.resampled(size=(40, 36)))
    third = job.prepare(method, smaller, moving)
    finer = isinstance(refine, Refinement)
    assert (third.kind == jobs[0].kind) == (not named)
    assert (third.refined is None) == (not finer)


@pytest.mark.filterwarnings("ignore::tfreg.errors.InputWarning")
def test_a_refinement_on_the_voxels_of_the_fixed_image(model, flat):
    fixed, moving, _ = flat
    alone = model.register(fixed, moving)
    assert alone.inner.fixed.shape == (28, 28)
    still = model.register(fixed, moving, Refinement(pyramid=STILL, grid="fixed"))
    assert still.inner.fixed.shape == fixed.array.shape
    middle = fixed.geometry.to_physical([[10.0, 12.0], [20.5, 20.0], [24.0, 31.0]])
    expected = alone.warp_points(middle)
    assert np.abs(expected - middle).max() > 1  # mm
    np.testing.assert_allclose(still.warp_points(middle), expected, atol=0.02)
    # Before is under the initial alignment, not where the network led.
    before = moving.resample(fixed.geometry).array
    expected = np.corrcoef(fixed.array.ravel(), before.ravel())[0, 1]
    assert still.similarity_before == pytest.approx(expected, abs=0.01)
    assert still.similarity_after > still.similarity_before + 0.01
    finer = model.register(fixed, moving, Refinement(pyramid=QUICK, grid="fixed"))
    assert finer.similarity_after > still.similarity_after


def test_what_a_preset_says_of_its_refinement(model, flat):
    fixed, moving = (one.array[:28, :28] for one in flat[:2])
    masks = {name: one.array[:28, :28] for name, one in flat[2].items()}
    own = {"similarity": "mse", "confine": True}
    again = type(model)(**{**model.get_config(), "refinement": own})
    assert again.register(fixed, moving, STILL).similarity == "mse"  # nothing to confine to
    found = Inference(again, "fast", masks=masks).refinement
    assert found == Refinement(similarity="mse", confine=True, pyramid="fast")
    chest = zoo.load(CHESTS).refinement
    assert (chest.similarity, chest.confine, chest.grid) == ("lncc", True, "fixed")
    with pytest.raises(InputError, match="confine needs the masks of both images"):
        again.register(fixed, moving, replace(again.refinement, pyramid=STILL))
    with pytest.raises(InputError, match=r"spacing would have no effect.*refine=3"):
        again.register(fixed, moving, 3, spacing=(1.0, 2.0))


@pytest.mark.parametrize(
    "options",
    [{"similarity": "ncc"}, pytest.param({"similarity": "mse"}, marks=pytest.mark.long)],
)
def test_confined_to_both_masks(hearts, two_levels, options):
    images = hearts.fixed[0], hearts.moving[0] + 3
    masks = [(labels > 0).astype("uint8") for labels in (hearts.fixed_labels[0],) * 2]
    names = {"fixed_mask": masks[0], "moving_mask": masks[1]}
    answer = register(*images, pyramid=two_levels, confine=True, **names, **options)
    shown = confine(*images, *masks)
    by_hand = register(*shown[:2], pyramid=two_levels, fixed_mask=shown.fixed_mask, **options)
    np.testing.assert_allclose(answer.displacement, by_hand.displacement, atol=1e-4)
    assert answer.similarity_after == pytest.approx(by_hand.similarity_after, abs=1e-5)
    np.testing.assert_array_equal(answer.moving, images[1])
    assert answer.moved.min() > 2.9  # what was given is moved, not what was shown
    batch = register(
        *(np.stack([one] * 2) for one in images),
        pyramid=two_levels,
        confine=True,
        ndim=2,
        **{name: np.stack([mask] * 2) for name, mask in names.items()},
        **options,
    )
    np.testing.assert_allclose(batch.displacement[1], answer.displacement, atol=0.02)
    with pytest.raises(InputError, match="no moving_mask"):
        register(*images, confine=True, fixed_mask=masks[0])


def test_the_way_says_what_does_not_fit():
    still = Optimisation(pyramid=STILL)
    features = np.random.default_rng(0).random((8, 9, 2))
    with pytest.raises(InputError, match="as many channels"):
        job.prepare(still, features, features[..., :1], channels=True)
    with pytest.raises(InputError, match=r"\(\*2 axes, channels\)"):
        job.prepare(still, features[0], features[0], ndim=2, channels=True)
    fixed = image(grids(2)[0])
    with pytest.raises(InputError, match="channels is that of arrays"):
        job.prepare(still, fixed, fixed, channels=True)
