import keras
import numpy as np
import pytest
import SimpleITK as sitk
from linear_cases import CASES, SHAPES, count, grid, itk_points, random_matrix

from tfreg.ops.affine_parts import affine_matrix, decompose_affine, rotation_matrix
from tfreg.ops.backend import compiled
from tfreg.ops.linear import apply_linear, compose_linear, invert_linear, linear_displacement
from tfreg.ops.linear_fit import fit_linear
from tfreg.ops.linear_parameters import bounded_parameters, linear_matrix
from tfreg.ops.normalised import (
    matrix_from_normalised,
    stn_theta,
)

# The displacement and the matrix algebra


@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_zero_parameters_are_exactly_the_identity(numpy, kind, shape):
    zeros = np.zeros((2, count(kind, shape)), "float32")
    u = numpy(linear_displacement(linear_matrix(zeros, kind, shape), shape))
    assert u.shape == (2, *shape, len(shape)) and u.dtype == np.float32
    assert np.all(u == 0)

    @compiled
    def whole(parameters):
        return linear_displacement(linear_matrix(parameters, kind, shape), shape)

    assert np.all(numpy(whole(keras.ops.convert_to_tensor(zeros))) == 0)


@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_displacement_is_the_map_of_the_grid_points(rng, numpy, kind, shape):
    matrix = random_matrix(rng, kind, shape)
    points = np.stack([grid(shape)] * 2)
    expected = numpy(apply_linear(matrix, points)) - points
    np.testing.assert_allclose(numpy(linear_displacement(matrix, shape)), expected, atol=1e-5)


@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_compose_and_invert(rng, numpy, kind, shape):
    outer, inner = random_matrix(rng, kind, shape), random_matrix(rng, "affine", shape)
    points = rng.uniform(0, 5, size=(2, 11, len(shape))).astype("float32")
    both = apply_linear(compose_linear(outer, inner), points)
    np.testing.assert_allclose(
        numpy(both), numpy(apply_linear(outer, apply_linear(inner, points))), atol=2e-5
    )
    back = apply_linear(invert_linear(outer), apply_linear(outer, points))
    np.testing.assert_allclose(numpy(back), points, atol=5e-5)
    eye = numpy(compose_linear(invert_linear(outer), outer))
    eye = eye / eye[:, -1:, -1:] if kind == "projective" else eye
    expected = np.broadcast_to(np.eye(*eye.shape[1:]), eye.shape)
    np.testing.assert_allclose(eye, expected, atol=2e-5)


def test_inverse_of_the_identity_is_exact(numpy):
    for ndim in (2, 3):
        eye = np.eye(ndim, ndim + 1, dtype="float32")[None]
        np.testing.assert_array_equal(numpy(invert_linear(eye)), eye)


def test_known_translation_moves_an_asymmetric_image(numpy):
    from tfreg import ops

    image = np.arange(35, dtype="float32").reshape(1, 5, 7, 1)
    matrix = linear_matrix([[1.0, -2.0]], "translation", (5, 7))
    moved = numpy(ops.resample(image, linear_displacement(matrix, (5, 7))))
    np.testing.assert_array_equal(moved[0, :4, 2:, 0], image[0, 1:, :5, 0])


def test_quarter_turn_is_rot90(numpy):
    from tfreg import ops

    image = np.arange(25, dtype="float32").reshape(1, 5, 5, 1)
    matrix = linear_matrix([[0.0, 0.0, np.pi / 2]], "rigid", (5, 5))
    moved = numpy(ops.resample(image, linear_displacement(matrix, (5, 5))))
    # Positions turn from axis 0 (down) to axis 1 (right), so the content turns clockwise.
    np.testing.assert_allclose(moved[0, ..., 0], np.rot90(image[0, ..., 0], -1), atol=1e-4)


# Against SimpleITK


@pytest.mark.parametrize("shape", SHAPES)
def test_affine_agrees_with_simpleitk(rng, numpy, shape):
    ndim = len(shape)
    matrix = numpy(random_matrix(rng, "affine", shape, batch=1))[0]
    transform = sitk.AffineTransform(ndim)
    transform.SetMatrix(matrix[::-1, :ndim][:, ::-1].ravel().astype(float).tolist())
    transform.SetTranslation(matrix[::-1, ndim].astype(float).tolist())
    u = numpy(linear_displacement(matrix[None], shape))[0]
    np.testing.assert_allclose(u, itk_points(transform, shape) - grid(shape), atol=5e-6)


def test_rigid_2d_agrees_with_simpleitk(numpy):
    shape, angle, shift = (7, 12), 0.4, (1.5, -2.0)
    transform = sitk.Euler2DTransform()
    transform.SetCenter([(n - 1) / 2 for n in shape[::-1]])
    transform.SetAngle(-angle)  # from x to y, hence from axis 1 to axis 0
    transform.SetTranslation(shift[::-1])
    u = numpy(linear_displacement(linear_matrix([[*shift, angle]], "rigid", shape), shape))[0]
    np.testing.assert_allclose(u, itk_points(transform, shape) - grid(shape), atol=5e-6)


