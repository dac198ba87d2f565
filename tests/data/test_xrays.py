import numpy as np

from tfreg.data.xrays import Look, backgrounds, degraded, texture
from tfreg.geometry import ConeBeam


def test_textures_and_looks(rng):
    found = texture((30, 41), rng)
    assert found.shape == (30, 41) and (found.min(), found.max()) == (0, 1)
    plain = Look((2.0, 2.0), (0.0, 0.0), (0.0, 0.0), (0.5, 0.5))
    image = rng.random((30, 41))
    np.testing.assert_allclose(
        degraded(image, found, plain, rng), 0.5 * found + 2 * image, atol=1e-5
    )


def test_backgrounds_are_mixed_from_a_pool_of_their_own():
    camera = ConeBeam(1000.0, (20, 24), 1.0)
    first, again, other = (
        backgrounds(camera, 6, np.random.default_rng(3), pool=pool) for pool in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert first.shape == (6, 20, 24) and first.min() >= 0 and first.max() <= 1
    assert np.abs(first - other).mean() > 0.05 and np.abs(first[0] - first[1]).mean() > 0.02
