import keras
import numpy as np
import pytest

from zoo.agent import paper
from zoo.agent.rigid import (
    actions,
    chained,
    distance,
    gains,
    homogeneous,
    inverse,
    moves,
    parameters_of,
    transform,
)
from zoo.agent.values import centred, greedy_values, whole_steps

pytestmark = pytest.mark.plain


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def matrix_of_the_paper(tx, ty, tz, a, b, c):
    """Its equation, written out: the translation stands in the first factor."""
    a, b, c = np.radians([a, b, c])
    first = [
        [1, 0, 0, tx],
        [0, np.cos(a), -np.sin(a), ty],
        [0, np.sin(a), np.cos(a), tz],
        [0, 0, 0, 1],
    ]
    second = [
        [np.cos(b), 0, np.sin(b), 0],
        [0, 1, 0, 0],
        [-np.sin(b), 0, np.cos(b), 0],
        [0, 0, 0, 1],
    ]
    third = [
        [np.cos(c), -np.sin(c), 0, 0],
        [np.sin(c), np.cos(c), 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
    ]
    return np.array(first) @ np.array(second) @ np.array(third)


def test_the_transform_is_that_of_the_paper():
    parameters = np.random.default_rng(0).uniform(-40, 40, (5, 6)).astype("float32")
    found = numpy(transform(parameters))
    for row, matrix in zip(parameters, found, strict=True):
        np.testing.assert_allclose(matrix, matrix_of_the_paper(*row)[:3], atol=1e-5)
    np.testing.assert_allclose(numpy(parameters_of(found)), parameters, atol=1e-3)


def test_an_action_changes_one_parameter_and_is_applied_after_the_state():
    table = actions(2.0)
    np.testing.assert_allclose(numpy(parameters_of(table)), 2 * moves(), atol=1e-4)
    assert np.abs(moves()).sum(axis=1).tolist() == [1] * 12
    state = numpy(transform([[5.0, -3.0, 2.0, 10.0, 20.0, -30.0]]))[0]
    moved = chained(table[2], state)  # + along the second axis, of what is seen
    np.testing.assert_allclose(moved[:, 3] - state[:, 3], [0, 2, 0], atol=1e-6)
    np.testing.assert_allclose(moved[:, :3], state[:, :3], atol=1e-6)
    np.testing.assert_allclose(chained(state, inverse(state)), np.eye(3, 4), atol=1e-5)
    assert homogeneous(table).shape == (12, 4, 4)


def test_the_gains_of_actions_by_finite_differences():
    offsets = np.random.default_rng(1).uniform(-30, 30, (4, 6)).astype("float32")
    found = gains(transform(offsets), 4.0)
    for k, action in enumerate(actions(4.0)):
        after = np.stack([chained(action, one) for one in numpy(transform(offsets))])
        expected = numpy(distance(transform(offsets))) - numpy(distance(after))
        np.testing.assert_allclose(found[:, k], expected, atol=1e-3)
    # A translation changes one parameter and no other.
    norm = np.linalg.norm(offsets, axis=1)
    less = np.linalg.norm(offsets + 4 * moves()[0], axis=1)
    np.testing.assert_allclose(found[:, 0], norm - less, atol=1e-3)


def recursive(steps, action):
    """The recursion of the paper, as it stands."""
    after = steps + moves()[action].astype(int)
    reward = np.linalg.norm(steps) - np.linalg.norm(after)
    if np.linalg.norm(after) <= paper.EPSILON:
        return reward + paper.BONUS
    nearest = [np.linalg.norm(after + move.astype(int)) for move in moves()]
    return reward + paper.GAMMA * recursive(after, int(np.argmin(nearest)))


def test_values_are_those_of_the_recursion():
    steps = np.random.default_rng(2).integers(-4, 5, (12, 6))
    found = greedy_values(steps)
    expected = [[recursive(one, k) for k in range(12)] for one in steps]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_best_value_is_the_greedy_action():
    steps = np.random.default_rng(3).integers(-30, 31, (300, 6))
    steps = steps[np.abs(steps).sum(axis=1) > 0]
    after = np.linalg.norm(steps[:, None] + moves(), axis=2)
    chosen = greedy_values(steps).argmax(axis=1)
    np.testing.assert_allclose(after[np.arange(len(steps)), chosen], after.min(axis=1))


def test_one_step_away_and_there():
    one = greedy_values(np.array([[0, 0, 0, 0, 0, 1]]))[0]
    assert one.argmax() == 11 and one.max() == pytest.approx(1 + paper.BONUS)
    there = greedy_values(np.zeros((1, 6), int))[0]
    np.testing.assert_allclose(there, -1 + paper.GAMMA * (1 + paper.BONUS), atol=1e-6)


def test_the_sum_of_values_is_larger_a_step_away_than_there():
    """So it would not say which of two poses is nearer, between which a walk goes to and fro."""
    there, beside = greedy_values(np.array([[0] * 6, [0, 1, 0, 0, 0, 0]])).sum(axis=1)
    assert beside > there + 1


def test_steps_of_offsets_and_centred_values():
    assert whole_steps(np.array([[5.9, -2.1, 0, 0, 0, 6.1]]), 4.0).tolist() == [[1, -1, 0, 0, 0, 2]]
    values = greedy_values(np.random.default_rng(4).integers(-8, 9, (50, 6)))
    found = centred(values)
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-5)
    assert (found.argmax(axis=1) == values.argmax(axis=1)).all()
    assert 0.5 < found.std() < 2  # what a network learns well
