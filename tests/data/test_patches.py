import numpy as np
import pytest

from tfreg.data import PairSampler, PatchSampler
from tfreg.data.batches import Batches

SHAPES = ((9, 12, 11), (8, 10, 15), (14, 9, 10))
PATCH = (6, 8, 7)


def volume(number, shape, sign=1):
    """Every voxel says whose it is and where it lies."""
    place = np.indices(shape)
    code = ((number * 32 + place[0]) * 32 + place[1]) * 32 + place[2]
    return sign * code.astype("int32")


def decode(code):
    code = np.abs(code).astype(int)
    return code >> 15, np.stack([code >> 10 & 31, code >> 5 & 31, code & 31], -1)


FIXED = [volume(k, shape) for k, shape in enumerate(SHAPES)]
MOVING = [volume(k, np.add(shape, (1, 0, 2)), -1) for k, shape in enumerate(SHAPES)]


def sampler(**options):
    options = {"patch": PATCH, "batch_size": 40, "seed": 3, **options}
    return PatchSampler(FIXED, MOVING, **options)


def test_a_patch_is_one_box_of_both_images_of_a_pair():
    patches = sampler(scale=0.5)
    assert isinstance(patches, Batches) and tuple(patches.arrays) == ("fixed", "moving")
    assert len(patches.images) == 3
    batch, seen, starts = patches.batch(7), set(), []
    for fixed, moving in zip(batch["fixed"], batch["moving"], strict=True):
        assert fixed.dtype == np.float32 and fixed.shape == (*PATCH, 1)
        np.testing.assert_array_equal(fixed, -moving)
        owner, where = decode(2 * fixed[..., 0])
        assert len(np.unique(owner)) == 1
        np.testing.assert_array_equal(where - where[0, 0, 0], np.moveaxis(np.indices(PATCH), 0, -1))
        seen.add(int(owner.flat[0]))
        starts.append((int(owner.flat[0]), *where[0, 0, 0].tolist()))
    assert seen == {0, 1, 2} and len(set(starts)) > 25
    drawn = [(place.pair, *place.start.tolist()) for place in patches.places(7)]
    assert drawn == starts


def test_every_place_is_reached():
    starts = np.array(
        [p.start for step in range(30) for p in sampler().places(step) if p.pair == 0]
    )
    assert starts.min(axis=0).tolist() == [0, 0, 0]
    assert starts.max(axis=0).tolist() == [3, 4, 4]  # 9-6, 12-8, 11-7


def test_a_batch_is_a_function_of_seed_and_step():
    options = {"symmetries": (0, 2), "exchange": True, "translation": (2, 0, 1)}
    one, same, other = (sampler(seed=seed, **options) for seed in (3, 3, 4))
    for step in (0, 5):
        np.testing.assert_array_equal(one.batch(step)["moving"], same.batch(step)["moving"])
    assert (one.batch(0)["fixed"] != other.batch(0)["fixed"]).any()
    assert (one.batch(0)["fixed"] != one.batch(1)["fixed"]).any()


def test_streams_are_the_batches():
    pytest.importorskip("tensorflow")
    masks = [np.ones(shape, bool) for shape in SHAPES]
    patches = sampler(fixed_masks=masks, batch_size=2)
    tuples = list(patches.tuples(4, 6))
    for step, (x,), batch in zip((4, 5), tuples, patches.dataset(4, 6), strict=True):
        expected = patches.batch(step)
        assert set(batch) == set(expected) == {"fixed", "moving", "mask"}
        assert batch["mask"].shape == (2, *PATCH, 1)
        for name, value in expected.items():
            np.testing.assert_array_equal(batch[name], value)
            np.testing.assert_array_equal(x[name], value)


