import numpy as np
import pytest

from tfreg import ops


@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 3)])
def test_identity_grid_is_numpys_indices(numpy, shape):
    expected = np.moveaxis(np.indices(shape), 0, -1)
    np.testing.assert_array_equal(numpy(ops.identity_grid(shape)), expected)
