import numpy as np
import pytest

from tfreg import losses, ops


@pytest.mark.parametrize("shape", [(6, 9), (4, 6, 5)])
def test_determinant_of_a_linear_map_is_exact(rng, numpy, shape):
    ndim = len(shape)
    matrix = np.eye(ndim) + 0.3 * rng.normal(size=(ndim, ndim))
    grid = np.moveaxis(np.indices(shape), 0, -1).astype("float64")
    displacement = (grid @ matrix.T - grid)[None].astype("float32")
    expected = np.linalg.det(matrix)
    np.testing.assert_allclose(numpy(ops.jacobian_determinant(displacement)), expected, atol=1e-4)
    np.testing.assert_allclose(numpy(ops.cell_determinant(displacement)), expected, atol=1e-4)
    np.testing.assert_allclose(
        numpy(ops.jacobian_matrix(displacement))[0, 1, 2], _at(matrix, ndim), atol=1e-5
    )


def _at(matrix, ndim):
    return matrix if ndim == 2 else np.broadcast_to(matrix, (5, 3, 3))


@pytest.mark.parametrize("shape", [(6, 9), (4, 6, 5)])
def test_determinant_equals_numpy(rng, numpy, shape):
    ndim = len(shape)
    displacement = rng.normal(size=(2, *shape, ndim)).astype("float32")
    axes = tuple(range(1, 1 + ndim))
    jacobian = np.stack(np.gradient(displacement, axis=axes), axis=-1) + np.eye(ndim)
    np.testing.assert_allclose(
        numpy(ops.jacobian_determinant(displacement)), np.linalg.det(jacobian), atol=1e-5
    )


def test_folding_penalty_sees_what_central_differences_miss(numpy):
    displacement = np.zeros((1, 8, 8, 2), "float32")
    displacement[:, ::2, :, 0] = 1.5  # alternates from row to row
    assert (numpy(ops.jacobian_determinant(displacement))[0, 2:-2] > 0).all()
    assert numpy(losses.folding_penalty(displacement))[0] > 0.1
    assert numpy(losses.folding_penalty(0 * displacement))[0] == 0


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="Received"):
        ops.jacobian_determinant(np.zeros((4, 4, 2), "float32"))
    with pytest.raises(ValueError, match="size of at least 2"):
        ops.jacobian_determinant(np.zeros((1, 1, 4, 2), "float32"))


def test_divergence_and_curl_of_linear_fields(rng, numpy):
    for shape in [(24, 31), (14, 18, 16)]:
        ndim = len(shape)
        matrix = rng.normal(size=(ndim, ndim))
        grid = np.moveaxis(np.indices(shape), 0, -1).astype("float64")
        field = (grid @ matrix.T)[None].astype("float32")  # d u_i / d x_j = matrix[i, j]
        np.testing.assert_allclose(numpy(ops.divergence(field)), np.trace(matrix), atol=1e-4)
        if ndim == 2:
            expected = matrix[1, 0] - matrix[0, 1]
        else:
            expected = [matrix[k, j] - matrix[j, k] for j, k in ((1, 2), (2, 0), (0, 1))]
        expected = np.broadcast_to(expected, numpy(ops.curl(field)).shape)
        np.testing.assert_allclose(numpy(ops.curl(field)), expected, atol=1e-4)
