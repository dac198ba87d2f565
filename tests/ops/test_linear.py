import keras
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from tfreg.ops.affine_parts import affine_matrix, decompose_affine, rotation_matrix
from tfreg.ops.backend import compiled
from tfreg.ops.linear import apply_linear, compose_linear, invert_linear, linear_displacement
from tfreg.ops.linear_fit import fit_linear
from tfreg.ops.linear_parameters import KINDS, bounded_parameters, linear_matrix, parameter_sizes
from tfreg.ops.normalised import (
    matrix_from_normalised,
    matrix_to_normalised,
    points_from_normalised,
    points_to_normalised,
    stn_identity,
    stn_theta,
)

SHAPES = [(7, 12), (5, 9, 6)]
CASES = [
    (kind, shape) for kind in KINDS for shape in SHAPES if (kind, len(shape)) != ("projective", 3)
]


def count(kind, shape):
    return sum(parameter_sizes(kind, len(shape)).values())


def random_matrix(rng, kind, shape, batch=2, size=0.3):
    parameters = rng.normal(size=(batch, count(kind, shape)), scale=size).astype("float32")
    return linear_matrix(np.clip(parameters, -0.4, 0.4), kind, shape)


def grid(shape):
    return np.moveaxis(np.indices(shape), 0, -1).astype("float32")


def itk_points(transform, shape):
    """Where an ITK transform takes every voxel of a unit grid; x, y, z are the axes reversed."""
    points = grid(shape).reshape(-1, len(shape))
    moved = [transform.TransformPoint([float(v) for v in p[::-1]])[::-1] for p in points]
    return np.array(moved).reshape(*shape, len(shape))


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


# Parts


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mirror", [1, -1])
def test_decompose_inverts_affine_matrix(rng, numpy, shape, mirror):
    ndim = len(shape)
    plane = ndim * (ndim - 1) // 2
    scaling = rng.uniform(0.5, 2, (20, ndim))
    scaling[:, 0] *= mirror
    parts = [
        rng.normal(size=(20, ndim), scale=5),
        rng.uniform(-1.5, 1.5, (20, plane)),
        scaling,
        rng.uniform(-1, 1, (20, plane)),
    ]
    parts = [part.astype("float32") for part in parts]
    found = decompose_affine(affine_matrix(*parts, shape), shape)
    for name, part in zip(found._fields, parts, strict=True):
        np.testing.assert_allclose(numpy(getattr(found, name)), part, atol=2e-5, err_msg=name)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 3), st.integers(0, 2**32 - 1))
def test_any_matrix_is_the_product_of_its_parts(ndim, seed):
    shape = SHAPES[ndim - 2]
    matrix = np.random.default_rng(seed).uniform(-2, 2, (1, ndim, ndim + 1)).astype("float32")
    if abs(np.linalg.det(matrix[0, :, :ndim])) < 0.1:
        return
    parts = decompose_affine(matrix, shape)
    again = keras.ops.convert_to_numpy(affine_matrix(*parts, shape))
    np.testing.assert_allclose(again, matrix, atol=2e-4)
    rotation = keras.ops.convert_to_numpy(rotation_matrix(parts.rotation))[0]
    assert abs(np.linalg.det(rotation) - 1) < 1e-5


def test_decompose_at_the_lock_of_the_angles(numpy):
    angles = np.array([[0.4, np.pi / 2, 0.3]], "float32")
    matrix = affine_matrix(np.zeros((1, 3)), angles, np.ones((1, 3)), np.zeros((1, 3)), (4, 5, 6))
    parts = decompose_affine(matrix, (4, 5, 6))
    np.testing.assert_allclose(numpy(parts.rotation)[0], [0.7, np.pi / 2, 0], atol=1e-3)
    np.testing.assert_allclose(numpy(affine_matrix(*parts, (4, 5, 6))), numpy(matrix), atol=2e-6)


