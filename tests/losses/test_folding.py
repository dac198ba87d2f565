import numpy as np
import pytest

from tfreg import losses


@pytest.mark.on_jax
def test_gradient(rng, check_gradient):
    check_gradient(losses.folding_penalty, 0.7 * rng.normal(size=(1, 4, 5, 2)))


def test_mean_over_the_cells_below_the_margin(numpy):
    x = np.indices((4, 6)).astype("float32")
    displacement = np.stack([0 * x[0], -2 * x[1]], axis=-1)[None]  # det = 1 - 2 everywhere
    np.testing.assert_allclose(numpy(losses.folding_penalty(displacement, 0.5)), [1.5], rtol=1e-6)
