import numpy as np
import pytest

from zoo.ssemnet import similarity


@pytest.mark.on_jax
def test_the_largest_errors_are_dropped_as_a_sort_would(rng, numpy):
    errors = rng.exponential(size=(3, 9, 10, 1)).astype("float32")
    weights = np.ones_like(errors)
    weights[1, :, :5] = 0
    for drop in (0.0, 0.1, 0.5):
        found = numpy(similarity.kept(errors, weights, np.float32(drop)))
        for item in range(3):
            counted = weights[item] > 0
            order = np.sort(errors[item][counted])
            left = len(order) - int(drop * len(order))
            np.testing.assert_array_equal(
                found[item][counted] > 0, errors[item][counted] <= order[left - 1]
            )


def test_squared_differences_are_relative_to_the_variance(rng, numpy):
    reference, found = rng.normal(size=(2, 2, 5, 6, 3)).astype("float32")
    mask = np.ones((2, 5, 6, 1), "float32")
    got = numpy(similarity.distance(reference, found, mask, 0.0, "squared"))
    centred = reference - reference.mean(axis=(1, 2), keepdims=True)
    expected = ((reference - found) ** 2).mean(axis=(1, 2, 3)) / (centred**2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_centred_is_one_minus_the_cosine_whatever_gain_and_offset(rng, numpy):
    reference, found = rng.normal(size=(2, 2, 5, 6, 3)).astype("float32")
    mask = np.ones((2, 5, 6, 1), "float32")
    mask[:, :2] = 0
    one, other = (v[:, 2:] - v[:, 2:].mean(axis=(1, 2), keepdims=True) for v in (reference, found))
    cosine = (one * other).sum(axis=(1, 2, 3)) / np.sqrt(
        (one**2).sum(axis=(1, 2, 3)) * (other**2).sum(axis=(1, 2, 3))
    )
    got = numpy(similarity.distance(reference, found, mask, 0.0, "centred"))
    np.testing.assert_allclose(got, 1 - cosine, atol=1e-5)
    changed = 7 * found + np.array([1.0, -2.0, 3.0], "float32")
    again = numpy(similarity.distance(reference, changed, mask, 0.0, "centred"))
    np.testing.assert_allclose(again, got, atol=1e-5)


def test_what_the_mask_or_the_drop_leaves_out_does_not_matter(rng, numpy):
    reference = rng.normal(size=(1, 8, 8, 2)).astype("float32")
    found = reference.copy()
    found[0, 1, 2] += 100
    mask = np.ones((1, 8, 8, 1), "float32")
    assert numpy(similarity.distance(reference, found, mask, 0.0, "squared"))[0] > 1
    assert numpy(similarity.distance(reference, found, mask, 0.05, "squared"))[0] == 0
    mask[0, 1, 2] = 0
    assert numpy(similarity.distance(reference, found, mask, 0.0, "squared"))[0] == 0


def test_averaged_takes_back_what_doubles(rng, numpy):
    from zoo.ssemnet.model import _doubled

    small = rng.normal(size=(2, 3, 5, 4)).astype("float32")
    np.testing.assert_allclose(numpy(similarity.averaged(_doubled(small), 2)), small, atol=1e-6)
