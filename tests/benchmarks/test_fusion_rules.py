import numpy as np
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
