import numpy as np
import pytest
from keras import ops as keras_ops

from tfreg.registration.instance.adam import descent, minimiser

pytestmark = pytest.mark.on_jax


def adam(losses, learning_rate, tolerance=0.0, decay=1.0):
    run = minimiser(losses)
    settings = np.float32(learning_rate), np.float32(decay), np.float32(tolerance)
    return lambda steps, start, *data: run(np.int32(steps), *settings, start, *data)


def squares(x, target):
    return keras_ops.sum((x - target) ** 2, axis=1)


def test_problems_of_a_batch_do_not_touch_each_other(numpy):
    run = adam(squares, 0.1)
    start = np.array([[0.0, 0.0], [5.0, 5.0]], "float32")
    target = np.array([[1.0, -1.0], [4.0, 7.0]], "float32")
    both = [numpy(part) for part in run(50, start, target)]
    for i in range(2):
        alone = run(50, start[i : i + 1], target[i : i + 1])
        np.testing.assert_allclose(both[0][i], numpy(alone[0])[0], atol=1e-6)
    many = numpy(run(500, start, target)[0])
    np.testing.assert_allclose(many, target, atol=1e-2)


def test_steps_are_adams(numpy):
    """Two steps by hand."""
    start, target = np.array([[3.0]], "float32"), np.array([[0.0]], "float32")
    x, mean, square = 3.0, 0.0, 0.0
    for t in (1, 2):
        gradient = 2 * x
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        rate = 0.5 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        x -= rate * mean / (np.sqrt(square) + 1e-8)
    found = numpy(adam(squares, 0.5)(2, start, target)[0])
    np.testing.assert_allclose(found, [[x]], rtol=1e-5)


def test_never_worse_than_the_start(numpy):
    run = adam(squares, 100.0)  # every step overshoots
    start = np.array([[1.0]], "float32")
    best, value, first, _ = run(20, start, np.array([[1.1]], "float32"))
    np.testing.assert_array_equal(numpy(best), start)
    assert numpy(value)[0] == numpy(first)[0]


def test_nan_never_wins(numpy):
    run = adam(lambda x: keras_ops.sum(keras_ops.log(x), axis=1), 1.0)
    best, value, *_ = run(10, np.array([[1.5]], "float32"))
    assert np.isfinite(numpy(best)).all() and np.isfinite(numpy(value)).all()


def test_zero_steps_is_the_start(numpy):
    start = np.array([[2.0]], "float32")
    best, *_ = adam(squares, 0.1)(0, start, np.array([[0.0]], "float32"))
    np.testing.assert_array_equal(numpy(best), start)


def test_repeated_runs_are_bit_equal(rng, numpy):
    start = rng.normal(size=(4, 10)).astype("float32")
    target = rng.normal(size=(4, 10)).astype("float32")
    run = adam(squares, 0.1)
    first, second = (numpy(run(30, start, target)[0]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_broken_problem_leaves_the_others_alone(numpy):
    run = adam(squares, 0.1)
    target = np.array([[1.0], [2.0]], "float32")
    good = numpy(run(40, np.zeros((2, 1), "float32"), target)[0])
    broken = numpy(run(40, np.array([[np.nan], [0.0]], "float32"), target)[0])
    np.testing.assert_allclose(broken[1], good[1], atol=1e-6)


def test_a_plateau_stops_one_problem_and_not_the_other(numpy):
    run = adam(squares, 0.1, tolerance=1e-3)
    start = np.array([[0.0], [0.5]], "float32")
    best, _, _, taken = run(400, start, np.array([[30.0], [0.5]], "float32"))
    taken = numpy(taken)
    assert taken[1] == 19 and taken[0] > 300
    np.testing.assert_allclose(numpy(best)[1], 0.5)
    assert numpy(adam(squares, 0.1)(25, start, start + 1)[3]).tolist() == [25, 25]


def test_the_learning_rate_falls_along_a_cosine(numpy):
    """Against a constant gradient Adam moves by the learning rate: the path is the sum of rates."""
    slope = lambda x: keras_ops.sum(x, axis=1)  # noqa: E731
    start = np.zeros((1, 1), "float32")
    best = numpy(adam(slope, 0.5, decay=0.2)(30, start)[0])
    turns = np.pi * np.arange(30) / 30
    expected = -0.5 * (0.2 + 0.8 * 0.5 * (1 + np.cos(turns))).sum()
    np.testing.assert_allclose(best, [[expected]], rtol=1e-4)


def test_fixed_descent_follows_the_gradient_in_proportion(numpy):
    run = minimiser(squares, update=descent)
    settings = np.float32(0.5), np.float32(1), np.float32(0)
    start, target = np.array([[3.0, 1.0]], "float32"), np.zeros((1, 2), "float32")
    found = numpy(run(np.int32(3), *settings, start, target)[0])
    # Twice the distance at the start is 6: each step takes 2 * 0.5 / 6 of what is left.
    np.testing.assert_allclose(found, start * (1 - 1 / 6) ** 3, rtol=1e-5)