@pytest.mark.on_jax
def test_rigid_3d_agrees_with_simpleitk(numpy):
    shape, angles, shift = (5, 9, 6), (0.3, -0.5, 0.7), (1.5, -2.0, 0.25)
    transform = sitk.Euler3DTransform()
    transform.SetCenter([(n - 1) / 2 for n in shape[::-1]])
    transform.SetComputeZYX(True)
    transform.SetRotation(*(-a for a in angles[::-1]))
    transform.SetTranslation(shift[::-1])
    u = numpy(linear_displacement(linear_matrix([[*shift, *angles]], "rigid", shape), shape))[0]
    np.testing.assert_allclose(u, itk_points(transform, shape) - grid(shape), atol=1e-5)


def test_similarity_2d_agrees_with_simpleitk(numpy):
    shape, angle, shift, scale = (7, 12), -0.3, (0.5, 2.0), 1.3
    transform = sitk.Similarity2DTransform()
    transform.SetCenter([(n - 1) / 2 for n in shape[::-1]])
    transform.SetAngle(-angle)
    transform.SetScale(scale)
    transform.SetTranslation(shift[::-1])
    parameters = [[*shift, angle, np.log(scale)]]
    u = numpy(linear_displacement(linear_matrix(parameters, "similarity", shape), shape))[0]
    np.testing.assert_allclose(u, itk_points(transform, shape) - grid(shape), atol=5e-6)


def test_projective_denominator(numpy):
    """The middle stays, and the denominator is 1 + p at the border."""
    shape = (5, 9)
    matrix = numpy(linear_matrix([[0, 0, 0, 0, 0, 0, 0.5, 0.0]], "projective", shape))
    points = numpy(apply_linear(matrix, [[[2.0, 4.0], [4.0, 4.0], [4.0, 8.0], [0.0, 8.0]]]))
    expected = [[2, 4], [2 + 2 / 1.5, 4], [2 + 2 / 1.5, 4 + 4 / 1.5], [2 - 2 / 0.5, 4 + 4 / 0.5]]
    np.testing.assert_allclose(points[0], expected, atol=1e-5)


# Gradients and errors

# Keras on JAX takes sines and hyperbolic tangents of float64 in float32.
ROUNDED = {"step": 1e-2, "tolerance": 1e-3} if keras.config.backend() == "jax" else {}


@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_gradient_of_the_parameters(rng, check_gradient, kind, shape):
    parameters = rng.normal(size=(2, count(kind, shape)), scale=0.1)
    weights = rng.normal(size=(2, *shape, len(shape)))

    def function(tensor):
        if kind != "translation":
            tensor = bounded_parameters(tensor, kind, len(shape))
        return linear_displacement(linear_matrix(tensor, kind, shape), shape) * weights

    check_gradient(function, parameters, **ROUNDED)
    check_gradient(function, np.zeros_like(parameters), **ROUNDED)


def test_gradient_of_inverse_and_parts(rng, check_gradient):
    matrix = rng.normal(size=(2, 3, 4), scale=0.2) + np.eye(3, 4)
    check_gradient(lambda t: invert_linear(t) ** 2, matrix)

    def parts(tensor):
        return keras.ops.concatenate(list(decompose_affine(tensor, (5, 9, 6))), -1) ** 2

    check_gradient(parts, matrix, **ROUNDED)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: linear_displacement(np.zeros((2, 3)), (4, 4)), "shape"),
        (lambda: linear_displacement(np.zeros((1, 2, 3)), (4, 4, 4)), r"\(4, 4, 4\)"),
        (lambda: linear_displacement(np.zeros((1, 2, 3)), (4, 0)), r"\(4, 0\)"),
        (lambda: apply_linear(np.zeros((1, 2, 3)), np.zeros((1, 5, 3))), "points"),
        (lambda: compose_linear(np.zeros((1, 2, 3)), np.zeros((1, 3, 4))), "same dimension"),
        (lambda: linear_matrix([[0.0]], "affine", (4, 4)), r"\(batch, 6\)"),
        (lambda: linear_matrix([[0.0]], "shear", (4, 4)), "kind=shear"),
        (lambda: linear_matrix(np.zeros((1, 8)), "projective", (4, 4, 4)), "ndim=3"),
        (lambda: linear_matrix(np.zeros((1, 8)), "projective", (1, 4)), r"\(1, 4\)"),
        (lambda: affine_matrix(*np.zeros((4, 1, 2)), (4, 4)), "rotation"),
        (lambda: decompose_affine(np.zeros((1, 3, 3)), (4, 4)), "projective"),
        (lambda: bounded_parameters([[0.0, 0.0]], "translation", 2), "translation"),
        (lambda: rotation_matrix([[0.0, 0.0]]), "angles"),
        (lambda: fit_linear(np.zeros((1, 2, 2)), np.zeros((1, 2, 2))), "needs 3 points"),
        (lambda: fit_linear(np.zeros((1, 4, 2)), np.zeros((1, 3, 2))), "same, known number"),
        (lambda: fit_linear(np.zeros((1, 4, 2)), np.zeros((1, 4, 2)), "shear"), "kind=shear"),
        (lambda: fit_linear(*np.zeros((2, 1, 4, 2)), weights=np.ones((1, 3))), "weights"),
        (lambda: matrix_from_normalised(np.zeros((1, 2, 3)), (4, 1)), r"\(4, 1\)"),
        (lambda: stn_theta(np.zeros((1, 5)), "affine", 2), r"\(batch, 6\)"),
        (lambda: stn_theta(np.zeros((1, 5)), "rigid", 2), "kind=rigid"),
    ],
)
def test_errors_name_the_value(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "Received: " in str(caught.value)
