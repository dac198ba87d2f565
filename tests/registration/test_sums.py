"""MIND, sums of similarities, and what they see on the grid of a level."""

import numpy as np
import pytest

from tfreg import losses, ops
from tfreg.errors import InputError
from tfreg.features import mind_ssc, mind_ssc_on_grids
from tfreg.registration import Level, Pyramid, Refinement, register
from tfreg.registration.images import unit_range
from tfreg.registration.instance import memory, similarity
from tfreg.registration.instance.seen import Seen
from tfreg.registration.instance.similarity import WeightedSum, as_similarity, similarity_of

STILL = Pyramid((Level(grid_spacing=8, steps=0),))


def error(answer, hearts):
    off = answer.warp_points(hearts.fixed_points) - hearts.moving_points
    return np.linalg.norm(off, axis=-1).mean()


def by_hand(fixed, moved, factors=(1, 1), mask=None):
    """Minus the squared difference of the descriptors of scaled images, in units of noise."""
    one, other = (
        mind_ssc_on_grids(unit_range(side[..., None]), [factors])[factors]
        for side in (fixed, moved)
    )
    squares = np.square(one - other).mean(axis=-1)
    mean = np.average(squares, weights=mask, axis=(1, 2))
    return -mean / similarity._MIND_OF_NOISE[2]


# The names and their weights


def test_what_means_a_sum():
    assert as_similarity("mi") == "mi" and as_similarity({"mind": 2}) == "mind"
    both = as_similarity({"lncc": 1, "mind": 0.25})
    assert both == WeightedSum((("lncc", 1.0), ("mind", 0.25))) == as_similarity(both)
    assert str(both) == "lncc=1,mind=0.25" and hash(both) == hash(as_similarity(both))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lncc": 0, "mi": 1}, "weight of lncc must be positive"),
        ({"lncc": -1.0}, "weight of lncc must be positive; .* Received: -1.0"),
        ({"lncc": float("nan"), "mi": 1}, "Received: nan"),
        ({"lncc": True, "mi": 1}, "Received: True"),
        ({"lncc": "1"}, "Received: '1'"),
        ({"cc": 1, "mi": 1}, "A sum has similarities of .* Received: 'cc'"),
        ({losses.ncc: 1}, "A sum has similarities of"),
        ({}, "similarity must be one of"),
        ("lncc=1", "similarity must be one of"),
        (3, "Received: similarity=3"),
    ],
)
def test_what_means_none(given, message):
    for use in (as_similarity, lambda value: Refinement(similarity=value)):
        with pytest.raises(InputError, match=message):
            use(given)


@pytest.mark.plain
@pytest.mark.parametrize("shape", [(1, 96, 80, 1), (1, 24, 22, 20, 1)])
def test_unrelated_images_lose_one_unit(rng, numpy, shape):
    """White noise, of which every term but MI is 1 below an image with itself."""
    noise = [rng.random(shape).astype("float32") for _ in range(2)]
    for name in ("ncc", "lncc", "mse", "ngf", "mind"):
        ends = [mind_ssc(image) for image in noise] if name == "mind" else noise
        compare, unit = similarity_of(name), similarity.unit_of(name, len(shape) - 2)
        lost = compare(ends[0], ends[0], None) - compare(*ends, None)
        assert float(numpy(lost)[0]) / unit == pytest.approx(1, abs=0.06), name


@pytest.mark.plain
@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_a_sum_is_the_mean_of_its_terms(rng, numpy, quick, masked):
    fixed, noise = rng.random((2, 2, 12, 14, 1)).astype("float32")
    moved = (0.7 * fixed + 0.3 * noise).astype("float32")
    mask = (rng.random((2, 12, 14, 1)) > 0.3).astype("float32") if masked else None
    weights = {"ncc": 2, "mind": 3, "lncc5": 0.5, "mse": 1, "ngf": 1, "mi": 0.25}
    seen = [np.concatenate([image, mind_ssc(image)], axis=-1) for image in (fixed, moved)]
    found = numpy(similarity_of(as_similarity(weights), quick, (2.0, 1.0))(*seen, mask))
    parts = {
        "ncc": losses.ncc(fixed, moved, mask),
        "mind": -losses.mse(mind_ssc(fixed), mind_ssc(moved), mask) / 0.242,
        "lncc5": losses.lncc(fixed, moved, 5, mask),
        "mse": -6 * losses.mse(fixed, moved, mask),
        "ngf": -1 / 0.15 * losses.ngf(fixed, moved, mask=mask, spacing=(2.0, 1.0)),
        "mi": losses.mutual_information(
            fixed, moved, fixed_range=(0.0, 1.0), moved_range=(0.0, 1.0), mask=mask
        ),
    }
    expected = sum(weight * numpy(parts[name]) for name, weight in weights.items())
    np.testing.assert_allclose(found, expected / sum(weights.values()), atol=1e-4)


# What is seen


