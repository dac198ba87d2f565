"""What test_data.py does not ask of the pairs: prefixes, channels, values and proportions."""

import numpy as np
import pytest

from tfreg.data import PairSampler

LABELS = np.array([2] * 6 + [7] * 18)


def sampler(**options):
    images = np.arange(24, dtype="uint8")[:, None, None] * np.ones((1, 4, 6), "uint8")
    return PairSampler(images, LABELS, **{"batch_size": 8, "seed": 5, **options})


def test_a_resumed_stream_is_the_tail_of_the_whole_one():
    pytest.importorskip("tensorflow")
    pairs = sampler()
    whole, tail = list(pairs.dataset(0, 7)), list(pairs.dataset(4, 7))
    assert (len(whole), len(tail)) == (7, 3)
    for step, a, b in zip((4, 5, 6), whole[4:], tail, strict=True):
        for name in ("fixed", "moving"):
            np.testing.assert_array_equal(a[name], b[name])
            np.testing.assert_array_equal(a[name], pairs.batch(step)[name])


def test_values_are_those_of_the_chosen_images():
    pairs = sampler(scale=0.5)
    fixed, moving = pairs.indices(3)
    batch = pairs.batch(3)
    assert batch["fixed"].dtype == np.float32
    np.testing.assert_array_equal(batch["fixed"][:, 1, 2, 0], 0.5 * fixed)
    np.testing.assert_array_equal(batch["moving"][:, 1, 2, 0], 0.5 * moving)


def test_a_class_is_drawn_in_proportion_to_its_size():
    fixed = np.concatenate([sampler(batch_size=500).indices(step)[0] for step in range(8)])
    # 4000 draws of probability 1/4: the standard deviation of the share is 0.007.
    assert np.mean(LABELS[fixed] == 2) == pytest.approx(0.25, abs=0.03)


def test_images_with_channels_and_with_three_axes():
    labels = np.zeros(4, int)
    colour = PairSampler(np.zeros((4, 5, 6, 3)), labels, 2, channels=True)
    assert colour.batch(0)["fixed"].shape == (2, 5, 6, 3)
    volume = PairSampler(np.zeros((4, 5, 6, 7)), labels, 2)
    assert volume.batch(0)["moving"].shape == (2, 5, 6, 7, 1)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images(count):
    with pytest.raises(ValueError, match="two images of one class"):
        PairSampler(np.zeros((count, 4, 4)), np.zeros(count, int))


def test_batch_size_must_be_positive():
    with pytest.raises(ValueError, match="batch_size=0"):
        sampler(batch_size=0)


def test_symmetries_turn_both_images_alike(rng):
    pytest.importorskip("tensorflow")
    labels = np.repeat(np.arange(20), 2)
    images = rng.random((40, 6, 6)).astype("float32")
    images[1::2] = images[::2] + 1  # of a pair one is the other plus or minus one
    pairs = PairSampler(images, labels, 200, seed=3, symmetries=True)
    batch, chosen = pairs.batch(5), pairs.indices(5)[0]
    difference = np.abs(batch["fixed"] - batch["moving"])
    np.testing.assert_allclose(difference, 1, atol=1e-6)
    kinds = []
    for image, original in zip(batch["fixed"][..., 0], images[chosen], strict=True):
        turned = [o[::a, ::b] for o in (original, original.T) for a in (1, -1) for b in (1, -1)]
        (kind,) = (k for k, one in enumerate(turned) if np.array_equal(one, image))
        kinds.append(kind)
    assert set(kinds) == set(range(8))
    (from_dataset,) = pairs.dataset(5, 6)
    np.testing.assert_array_equal(from_dataset["moving"], batch["moving"])


def test_symmetries_of_volumes_are_flips_and_of_square_slices_also_turns(rng):
    for shape, expected in (((3, 4, 5), 8), ((3, 4, 4), 16)):
        images = rng.random((2, *shape)).astype("float32")
        pairs = PairSampler(images, np.zeros(2), 400, symmetries=True)
        chosen = pairs.indices(0)[0]
        kinds = set()
        for image, original in zip(pairs.batch(0)["fixed"][..., 0], images[chosen], strict=True):
            flips = [slice(None), slice(None, None, -1)]
            bases = [original] + [original.swapaxes(1, 2)] * (expected == 16)
            turned = [o[a, b, c] for o in bases for a in flips for b in flips for c in flips]
            (kind,) = (k for k, one in enumerate(turned) if np.array_equal(one, image))
            kinds.add(kind)
        assert kinds == set(range(expected))
