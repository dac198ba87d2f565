import itertools

import numpy as np
import pytest

from tfreg.errors import InputError
from zoo.quicksilver.patches import Patches

pytestmark = [pytest.mark.plain, pytest.mark.on_jax]


def by_hand(shape, stride=14):
    """Corners in the order of nested loops, the last patch of an axis flush with its end."""
    axes = []
    for size in shape:
        starts, start = [], 0
        while start + 15 <= size:
            starts.append(start)
            start += stride
        if starts[-1] + 15 < size:
            starts.append(size - 15)
        axes.append(starts)
    return list(itertools.product(*axes))


@pytest.mark.parametrize("shape", [(15, 44), (31, 29), (20, 15, 30)])
def test_patches_are_boxes_in_order(rng, numpy, shape):
    images = rng.random((2, *shape, 2)).astype("float32")
    patches = Patches(shape)
    corners = by_hand(shape)
    assert len(patches) == len(corners)
    found = numpy(patches.cut(images))
    assert found.shape == (2 * len(corners), *(15,) * len(shape), 2)
    assert [tuple(side.start for side in box) for box in patches] == corners
    for item, image in enumerate(images):
        for index, box in enumerate(patches):
            np.testing.assert_array_equal(found[item * len(corners) + index], image[box])


@pytest.mark.parametrize("shape", [(44, 31), (29, 15, 20)])
def test_overlaps_are_averaged_over_the_patches_that_were_kept(rng, numpy, shape):
    patches, batch = Patches(shape), 2
    momenta = rng.normal(size=(batch * len(patches), *(15,) * len(shape), 3)).astype("float32")
    kept = rng.random(len(momenta)) < 0.6
    total, count = np.zeros((batch, *shape, 3)), np.zeros((batch, *shape, 1))
    for index in np.flatnonzero(kept):
        place = (index // len(patches), *by_box(patches, index % len(patches)))
        total[place] += momenta[index]
        count[place] += 1
    expected = total / np.maximum(count, 1)
    np.testing.assert_allclose(numpy(patches.join(momenta, kept)), expected, atol=1e-5)
    assert (count == 0).any() and (count > 1).any()


def test_of_denser_patches_the_middles_count_most(rng, numpy):
    shape = (24, 22)
    patches = Patches(shape, stride=5)
    assert len(patches) == len(by_hand(shape, 5)) == 9
    momenta = rng.normal(size=(9, 15, 15, 2)).astype("float32")
    kept = np.array([True] * 8 + [False])
    tent = np.minimum(np.arange(1, 16), np.arange(15, 0, -1)) / 8
    weight = tent[:, None, None] * tent[None, :, None]
    assert tent[0] == 1 / 8 and tent[7] == 1
    total, count = np.zeros((*shape, 2)), np.zeros((*shape, 1))
    for box, momentum in list(zip(patches, momenta, strict=True))[:8]:
        total[box] += weight * momentum
        count[box] += weight
    expected = np.divide(total, count, where=count > 0, out=np.zeros_like(total))
    np.testing.assert_allclose(numpy(patches.join(momenta, kept))[0], expected, atol=1e-5)
    assert (count == 0).any()


def by_box(patches, index):
    return list(patches)[index]


def test_a_patch_is_left_out_where_both_images_show_nothing(numpy):
    fixed, moving = np.zeros((2, 1, 29, 29, 1), "float32")
    fixed[0, 2, 3], moving[0, 20, 2] = 0.1, 1
    patches = Patches((29, 29))
    kept = numpy(patches.kept(patches.cut(fixed), patches.cut(moving)))
    assert kept.tolist() == [True, False, True, False]


def test_a_small_image_is_refused():
    with pytest.raises(InputError, match=r"15 voxels or more along each axis. Received: 20x14"):
        Patches((20, 14))