@pytest.mark.plain
def test_descriptors_on_a_grid_are_those_of_the_whole_image(rng, numpy):
    images = {side: rng.random((2, 14, 12, 1)).astype("float32") for side in ("fixed", "moving")}
    images["fixed_mask"] = np.ones((2, 14, 12, 1), "float32")
    alone = Seen.of("mind", images, [(2, 2), (1, 1)]).on((2, 2))
    assert {name: array.shape[1:] for name, array in alone.items()} == {
        "fixed": (7, 6, 4),
        "moving": (7, 6, 4),
        "fixed_mask": (7, 6, 1),
    }
    both = Seen.of(as_similarity({"ncc": 1, "mind": 1}), images, [(2, 2)]).on((2, 2))
    for side in ("fixed", "moving"):
        expected = numpy(ops.downsample(mind_ssc(images[side]), (2, 2)))
        np.testing.assert_allclose(alone[side], expected, atol=1e-5)
        np.testing.assert_allclose(both[side][..., 1:], expected, atol=1e-5)
        small = numpy(ops.downsample(images[side], (2, 2)))
        np.testing.assert_allclose(both[side][..., :1], small, atol=1e-6)
    smooth = Seen.of("mind", images, [(1, 1)]).on((1, 1), smoothing=1.0)
    expected = numpy(ops.smooth(mind_ssc(images["fixed"]), (1.0, 1.0)))
    np.testing.assert_allclose(smooth["fixed"], expected, atol=1e-5)
    assert Seen.of("ncc", images, [(1, 1)]).on((1, 1)) == images


# Registering


@pytest.mark.on_jax
@pytest.mark.parametrize("given", ["mind", {"lncc5": 1, "mind": 0.5}])
def test_hearts_come_nearer(hearts, two_levels, given):
    answer = register(hearts.fixed, hearts.moving, similarity=given, pyramid=two_levels, ndim=2)
    before = np.linalg.norm(hearts.fixed_points - hearts.moving_points, axis=-1).mean()
    assert answer.accepted.all() and error(answer, hearts) < 0.7 * before
    assert answer.moved.shape == (3, 64, 64) and answer.check().folding == 0
    assert answer.similarity == ("mind" if given == "mind" else "lncc5=1,mind=0.5")
    if given == "mind":
        expected = by_hand(hearts.fixed, hearts.moving)
        np.testing.assert_allclose(answer.similarity_before, expected, rtol=0.02)
    again = register(hearts.fixed, hearts.moving, similarity=given, pyramid=two_levels, ndim=2)
    assert again.compile_seconds == 0
    np.testing.assert_array_equal(again.displacement, answer.displacement)


def test_another_contrast_is_no_matter_to_mind(hearts, one_level):
    inverted = hearts.moving.max() - hearts.moving
    options = {"similarity": "mind", "pyramid": one_level, "ndim": 2}
    one, other = (register(hearts.fixed, side, **options) for side in (hearts.moving, inverted))
    assert other.warnings == ()
    np.testing.assert_allclose(other.displacement, one.displacement, atol=0.1)


def test_it_is_judged_within_the_masks_on_the_finest_grid_of_a_level(hearts):
    mask = np.zeros((3, 64, 64), "float32")
    mask[:, 8:40, 16:60] = 1
    images = hearts.fixed, hearts.moving
    options = {"similarity": "mind", "ndim": 2, "transform": "bspline"}
    half = Pyramid((Level(shrink=4, steps=0), Level(shrink=2, steps=0)))
    found = register(*images, pyramid=half, **options)
    expected = by_hand(*images, factors=(2, 2))
    np.testing.assert_allclose(found.similarity_before, expected, rtol=0.02)
    assert found.displacement.shape == (3, 64, 64, 2)
    full = by_hand(*images)
    assert (np.abs(expected / full - 1) > 0.05).all()
    within = register(*images, pyramid=STILL, fixed_mask=mask, **options)
    # The range of an image is that within its mask, beyond which it is cut off.
    clipped = [
        np.clip(image, image[where > 0].min(), image[where > 0].max())
        for image, where in zip(hearts.fixed, mask, strict=True)
    ]
    expected = by_hand(np.stack(clipped), hearts.moving, mask=mask)
    np.testing.assert_allclose(within.similarity_before, expected, rtol=0.03)
    assert (np.abs(within.similarity_before / full - 1) > 0.1).all()


@pytest.mark.long
def test_volumes_of_two_sizes(rng):
    from scipy.ndimage import gaussian_filter, shift

    volume = gaussian_filter(rng.normal(size=(24, 28, 26)), 1.5)
    moving = np.pad(shift(volume, (1, -1.5, 0.5), mode="nearest"), ((0, 2), (0, 0), (0, 3)), "edge")
    levels = Pyramid((Level(shrink=2, steps=40), Level(steps=30)))
    options = {"pyramid": levels, "similarity": {"ncc": 1, "mind": 1}}
    answer = register(volume, moving, "translation", **options)
    found = answer.displacement[12, 14, 13]
    np.testing.assert_allclose(found, (1, -1.5, 0.5), atol=0.1)


def test_voxels_drawn_of_descriptors(hearts, one_level):
    options = {"pyramid": one_level, "ndim": 2, "samples": 2000}
    given = {"ncc": 1, "mind": 1}
    answer = register(hearts.fixed, hearts.moving, similarity=given, **options)
    assert (answer.similarity_after > answer.similarity_before).all()
    with pytest.raises(InputError, match=r"from samples. Received: similarity=ncc=1,lncc=1"):
        register(hearts.fixed, hearts.moving, similarity={"ncc": 1, "lncc": 1}, **options)


def test_descriptors_of_several_channels_are_refused():
    images = np.random.default_rng(0).random((2, 16, 16, 2))
    with pytest.raises(InputError, match="mind compares images of one channel"):
        register(*images, similarity={"ncc": 1, "mind": 1}, channels=True)


def test_descriptors_take_memory():
    empty = np.broadcast_to(np.float32(0), (1, 64, 64, 64, 1))
    images = {"fixed": empty, "moving": empty}
    needed = [
        memory.estimate(images, ("bspline",), (STILL,), as_similarity(given))
        for given in ("ncc", "mind", {"lncc": 1, "mind": 1})
    ]
    assert needed[0] < needed[1] < needed[2]
