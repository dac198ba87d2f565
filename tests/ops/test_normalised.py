import numpy as np
import pytest
from linear_cases import SHAPES

from tfreg.ops.linear import apply_linear
from tfreg.ops.normalised import (
    matrix_from_normalised,
    matrix_to_normalised,
    points_from_normalised,
    points_to_normalised,
    stn_identity,
    stn_theta,
)


@pytest.mark.parametrize("shape", [(7, 12), (28, 28), (50, 83), (5, 9, 6), (99, 61, 187)])
def test_identity_theta_is_exactly_the_identity(numpy, shape):
    ndim = len(shape)
    for kind in ("attention", "affine", "projective")[: 3 if ndim == 2 else 2]:
        theta = stn_theta(stn_identity(kind, ndim)[None], kind, ndim)
        matrix = numpy(matrix_from_normalised(theta, shape))
        np.testing.assert_array_equal(matrix[0], np.eye(*matrix.shape[1:]))


@pytest.mark.parametrize("shape", SHAPES)
def test_theta_acts_on_normalised_points_x_first(rng, numpy, shape):
    ndim = len(shape)
    moving_shape = tuple(n + 3 + i for i, n in enumerate(shape))
    theta = rng.normal(size=(2, ndim, ndim + 1)).astype("float32")
    points = rng.uniform(-1, 1, (2, 9, ndim)).astype("float32")
    source = np.einsum("bij,bnj->bni", theta[..., :ndim], points) + theta[:, None, :, ndim]
    matrix = matrix_from_normalised(theta, shape, moving_shape)
    found = apply_linear(matrix, points_from_normalised(points, shape))
    np.testing.assert_allclose(
        numpy(found), numpy(points_from_normalised(source, moving_shape)), atol=2e-5
    )
    np.testing.assert_allclose(
        numpy(matrix_to_normalised(matrix, shape, moving_shape)), theta, atol=2e-6
    )


def test_projective_theta(rng, numpy):
    theta = numpy(stn_theta(rng.normal(size=(2, 8), scale=0.2), "projective", 2)) + np.eye(3)
    theta = theta.astype("float32")
    points = rng.uniform(-1, 1, (2, 9, 2)).astype("float32")
    source = np.einsum("bij,bnj->bni", theta, np.concatenate([points, np.ones((2, 9, 1))], -1))
    source = (source[..., :2] / source[..., 2:]).astype("float32")
    matrix = matrix_from_normalised(theta, (7, 12), (9, 5))
    found = apply_linear(matrix, points_from_normalised(points, (7, 12)))
    np.testing.assert_allclose(
        numpy(found), numpy(points_from_normalised(source, (9, 5))), atol=5e-5
    )
    again = numpy(matrix_to_normalised(matrix, (7, 12), (9, 5)))
    np.testing.assert_allclose(again, theta, atol=2e-6)


def test_normalised_ends_are_voxel_centres(numpy):
    corners = numpy(points_from_normalised([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0]], (7, 12)))
    np.testing.assert_array_equal(corners, [[0, 0], [0, 11], [6, 11]])
    np.testing.assert_array_equal(
        numpy(points_to_normalised(corners, (7, 12))), [[-1, -1], [1, -1], [1, 1]]
    )


def test_attention_is_scale_then_x_then_y(numpy):
    theta = numpy(stn_theta([[0.5, 0.25, -0.75]], "attention", 2))
    np.testing.assert_array_equal(theta[0], [[0.5, 0, 0.25], [0, 0.5, -0.75]])
