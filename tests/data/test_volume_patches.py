import numpy as np
import pytest

from tfreg.data.volume_patches import VolumePatches


def test_a_batch_is_a_function_of_its_step(rng):
    images = [rng.random((9, 12, 8)), rng.random((11, 8, 8))]
    patches = VolumePatches(images, 5, 6, seed=3)
    one, again, other = (patches.batch(step)["images"] for step in (4, 4, 5))
    np.testing.assert_array_equal(one, again)
    assert one.shape == (6, 5, 5, 5, 1) and one.dtype == np.float32 and patches.count == 2
    assert np.abs(one - other).max() > 0.1
    windows = [
        np.lib.stride_tricks.sliding_window_view(np.float32(image), (5, 5, 5)) for image in images
    ]
    owners = [
        {k for k in (0, 1) if (windows[k] == cube[..., 0]).all(axis=(-3, -2, -1)).any()}
        for cube in (*one, *other)
    ]
    assert {0} in owners and {1} in owners and all(owners)


def test_a_cube_shows_something(rng):
    image = np.zeros((30, 30), "float32")
    image[20:, 20:] = rng.random((10, 10))
    found = VolumePatches([image], 5, 40).batch(0)["images"]
    assert found.std(axis=(1, 2, 3)).min() > 0.03


def faint(size):
    """A line at the far border: a patch with it has 0.4 of its intensity as deviation, one that
    was mirrored there would have 0.49."""
    image = np.zeros((12, 12), "float32")
    image[-1] = size
    return image


@pytest.mark.parametrize("size", [4, 5])
def test_the_last_patch_counts(size):
    cubes = VolumePatches([faint(0.08)], size, 8).batch(0)["images"]
    assert cubes[:, -1].min() > 0


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 9)), r"5 voxels or more .*\(4, 9\)"),
        (np.zeros((9, 9)), "above 0.03"),
        (faint(0.068), "above 0.03"),
    ],
)
def test_no_patches(image, message):
    with pytest.raises(ValueError, match=message):
        VolumePatches([image], 5, 2)
