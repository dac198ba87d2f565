import numpy as np
import pytest

from tfreg import losses


@pytest.mark.parametrize("shape", [(2, 7, 9), (2, 5, 4, 6)])
@pytest.mark.on_jax
def test_equals_numpy(rng, numpy, shape):
    labels = rng.integers(0, 4, size=shape)
    labels[1][labels[1] == 2] = 0  # a class that does not occur in one of the pairs
    fixed = np.eye(5, dtype="float32")[labels]
    moved = rng.dirichlet(np.ones(5), size=shape).astype("float32")
    moved[1, ..., 2] = 0
    moved[..., 4] = 0
    mask = (rng.uniform(size=(*shape, 1)) > 0.4).astype("float32")
    for w in (None, mask):
        weights = np.ones_like(mask) if w is None else w
        expected = []
        for f, m, x in zip(fixed, moved, weights, strict=True):
            scores = [
                2
                * (x[..., 0] * f[..., c] * m[..., c]).sum()
                / (x[..., 0] * (f[..., c] + m[..., c])).sum()
                for c in range(5)
                if (x[..., 0] * (f[..., c] + m[..., c])).sum() > 0
            ]
            expected.append(np.mean(scores))
        assert len(scores) == 3
        np.testing.assert_allclose(numpy(losses.soft_dice(fixed, moved, w)), expected, rtol=1e-5)


def test_equal_disjoint_and_empty(numpy):
    one, other = np.zeros((2, 1, 6, 5, 2), "float32")
    one[:, :3, :, 1] = 1
    other[:, 3:, :, 1] = 1
    assert numpy(losses.soft_dice(one, one))[0] == 1
    assert numpy(losses.soft_dice(one, other))[0] == 0
    assert numpy(losses.soft_dice(0 * one, 0 * one))[0] == 0
