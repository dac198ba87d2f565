import numpy as np
import plain_fusion
import pytest
import pywt

from benchmarks.methods import fusion_rules
from benchmarks.methods.fusion_rules import RULES


@pytest.fixture
def images(rng):
    """A bright square on the left of the first image, fine stripes on the right of the second."""
    first, second = 0.3 + 0.02 * rng.random((2, 64, 83))
    first[20:40, 10:30] = 0.9
    second[:, 60:80:4] = 0.8
    return first, second


@pytest.mark.parametrize("name", RULES)
def test_an_image_and_itself_are_that_image(images, name):
    for image in images:
        np.testing.assert_allclose(RULES[name](image, image), image, atol=2e-5)


@pytest.mark.parametrize("name", ["maximum", "laplacian", "wavelet", "guided filter"])
def test_what_only_one_image_shows_is_kept(images, name):
    first, second = images
    fused = RULES[name](first, second)
    assert fused.shape == first.shape
    inside = fused[22:38, 12:28]
    assert inside.mean() > 0.65  # the square, not half of it: 0.6
    stripes = fused[10:50, 60:80:4].mean() - fused[10:50, 62:80:4].mean()
    assert stripes > 0.7 * (second[10:50, 60:80:4].mean() - second[10:50, 62:80:4].mean())


def test_contrast_is_kept_by_ratios(images):
    first, second = images
    fused = fusion_rules.ratio_pyramid(first, second)
    assert fused.shape == first.shape and np.isfinite(fused).all()
    ratio = fused[10:50, 60:80:4].mean() / fused[10:50, 62:80:4].mean()
    assert ratio > 0.7 * second[10:50, 60:80:4].mean() / second[10:50, 62:80:4].mean()


def test_wavelets_take_the_larger_detail_and_the_mean_of_the_rest(images):
    first, second = images
    fused = fusion_rules.wavelet(first, second)
    assert fused.shape == (64, 83)
    found, *sources = (pywt.wavedec2(image[:, :80], "db2", level=1) for image in (fused, *images))
    middle = slice(8, 24)
    for k in range(3):
        pair = [np.abs(source[1][k][middle, middle]) for source in sources]
        np.testing.assert_allclose(
            np.abs(found[1][k][middle, middle]), np.maximum(*pair), atol=1e-9
        )


def test_the_average_is_no_more():
    found = fusion_rules.average(np.array([[0.25, 1.0]]), np.array([[0.5, 0.0]]))
    np.testing.assert_array_equal(found, [[0.375, 0.5]])


def windows(image, radius):
    """Every window of an image that goes on as it ends."""
    padded = np.pad(image, radius, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, (2 * radius + 1,) * 2)


def within(values, radius):
    """Means of windows that are cut off at the border."""
    rows, columns = values.shape
    found = np.zeros(values.shape)
    for i in range(rows):
        for j in range(columns):
            above, left = max(0, i - radius), max(0, j - radius)
            found[i, j] = values[above : i + radius + 1, left : j + radius + 1].mean()
    return found


def by_windows(first, second):
    """Fusion by guided filters, written down window by window."""
    images = first, second
    bases = [windows(image, 15).mean(axis=(2, 3)) for image in images]
    details = [image - base for image, base in zip(images, bases, strict=True)]
    taps = np.exp(-(np.arange(-5, 6) ** 2) / 50)
    taps = np.outer(taps, taps) / taps.sum() ** 2
    salient = []
    for image in images:
        beside = windows(image, 1)[..., [0, 1, 1, 2], [1, 0, 2, 1]].sum(axis=-1)
        salient.append((windows(np.abs(beside - 4 * image), 5) * taps).sum(axis=(2, 3)))
    more = (salient[0] >= salient[1]).astype(float)
    fused = 0
    for parts, radius, epsilon in ((bases, 45, 0.3), (details, 7, 1e-6)):
        weights = []
        for chosen, guide in zip((more, 1 - more), images, strict=True):
            mean = within(guide, radius)
            slope = within(guide * chosen, radius) - mean * within(chosen, radius)
            slope /= within(guide**2, radius) - mean**2 + epsilon
            rest = within(chosen, radius) - slope * mean
            weight = within(slope, radius) * guide + within(rest, radius)
            weights.append(np.rint(255 * np.clip(weight, 0, 1)) + 1e-12)
        fused += (weights[0] * parts[0] + weights[1] * parts[1]) / sum(weights)
    return fused


def test_guided_filters_are_those_of_the_paper(rng):
    """With something to see at the border, and a strip where both show nothing."""
    first, second = np.full((20, 30), 0.25), np.full((20, 30), 0.5)
    first[:, :8] = rng.integers(0, 256, (20, 8)) / 256
    second[:15, 24:] = rng.integers(0, 256, (15, 6)) / 256
    found = fusion_rules.guided_filter(first, second)
    np.testing.assert_allclose(found, by_windows(first, second), atol=1e-6)


def test_of_two_images_that_show_nothing_the_first_is_taken():
    found = fusion_rules.guided_filter(np.full((20, 30), 0.25), np.full((20, 30), 0.75))
    np.testing.assert_allclose(found, 0.25, atol=1e-9)


def test_weights_are_shares_of_their_sum():
    """In 8 bits; where both are nothing, half of each."""
    weights = np.array([0.0, 0.001, 1.2, 0.5]), np.array([-0.2, 0.0, 0.4, 0.5])
    one, other = fusion_rules.shares(*weights)
    np.testing.assert_allclose(one, [0.5, 0.5, 255 / (255 + 102), 0.5], rtol=1e-9)
    np.testing.assert_allclose(one + other, 1)


def test_pyramids_of_four_levels_written_down_plainly(images):
    """Of Laplacians the larger, of ratios the farther from 1, of the last levels the mean."""
    for name, offset in (("laplacian", 0.0), ("ratio pyramid", 1 / 255)):
        pyramids = [plain_fusion.gaussian(image + offset, 4) for image in images]
        expected = sum(pyramid[-1] for pyramid in pyramids) / 2
        for level in (2, 1, 0):
            wider, parts = plain_fusion.expanded(expected, pyramids[0][level].shape), []
            for pyramid in pyramids:
                below = plain_fusion.expanded(pyramid[level + 1], pyramid[level].shape)
                fine = pyramid[level] - below
                parts.append(fine if name == "laplacian" else pyramid[level] / below)
            distances = [np.abs(part - (name != "laplacian")) for part in parts]
            chosen = np.where(distances[0] > distances[1], *parts)
            expected = wider + chosen if name == "laplacian" else wider * chosen
        found = RULES[name](*images)
        same = np.abs(found - (expected - offset)) < 1e-4
        assert same.mean() > 0.99  # where both are as far, rounding may choose either
