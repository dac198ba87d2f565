import numpy as np
import pytest
from keras import ops as keras_ops
from scipy.optimize import minimize, rosen, rosen_der

from tfreg.registration.instance.lbfgs import minimiser

pytestmark = pytest.mark.on_jax


def lbfgs(losses, learning_rate=0.1, tolerance=0.0):
    run = minimiser(losses)
    settings = np.float32(learning_rate), np.float32(1), np.float32(tolerance)
    return lambda steps, start, *data: run(np.int32(steps), *settings, start, *data)


def valley(x):
    """Rosenbrock's function of each row."""
    ahead, behind = x[:, 1:], x[:, :-1]
    return keras_ops.sum(100 * (ahead - behind**2) ** 2 + (1 - behind) ** 2, axis=1)


def test_valley_is_followed_about_as_fast_as_by_scipy(numpy):
    start = np.array([-1.2, 1.0, -0.5, 0.8], "float32")
    known = minimize(rosen, start, jac=rosen_der, method="L-BFGS-B", options={"maxcor": 5})
    found, value, first, taken = map(numpy, lbfgs(valley)(known.nfev + 25, start[None]))
    assert first[0] == pytest.approx(rosen(start), rel=1e-4)
    assert value[0] < 1e-3 and taken[0] == known.nfev + 25
    np.testing.assert_allclose(found[0], known.x, atol=0.05)


def test_problems_of_a_batch_do_not_touch_each_other(numpy):
    run = lbfgs(valley)
    start = np.array([[-1.2, 1.0], [4.0, -3.0], [1.0, 1.0]], "float32")
    both = [numpy(part) for part in run(15, start)]
    for i in range(3):
        alone = run(15, start[i : i + 1])
        np.testing.assert_allclose(both[0][i], numpy(alone[0])[0], atol=1e-4)
    assert (both[1] <= both[2]).all()
    np.testing.assert_array_equal(both[0][2], start[2])


def test_first_step_changes_what_changes_most_by_the_learning_rate(numpy):
    def tilted(x):
        return keras_ops.sum(x * np.array([3.0, -1.0], "float32"), axis=1)

    found = numpy(lbfgs(tilted, 0.6)(1, np.zeros((1, 2), "float32"))[0])
    np.testing.assert_allclose(found, [[-0.6, 0.2]], atol=1e-6)


def test_what_is_refused_is_never_entered(numpy):
    """A loss that is large, or no number, beyond a wall behind which it would be least."""
    for beyond in (1e3, np.nan):

        def walled(x, beyond=beyond):
            value = keras_ops.sum((x - 3) ** 2, axis=1)
            return keras_ops.where(keras_ops.max(x, axis=1) < 1, value, beyond)

        found, value, *_ = lbfgs(walled, 0.7)(30, np.zeros((1, 2), "float32"))
        assert 0.9 < numpy(found).max() < 1 and numpy(value)[0] < 9


def test_a_plateau_ends_it_and_no_step_is_the_start(numpy):
    start = np.array([[2.0]], "float32")
    square = lambda x: keras_ops.sum(x**2, axis=1)  # noqa: E731
    found, value, first, taken = map(numpy, lbfgs(square)(0, start))
    assert found == start and value == first == 4 and taken == 0
    assert numpy(lbfgs(square, tolerance=1e-3)(500, start)[3])[0] == 39
