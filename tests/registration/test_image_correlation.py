import numpy as np
import pytest
from scipy.ndimage import sobel

from tfreg import losses, ops
from tfreg.registration.projection.correlation import (
    features,
    inner,
    normal_equations,
    standardised,
)


def case(rng, similarity, batch=2):
    image, other = rng.normal(size=(2, batch, 9, 8))
    columns = rng.normal(size=(batch, 3, 9, 8))
    mask = np.ones((batch, 9, 8))
    mask[:, :2, 3:6] = 0
    weights = inner(mask, similarity)
    target = [standardised(part, weights)[0] for part in features(other, similarity)]
    return image, other, columns, mask, weights, target


def test_gradient_images_are_sobels(rng, numpy):
    image = rng.normal(size=(2, 9, 8))
    with ops.uncompiled():
        found = features(image, "gc")
    for part, axis in zip(found, (1, 2), strict=True):
        expected = np.stack([sobel(one, axis - 1) for one in image])[:, 1:-1, 1:-1]
        np.testing.assert_allclose(numpy(part), expected.reshape(2, -1), atol=1e-9)


def test_value_is_that_of_the_loss(rng, numpy):
    image, other, columns, mask, weights, target = case(rng, "ncc")
    value = numpy(normal_equations(image, columns, target, weights, "ncc")[0])
    correlation = losses.ncc(other[..., None], image[..., None], mask[..., None])
    np.testing.assert_allclose(value, 1 - numpy(correlation), atol=1e-9)


@pytest.mark.parametrize("similarity", ["gc", "ncc"])
def test_gradient_and_matrix(rng, numpy, similarity):
    image, _, columns, _, weights, target = case(rng, similarity)

    def at(p):
        moved = image + np.einsum("k,bkrc->brc", p, columns)
        parts = [standardised(f, weights)[0] for f in features(moved, similarity)]
        root = np.sqrt(numpy(weights) / len(parts))
        return np.stack(
            [root * (numpy(n) - numpy(t)) for n, t in zip(parts, target, strict=True)]
        )  # residuals, whose half sum of squares is the value

    value, matrix, gradient = map(
        numpy, normal_equations(image, columns, target, weights, similarity)
    )
    residual = at(np.zeros(3))
    np.testing.assert_allclose((residual**2).sum((0, 2)) / 2, value, atol=1e-9)
    slopes = np.stack([(at(s) - at(-s)) / 2e-6 for s in np.eye(3) * 1e-6])
    np.testing.assert_allclose(np.einsum("kfbp,fbp->bk", slopes, residual), gradient, atol=1e-7)
    np.testing.assert_allclose(np.einsum("kfbp,lfbp->bkl", slopes, slopes), matrix, atol=1e-7)


@pytest.mark.parametrize("similarity", ["gc", "ncc"])
def test_what_does_not_vary_pulls_nowhere(rng, numpy, similarity):
    _, _, columns, _, weights, target = case(rng, similarity)
    flat = np.full((2, 9, 8), 3.0)
    value, matrix, gradient = map(
        numpy, normal_equations(flat, columns, target, weights, similarity)
    )
    np.testing.assert_allclose(value, 1)
    assert not matrix.any() and not gradient.any()


def test_what_touches_the_outside_does_not_count(numpy):
    mask = np.ones((1, 5, 6))
    mask[0, 0, 0] = 0
    found = numpy(inner(mask, "gc")).reshape(3, 4)
    assert found[0, 0] == 0 and found.sum() == 11
    assert numpy(inner(mask, "ncc")).sum() == 29
