import numpy as np
import pytest
from scipy import ndimage

from tfreg.errors import InputError
from tfreg.features import raw_patches
from tfreg.registration import Features, forget, match
from tfreg.registration.described.ends import started
from tfreg.registration.described.matching import Round, _distinct, _driving
from tfreg.registration.described.search import (
    distinctiveness,
    found_again,
    interpolated,
    unit,
)

SHIFT = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -12.0]])  # twelve voxels along the second axis


def texture(shape, channels, seed=0):
    rng = np.random.default_rng(seed)
    sigma = (1.5,) * len(shape) + (0,)
    found = ndimage.gaussian_filter(rng.normal(size=(*shape, channels)), sigma)
    return (found / found.std()).astype("float32")


@pytest.mark.plain
@pytest.mark.on_jax
@pytest.mark.parametrize("shape", [(19, 23), (11, 12, 13)])
def test_every_key_is_found_where_the_image_was_rolled(shape, numpy):
    here = texture(shape, 6)
    by = (2, -1, 1)[: len(shape)]
    there = np.roll(here, by, tuple(range(len(shape))))
    middle = tuple(n // 2 for n in shape)
    keys = np.array(
        [
            np.ravel_multi_index(middle, shape),
            np.ravel_multi_index(tuple(m - 1 for m in middle), shape),
        ],
        "int32",
    )
    units = [numpy(unit(one[None]))[0] for one in (here, there)]
    found, alike = found_again(*units, keys, radius=3, stride=1, nearer=0.05)
    np.testing.assert_allclose(numpy(found), [by, by], atol=0.25)
    np.testing.assert_allclose(numpy(alike), 1, atol=1e-4)
    # A window that does not reach so far has nothing as alike.
    _, less = found_again(*units, keys, radius=1, stride=1, nearer=0.0)
    assert (numpy(less) < 0.97).all()


@pytest.mark.plain
def test_the_search_is_that_of_loops(numpy):
    """Correlation over the cross of seven places, plus the price of distance."""
    here, there = (numpy(unit(texture((9, 10, 8), 3, seed)[None]))[0] for seed in (0, 1))
    place, radius = np.array([4, 5, 4]), 2
    cross = [np.zeros(3, int)] + [
        s * 2 * np.eye(3, dtype=int)[a] for a in range(3) for s in (-1, 1)
    ]
    best = (-np.inf, None)
    for offset in np.ndindex(5, 5, 5):
        o = np.array(offset) - 2
        score = 0.0
        for c in cross:
            p = tuple(np.clip(place + c, 0, np.array(here.shape[:3]) - 1))
            q = tuple(np.clip(place + c + o, 0, np.array(here.shape[:3]) - 1))
            score += here[p] @ there[q] / 7
        if score - 0.05 * (o @ o) / radius**2 > best[0]:
            best = score - 0.05 * (o @ o) / radius**2, o
    key = np.array([np.ravel_multi_index(tuple(place), here.shape[:3])], "int32")
    found, _ = found_again(here, there, key, radius, 1, 0.05)
    np.testing.assert_array_equal(np.rint(numpy(found)[0] - 1e-6 * np.sign(best[1])), best[1])


@pytest.mark.plain
def test_flat_places_and_edges_are_not_distinctive(numpy):
    image = np.zeros((1, 40, 40, 1), "float32")
    image[0, 10:, 10:] = 1  # a corner at (10, 10), edges along both sides
    found = numpy(distinctiveness(image))[0, ..., 0]
    assert found[25, 25] == 0 and found[5, 30] == 0 and found[30, 10] == 0
    point = np.zeros((1, 40, 40, 1), "float32")
    point[0, 20, 20] = 1
    assert np.unravel_index(numpy(distinctiveness(point)).argmax(), (40, 40)) == (20, 20)


@pytest.mark.plain
@pytest.mark.on_jax
def test_a_dense_field_of_what_agrees(numpy):
    rng = np.random.default_rng(0)
    places = np.sort(rng.choice(400, 120, replace=False)).astype("int32")
    offsets = np.tile(np.array([[1.5, -0.5]], "float32"), (120, 1))
    weights = np.ones(120, "float32")
    dense = numpy(interpolated(places, offsets, weights, (20, 20), 2.0))
    there = dense.reshape(-1, 2)[places]
    # It fades to zero away from them, which takes a tenth off where they are as dense as usual.
    np.testing.assert_allclose(there, offsets, atol=0.6)
    np.testing.assert_allclose(np.median(there, axis=0), [1.5, -0.5], rtol=0.1)
    wrong = offsets.copy()
    wrong[::10] = [-6, 6]
    robust = numpy(interpolated(places, wrong, weights, (20, 20), 2.0, rounds=4))
    plain = numpy(interpolated(places, wrong, weights, (20, 20), 2.0, rounds=0))
    off = [np.abs(one - dense).mean() for one in (robust, plain)]
    assert off[0] < 0.5 * off[1]
    assert not numpy(interpolated(places, offsets, 0 * weights, (20, 20), 2.0)).any()


@pytest.mark.plain
def test_a_smooth_warp_is_found_again():
    grid = np.indices((40, 48)).astype("float64")
    field = np.stack([2 * np.sin(grid[1] / 8), 1.5 * np.cos(grid[0] / 7)], axis=-1)
    moving = texture((40, 48), 5)
    where = np.moveaxis(np.moveaxis(grid, 0, -1) + field, -1, 0)
    fixed = np.stack(
        [ndimage.map_coordinates(moving[..., c], where, order=1, mode="nearest") for c in range(5)],
        axis=-1,
    )
    rounds = [Round(0.1, 3, 1, 3.0), Round(0.3, 2, 1, 2.0), Round(0.5, 1, 1, 1.5)]
    answer = match(fixed, moving, rounds=rounds, channels=True)
    inside = (slice(5, -5),) * 2
    before = np.linalg.norm(field, axis=-1)[inside].mean()
    after = np.linalg.norm(answer.displacement - field, axis=-1)[inside].mean()
    assert after < 0.3 * before and answer.accepted
    assert len(answer.levels) == 3 and answer.levels[-1].loss_after < answer.levels[0].loss_before


@pytest.mark.compiled
def test_volumes_features_starts_and_masks():
    rng = np.random.default_rng(0)
    volume = ndimage.gaussian_filter(rng.normal(size=(20, 22, 24)), 1.5)
    fixed = np.roll(volume, (0, 2, -1), (0, 1, 2))
    patches = Features(lambda image: raw_patches(image, 3), "patches")
    rounds = [Round(0.1, 3, 1, 3.0), (0.3, 1, 1, 2.0)]
    answer = match(fixed, volume, features=patches, rounds=rounds)
    assert answer.similarity == "patches" and answer.moved.shape == fixed.shape
    np.testing.assert_allclose(
        answer.displacement[8:12, 9:13, 10:14], [[[[0, -2, 1]]]] * np.ones((4, 4, 4, 1)), atol=0.3
    )
    start = np.zeros((*fixed.shape, 3))
    start[:] = [0, -2, 1]
    near = match(fixed, volume, features=patches, rounds=rounds[1:], start=start)
    np.testing.assert_allclose(
        near.displacement[8:12, 9:13, 10:14], start[8:12, 9:13, 10:14], atol=0.2
    )
    mask = np.zeros(fixed.shape)
    mask[:, :, 12:] = 1
    half = match(fixed, volume, features=patches, rounds=rounds, fixed_mask=mask)
    assert np.abs(half.displacement[10, 10, 18] - [0, -2, 1]).max() < 0.5


def test_what_was_compiled_can_be_forgotten():
    caches = [_distinct, started]
    assert all(cache() is cache() for cache in caches)
    forget()
    assert not any(cache.cache_info().currsize for cache in caches)


def test_a_share_of_what_may_be_looked_at_drives():
    distinct = np.arange(20.0).reshape(1, 4, 5, 1)
    distinct[0, 3] = 0  # flat
    every = np.ones(distinct.shape, bool)
    keys, drives = _driving(distinct, every, 0.25)
    assert keys.tolist() == [10, 11, 12, 13, 14] and drives.all()
    keys, drives = _driving(distinct, every, 1.0)
    assert keys.tolist() == [*range(20)] and drives.sum() == 14  # neither the flat ones nor zero
    mask = np.zeros(distinct.shape, bool)
    mask[0, :2] = True
    keys, drives = _driving(distinct, mask, 0.5)
    assert len(keys) == 10 and keys[drives > 0].tolist() == [5, 6, 7, 8, 9]
    keys, drives = _driving(distinct, ~every, 0.5)
    assert len(keys) == 10 and not drives.any()


@pytest.mark.plain
def test_nothing_outside_a_mask_or_the_moving_image_is_matched():
    moving = texture((32, 36), 5)
    fixed = np.roll(moving, 2, axis=1)
    mask = np.zeros((32, 36))
    mask[10:22, 12:24] = 1
    wild = np.where(mask[..., None] > 0, fixed, texture((32, 36), 5, seed=7))
    rounds = [Round(1.0, 3, 1, 2.0)]
    answer = match(wild, moving, rounds=rounds, fixed_mask=mask, channels=True)
    np.testing.assert_allclose(answer.displacement[14:18, 16:20, 1], -2, atol=0.4)
    assert answer.accepted and np.abs(answer.displacement[:, 34:]).max() < 0.1
    # The left half of the fixed image is beyond the moving one.
    half = match(fixed[:, :20], moving[:, 12:], rounds=rounds, channels=True, start=SHIFT)
    np.testing.assert_allclose(half.displacement[8:24, 16:18, 1].mean(), -14, atol=0.5)
    assert half.accepted and np.abs(half.displacement[:, :6] - [0, -12]).max() < 0.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Matching needs features"),
        ({"features": np.eye(3)}, "features must be Features"),
        ({"rounds": ()}, "a round or more"),
        ({"rounds": [(2, 1, 1, 1)]}, "A round has .*share=2"),
        ({"threshold": 1}, "threshold=1"),
        ({"nearer": -1}, "nearer=-1"),
    ],
)
def test_bad_values(options, message):
    with pytest.raises(InputError, match=message):
        match(np.eye(20), np.eye(20), **options)