@pytest.mark.parametrize(("kind", "shape"), [c for c in CASES if c[0] != "translation"])
def test_bounds(rng, numpy, kind, shape):
    ndim, n = len(shape), count(kind, shape)
    zeros = np.zeros((1, n), "float32")
    np.testing.assert_array_equal(numpy(bounded_parameters(zeros, kind, ndim)), zeros)
    outputs = rng.normal(size=(50, n), scale=20).astype("float32")
    bounded = numpy(bounded_parameters(outputs, kind, ndim))
    np.testing.assert_array_equal(bounded[:, :ndim], outputs[:, :ndim])
    limits = {"rotation": np.pi / 2, "log_scale": np.log(2), "log_scaling": np.log(2)}
    start = 0
    for name, size in parameter_sizes(kind, ndim).items():
        if name != "translation":
            limit = limits.get(name, 1 / 3 if name == "perspective" else 1)
            largest = np.abs(bounded[:, start : start + size]).max()
            assert 0.9 * limit < largest < limit + 1e-6, name
        start += size


# Fits


@pytest.mark.parametrize("kind", ["translation", "rigid", "similarity", "affine"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_fit_finds_the_transform(rng, numpy, kind, shape, weighted):
    matrix = random_matrix(rng, kind, shape, batch=3)
    points = rng.uniform(0, 50, (3, 12, len(shape))).astype("float32")
    moved = numpy(apply_linear(matrix, points)).copy()
    weights = None
    if weighted:  # an outlier that does not count
        weights = rng.uniform(0.5, 2, (3, 12)).astype("float32")
        weights[:, 5] = 0
        moved[:, 5] += 100
    found = numpy(fit_linear(points, moved, kind, weights))
    np.testing.assert_allclose(found[..., :-1], numpy(matrix)[..., :-1], atol=2e-5)
    np.testing.assert_allclose(found[..., -1], numpy(matrix)[..., -1], atol=1e-3)


@pytest.mark.parametrize("kind", ["rigid", "similarity", "affine"])
def test_noisy_fit_is_a_minimum(rng, numpy, kind):
    """No small change of the parameters lowers the weighted error."""
    shape = (5, 9, 6)
    points = rng.uniform(0, 8, (1, 9, 3)).astype("float32")
    moved = points + rng.normal(size=points.shape).astype("float32")
    weights = rng.uniform(0.5, 2, (1, 9)).astype("float32")
    best = fit_linear(points, moved, kind, weights)

    def error(matrix):
        difference = numpy(apply_linear(matrix, points)).astype("float64") - moved
        return float((weights[..., None] * difference**2).sum())

    least = error(best)
    for _ in range(30):
        change = random_matrix(rng, kind, shape, batch=1, size=0.01)
        assert error(compose_linear(change, best)) >= least - 1e-4


@pytest.mark.parametrize("ndim", [2, 3])
def test_rigid_fit_never_mirrors(rng, numpy, ndim):
    points = rng.normal(size=(4, 8, ndim)).astype("float32")
    mirrored = points * np.array([-1] + [1] * (ndim - 1), "float32")
    for kind in ("rigid", "similarity"):
        linear = numpy(fit_linear(points, mirrored, kind))[..., :ndim]
        assert np.all(np.linalg.det(linear) > 0)
    linear = numpy(fit_linear(points, mirrored, "rigid"))[..., :ndim]
    np.testing.assert_allclose(
        linear @ np.swapaxes(linear, 1, 2), np.broadcast_to(np.eye(ndim), linear.shape), atol=1e-5
    )


def test_rigid_fit_agrees_with_scipy(rng, numpy):
    from scipy.spatial.transform import Rotation

    x, y = rng.normal(size=(2, 10, 3))
    expected, _ = Rotation.align_vectors(y - y.mean(0), x - x.mean(0))
    found = numpy(fit_linear(x[None].astype("float32"), y[None].astype("float32"), "rigid"))
    np.testing.assert_allclose(found[0, :, :3], expected.as_matrix(), atol=2e-5)


# Normalised coordinates


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


@pytest.mark.parametrize("kind", ["rigid", "similarity", "affine"])
@pytest.mark.on_jax
def test_gradient_of_a_fit(rng, check_gradient, kind):
    fixed, moving = rng.normal(size=(2, 2, 7, 3))
    weights = rng.normal(size=(2, 3, 4))
    check_gradient(lambda t: fit_linear(fixed, t, kind) * weights, moving, tolerance=1e-5)
    check_gradient(lambda t: fit_linear(t, moving, kind) * weights, fixed, tolerance=1e-5)


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
