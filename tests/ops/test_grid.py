import numpy as np
import pytest

from tfreg import ops


@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 3)])
def test_identity_grid_is_numpys_indices(numpy, shape):
    expected = np.moveaxis(np.indices(shape), 0, -1)
    np.testing.assert_array_equal(numpy(ops.identity_grid(shape)), expected)


def test_dtype_and_counting_beyond_half_precision(numpy):
    grid = numpy(ops.identity_grid((2, 70_001)))
    assert grid.dtype == np.float32 and grid[1, -1].tolist() == [1, 70_000]
