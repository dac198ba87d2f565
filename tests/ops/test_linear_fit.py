import numpy as np
import pytest
from linear_cases import SHAPES, random_matrix

from tfreg.ops.linear import apply_linear, compose_linear
from tfreg.ops.linear_fit import fit_linear


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


@pytest.mark.parametrize("kind", ["rigid", "similarity", "affine"])
@pytest.mark.on_jax
def test_gradient_of_a_fit(rng, check_gradient, kind):
    fixed, moving = rng.normal(size=(2, 2, 7, 3))
    weights = rng.normal(size=(2, 3, 4))
    check_gradient(lambda t: fit_linear(fixed, t, kind) * weights, moving, tolerance=1e-5)
    check_gradient(lambda t: fit_linear(t, moving, kind) * weights, fixed, tolerance=1e-5)
