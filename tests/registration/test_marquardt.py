import numpy as np
import pytest
from keras import ops as K

from tfreg.registration.projection.marquardt import marquardt, solved


def rosenbrock(x):
    """Residuals ``10 (x1 - x0^2)`` and ``1 - x0``."""
    r = [10 * (x[:, 1] - x[:, 0] ** 2), 1 - x[:, 0]]
    one = K.ones_like(r[0])
    rows = [[-20 * x[:, 0], 10 * one], [-one, 0 * one]]
    matrix = [[sum(row[i] * row[j] for row in rows) for j in range(2)] for i in range(2)]
    gradient = [sum(row[i] * part for row, part in zip(rows, r, strict=True)) for i in range(2)]
    stack = [K.stack(part, axis=-1) for part in matrix]
    return (r[0] ** 2 + r[1] ** 2) / 2, K.stack(stack, axis=1), K.stack(gradient, axis=-1)


@pytest.fixture(scope="module")
def descent():
    return marquardt(rosenbrock)


def test_a_curved_valley_from_many_starts(rng, numpy, descent):
    start = rng.uniform(-2, 2, (7, 2)).astype("float32")
    found, values, first, taken = map(numpy, descent(np.int32(200), np.float32(1e-12), start))
    np.testing.assert_allclose(found, 1, atol=1e-3)
    expected = (100 * (start[:, 1] - start[:, 0] ** 2) ** 2 + (1 - start[:, 0]) ** 2) / 2
    np.testing.assert_allclose(first, expected, rtol=1e-4)
    assert (values < 1e-6).all() and (taken < 100).all() and taken.min() < taken.max()


def test_no_step_evaluates_the_start_alone(numpy, descent):
    start = np.array([[-1.0, 1.0]], "float32")
    found, values, first, taken = map(numpy, descent(np.int32(0), np.float32(1e-9), start))
    np.testing.assert_array_equal(found, start)
    assert values == first and taken.tolist() == [1]


def test_few_steps_are_never_worse(rng, numpy, descent):
    start = rng.uniform(-2, 2, (50, 2)).astype("float32")
    for steps in (1, 2, 3):
        found, values, first, taken = descent(np.int32(steps), np.float32(0), start)
        assert (numpy(values) <= numpy(first)).all()
        np.testing.assert_allclose(numpy(rosenbrock(found)[0]), numpy(values), rtol=1e-3, atol=1e-6)
        assert numpy(taken).max() == steps + 1


def test_elimination_solves(rng):
    root = rng.normal(size=(3, 6, 6))
    matrix, right = root @ root.transpose(0, 2, 1) + np.eye(6), rng.normal(size=(3, 6))
    rows = [[matrix[:, i, j] for j in range(6)] for i in range(6)]
    found = np.stack(solved(rows, [right[:, k] for k in range(6)]), axis=1)
    np.testing.assert_allclose(np.einsum("bij,bj->bi", matrix, found), right, atol=1e-9)
