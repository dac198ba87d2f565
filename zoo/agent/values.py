"""Exact Q-values along the greedy path: what the network is trained on.

With the true transform known, the greedy path to it is known, and so is what each action is worth::

    Q(s, a) = r(s, a) + gamma Q(s', a*(s'))   if D(s') > epsilon
            = r(s, a) + R                     otherwise

No exploration, no replay, no target network. Real-valued offsets may stall above epsilon, where the
recursion never ends; offsets are therefore drawn as ``step (k + u)``, ``|u| <= 1/2``, and the
values are those of the integers ``k``, from which every path arrives.
"""

import numpy as np

from zoo.agent.paper import BONUS, EPSILON, GAMMA
from zoo.agent.rigid import ACTIONS, moves

SPREAD = 0.5  # about the standard deviation of values that are centred over the actions


def whole_steps(offsets: np.ndarray, step: float) -> np.ndarray:
    """``k`` of offsets ``step (k + u)``, int64."""
    return np.rint(np.asarray(offsets) / step).astype("int64")


def greedy_values(steps: np.ndarray) -> np.ndarray:
    """Q of all twelve actions.

    Args:
        steps: ``(n, 6)`` integers, the parameters of ``T o T_g^-1`` in steps.

    Returns:
        ``(n, 12)`` float32, in steps.

    Example:

    >>> import numpy as np
    >>> from zoo.agent.values import greedy_values
    >>> values = greedy_values(np.array([[1, 0, 0, 0, 0, 0]]))[0]
    >>> int(values.argmax()), round(float(values.max()), 4)
    (1, 11.0)
    """
    steps = np.asarray(steps)
    after = np.abs(steps[:, None] + moves().astype("int64")).reshape(-1, 6)
    before = np.sqrt((steps**2).sum(axis=1, dtype="float64"))
    there = _norm(after)
    reached = there <= EPSILON
    values = np.repeat(before, ACTIONS) - there + BONUS * reached
    discount = np.where(reached, 0.0, GAMMA)
    while discount.any():
        # The greedy action lowers the largest of them.
        rows = np.flatnonzero(discount)
        after[rows, after[rows].argmax(axis=1)] -= 1
        nearer = _norm(after[rows])
        reached = nearer <= EPSILON
        values[rows] += discount[rows] * (there[rows] - nearer + BONUS * reached)
        there[rows] = nearer
        discount[rows] = np.where(reached, 0.0, GAMMA * discount[rows])
    return values.reshape(-1, ACTIONS).astype("float32")


def centred(values: np.ndarray) -> np.ndarray:
    """Values without their mean over the actions, in units of their spread (ours): else a network
    spends itself on the distance, which all of them share."""
    return (values - values.mean(axis=1, keepdims=True)) / np.float32(SPREAD)


def _norm(steps: np.ndarray) -> np.ndarray:
    return np.sqrt((steps**2).sum(axis=1, dtype="float64"))
