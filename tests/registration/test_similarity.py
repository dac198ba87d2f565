import numpy as np
import pytest

from tfreg import losses
from tfreg.registration.similarity import quick_ncc


@pytest.mark.parametrize("shape", [(3, 40, 30, 1), (2, 20, 18, 16, 1)])
@pytest.mark.parametrize("masked", [False, True])
def test_quick_ncc_is_ncc(rng, numpy, shape, masked):
    fixed, noise = (rng.random((2, *shape)) - 0.5).astype("float32")
    moved = (0.1 + 0.2 * fixed + 0.05 * noise).astype("float32")
    mask = rng.random(shape).astype("float32") if masked else None
    found, expected = (numpy(f(fixed, moved, mask=mask)) for f in (quick_ncc, losses.ncc))
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert (expected > 0.5).all()


def test_gradient(rng, check_gradient):
    fixed = rng.random((2, 6, 7, 1))
    check_gradient(lambda moved: quick_ncc(fixed, moved), rng.random((2, 6, 7, 1)))


def test_a_constant_image_gives_zero(rng, numpy):
    fixed = (rng.random((1, 8, 8, 1)) - 0.5).astype("float32")
    np.testing.assert_allclose(numpy(quick_ncc(fixed, 0 * fixed + 0.2)), 0, atol=1e-3)