def test_masks_follow_their_image():
    masks = [image % 3 == 1 for image in FIXED]
    others = [image % 5 == 1 for image in MOVING]
    options = {"symmetries": (0, 1, 2), "exchange": True, "translation": 2}
    batch = sampler(fixed_masks=masks, moving_masks=others, **options).batch(2)
    for fixed, mask in zip(batch["fixed"], batch["mask"], strict=True):
        remainder = 3 if fixed.flat[0] > 0 else 5
        np.testing.assert_array_equal(mask, fixed % remainder == 1)


def test_boxes_are_centred_within():
    within = [np.zeros(shape, "uint8") for shape in SHAPES]
    within[0][4, 6, 5] = within[0][0, 0, 0] = 1
    for mask in within[1:]:
        mask[5, 5, 6] = 1
    places = sampler(within=within).places(0)
    starts = {tuple(p.start.tolist()) for p in places if p.pair == 0}
    assert starts == {(1, 2, 2), (0, 0, 0)}
    assert {tuple(p.start.tolist()) for p in places if p.pair == 1} == {(2, 1, 3)}
    with pytest.raises(ValueError, match="empty"):
        sampler(within=[mask * 0 for mask in within])


def test_flips_exchanges_and_shifts():
    batch = sampler(batch_size=200, symmetries=(0, 2)).batch(0)
    np.testing.assert_array_equal(batch["fixed"], -batch["moving"])
    signs = set()
    for fixed in batch["fixed"][..., 0]:
        where = decode(fixed)[1]
        signs.add(tuple(np.sign(where[-1, -1, -1] - where[0, 0, 0]).tolist()))
    assert signs == {(a, 1, c) for a in (-1, 1) for c in (-1, 1)}
    batch = sampler(batch_size=200, exchange=True).batch(0)
    assert 0.35 < (batch["fixed"][:, 1, 1, 1, 0] < 0).mean() < 0.65
    batch = sampler(batch_size=300, translation=(2, 0, 1)).batch(0)
    shifts = decode(batch["moving"][:, 1, 1, 1, 0])[1] - decode(batch["fixed"][:, 1, 1, 1, 0])[1]
    assert shifts.min(axis=0).tolist() == [-2, 0, -1] and shifts.max(axis=0).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": (9, 8, 7)}, r"pair 1 of \(8, 10, 15\)"),
        ({"patch": (6, 8)}, "pair 0"),
        ({"patch": (0, 8, 7)}, r"patch=\(0, 8, 7\)"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"symmetries": (3,)}, r"symmetries=\(3,\)"),
        ({"translation": (0, -1, 0)}, "translation"),
        ({"fixed_masks": FIXED[:2]}, "for each pair"),
        ({"within": MOVING}, "for each pair"),
        ({"fixed_masks": FIXED, "exchange": True}, "masks of both sides"),
        ({"moving_masks": MOVING}, "exchange=False"),
    ],
)
def test_what_cannot_be_sampled_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        sampler(**options)


def test_a_pair_has_two_images():
    with pytest.raises(ValueError, match="3 fixed, 2 moving"):
        PatchSampler(FIXED, MOVING[:2], PATCH)
    with pytest.raises(ValueError, match="0 pairs"):
        PatchSampler([], [], PATCH)


def test_symmetries_of_stacks_keep_the_slices(rng):
    images = np.repeat(rng.random((2, 3, 4, 4)).astype("float32"), 2, axis=0)
    pairs = PairSampler(images, np.array([0, 0, 1, 1]), 200, symmetries=True)
    batch, kinds = pairs.batch(1), set()
    signs = [(a, b, c) for a in (1, -1) for b in (1, -1) for c in (1, -1)]
    for image, original in zip(batch["fixed"][..., 0], images[pairs.indices(1)[0]], strict=True):
        turned = [
            o[::a, ::b, ::c] for o in (original, original.swapaxes(1, 2)) for a, b, c in signs
        ]
        (kind,) = (k for k, one in enumerate(turned) if np.array_equal(one, image))
        kinds.add(kind)
    assert kinds == set(range(16))
    np.testing.assert_array_equal(batch["fixed"], batch["moving"])
