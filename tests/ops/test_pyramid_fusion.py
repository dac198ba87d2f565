import os
from pathlib import Path

import numpy as np
import plain_fusion
import pytest

from tfreg import ops


def images(rng, shape):
    """Two that agree in places, and a smooth weight."""
    first = rng.random(shape)
    second = np.where(rng.random(shape) < 0.5, first, rng.random(shape))
    second[shape[0] // 2 :] = 0.9 * first[shape[0] // 2 :]
    weight = plain_fusion.expanded(plain_fusion.reduced(rng.random(shape)), shape)
    return first, second, weight


@pytest.mark.on_jax
@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (50, 21), (16, 64)])
def test_it_is_what_is_written_down_plainly(rng, numpy, shape):
    first, second, weight = images(rng, shape)
    found = numpy(ops.fuse_pyramids(*(a[None, ..., None] for a in (first, second, weight))))
    expected = plain_fusion.fused(first, second, weight)
    np.testing.assert_allclose(found[0, ..., 0], expected, atol=1e-5)
    assert np.abs(expected - (weight * first + (1 - weight) * second)).max() > 0.1


def test_channels_are_fused_apart_with_one_weight(rng, numpy):
    first, second, weight = images(rng, (24, 30))
    pairs = [np.stack([a, 0.5 * a, a[::-1]], axis=-1)[None] for a in (first, second)]
    found = numpy(ops.fuse_pyramids(*pairs, weight[None, ..., None]))
    for channel in range(3):
        alone = [pair[0, ..., channel] for pair in pairs]
        expected = plain_fusion.fused(*alone, weight)
        np.testing.assert_allclose(found[0, ..., channel], expected, atol=1e-5)


def test_what_only_one_image_shows_is_taken_from_it(numpy):
    """A square in the first image, a stripe in the second, whatever the weight says."""
    first, second = np.zeros((2, 1, 64, 64, 1), "float32")
    first[:, 12:20, 12:20], second[:, 40:48, 8:56] = 1, 1
    fused = numpy(ops.fuse_pyramids(first, second, np.full_like(first, 0.5)))[0, ..., 0]
    assert fused[13:19, 13:19].min() > 0.8 and fused[41:47, 12:52].min() > 0.8


def test_the_threshold_decides_who_is_mixed(rng, numpy):
    first, second, weight = (a[None, ..., None] for a in images(rng, (32, 32)))
    always = numpy(ops.fuse_pyramids(first, second, weight, threshold=-2.0))
    levels = (ops.laplacian_pyramid(a) for a in (first, second))
    mixed = [
        w * a + (1 - w) * b for a, b, w in zip(*levels, ops.gaussian_pyramid(weight), strict=True)
    ]
    np.testing.assert_allclose(always, numpy(ops.collapse_laplacian(mixed)), atol=1e-5)
    never = numpy(ops.fuse_pyramids(first, second, weight, threshold=2.0))
    other = numpy(ops.fuse_pyramids(first, second, 1 - weight, threshold=2.0))
    np.testing.assert_array_equal(never, other)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((1, 8, 8, 1), (1, 8, 9, 1), (1, 8, 8, 1)), "one shape"),
        (((1, 8, 8, 3), (1, 8, 8, 3), (1, 8, 8, 3)), r"weight must be \(batch, 8, 8, 1\)"),
        (((1, 1, 8, 1),) * 3, "two pixels per axis"),
    ],
)
def test_bad_input_is_named(shapes, message):
    with pytest.raises(ValueError, match=message):
        ops.fuse_pyramids(*(np.zeros(shape, "float32") for shape in shapes))


@pytest.mark.real_data
def test_the_authors_image_is_one_that_weights_give(numpy):
    """Weights are within 0 and 1, and to expand takes no negative tap, so there are bounds."""
    path = Path(os.environ["TFREG_DATA"]) / "fusion_reference.npz"
    if not path.exists():
        pytest.skip("needs fusion_reference.npz")
    with np.load(path) as pack:
        ct, mri, theirs = (
            pack[f"medical_{name}"].astype("float64") for name in ("010_CT", "010_MR_T2", "fused")
        )

    def bounds(threshold):
        fused = [
            plain_fusion.fused_by(
                lambda a, b, _, end=end: end(a, b), ct / 255, mri / 255, threshold
            )
            for end in (np.minimum, np.maximum)
        ]
        return 255 * np.clip(fused, 0, 1)

    low, high = bounds(0.6)
    assert (theirs >= low - 0.51).all() and (theirs <= high + 0.51).all()
    stricter = bounds(0.65)  # by which fewer pixels are mixed
    assert ((theirs < stricter[0] - 10) | (theirs > stricter[1] + 10)).sum() >= 5
    first, second = (image[None, ..., None] / 255 for image in (ct, mri))
    for share in (0, 0.5, 1):
        fused = numpy(ops.fuse_pyramids(first, second, np.full_like(first, share)))[0, ..., 0]
        ours = 255 * np.clip(fused, 0, 1)
        assert (ours >= low - 0.01).all() and (ours <= high + 0.01).all()
