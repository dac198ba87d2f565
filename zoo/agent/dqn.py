"""The agent by deep Q-learning: what the paper holds its supervised training against.

The same network, states, actions and rewards, but nobody knows the values: an agent explores, keeps
what it met in a replay memory, and learns ``r + gamma max_a Q'(s', a)`` of the action it took, with
``Q'`` a copy of the network that follows it from time to time. An episode ends where the pose is
reached, too far away, or after a number of steps.
"""

import threading
from typing import NamedTuple

import keras
import numpy as np
from keras import ops as keras_ops

from zoo.agent.lessons import States
from zoo.agent.network import QNetwork
from zoo.agent.paper import BONUS, EPSILON, GAMMA
from zoo.agent.rigid import ACTIONS, actions, chained, distance, gains, parameters_of, transform

EPISODES = 16  # at once
MEMORY = 20000  # transitions
FOLLOWS = 50  # steps of training after which the copy follows: often, as trainings are short
_LENGTH = 60  # steps of an episode at most
_EXPLORES = (1.0, 0.1)  # share of actions at random, at first and from half of the training on
_LOST = 1.5  # times the range: a pose that is further off ends its episode


class _Met(NamedTuple):
    """A transition: the scene, the offsets before and after, the action, what it earned."""

    number: tuple[int, ...]
    before: np.ndarray
    action: int
    after: np.ndarray
    reward: float
    reached: bool


class Replay(States):
    """Batches out of a memory that fills while the network is trained.

    They depend on the network, hence on the order in which they are asked for; a training that is
    resumed begins with an empty memory.

    Args:
        states: what it would learn with exact values: scenes, ranges and step.
        network: that is trained.
        iterations: of the training, by which exploring gets less.
    """

    def __init__(self, states: States, network: QNetwork, iterations: int) -> None:
        super().__init__(
            states.scenes,
            states.ranges,
            states.step,
            states.batch_size,
            states.seed,
            "raw",
            states.nearer,
            states.walked,
        )
        self.network, self.iterations = network, iterations
        self._memory: list[_Met] = []
        self._next = 0
        self._episodes: list[tuple[tuple[int, ...], np.ndarray, int]] = []
        self._count = 0
        self._copy: keras.Model | None = None
        self._actions = actions(self.step)
        self._turn = threading.Lock()

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """Explores one step of all episodes, then learns from the memory."""
        with self._turn:  # since each depends on those before
            return self._batch(step)

    def _batch(self, step: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([self.seed, step, 1])
        if self._copy is None:
            self._copy = QNetwork.from_config({**self.network.get_config(), "name": "copy"})
            self._copy.build()
            self._copy.set_weights(self.network.get_weights())
        if step % FOLLOWS == 0:
            self._copy.set_weights(self.network.get_weights())
        while True:
            self._explore(step, rng)
            if len(self._memory) >= self.batch_size:
                break
        met = [self._memory[k] for k in rng.integers(len(self._memory), size=self.batch_size)]
        numbers = [one.number for one in met]
        after = np.stack([one.after for one in met])
        best = self._values(self._copy, self.scenes.render(numbers, after)).max(axis=1)
        values = np.full((self.batch_size, ACTIONS), np.nan, "float32")
        for row, one in enumerate(met):
            later = BONUS if one.reached else GAMMA * best[row]
            values[row, one.action] = one.reward + later
        before = np.stack([one.before for one in met])
        return {
            "seen": self.scenes.render(numbers, before),
            "values": values,
            "gains": gains(transform(before), self.step).astype("float32"),
        }

    def _explore(self, step: int, rng: np.random.Generator) -> None:
        while len(self._episodes) < EPISODES:
            number = (self.seed, 2**20, self._count)
            self._episodes.append((number, self.offsets(rng, 1)[0].astype("float32"), 0))
            self._count += 1
        numbers = [number for number, _, _ in self._episodes]
        before = np.stack([offset for _, offset, _ in self._episodes])
        values = self._values(self.network, self.scenes.render(numbers, before))
        first, last = _EXPLORES
        share = first + (last - first) * min(1.0, 2 * step / max(self.iterations, 1))
        random = rng.random(EPISODES) < share
        chosen = np.where(random, rng.integers(ACTIONS, size=EPISODES), values.argmax(axis=1))
        there = chained(self._actions[chosen], transform(before))
        after = keras_ops.convert_to_numpy(parameters_of(there))
        far, near = (
            keras_ops.convert_to_numpy(distance(one)) / self.step
            for one in (transform(before), there)
        )
        going = []
        limit = _LOST * np.linalg.norm(self.ranges) / self.step
        for k, (number, offset, count) in enumerate(self._episodes):
            reached = bool(near[k] <= EPSILON)
            one = _Met(number, offset, int(chosen[k]), after[k], float(far[k] - near[k]), reached)
            if len(self._memory) < MEMORY:
                self._memory.append(one)
            else:
                self._memory[self._next % MEMORY] = one
            self._next += 1
            if not reached and near[k] < limit and count + 1 < _LENGTH:
                going.append((number, after[k], count + 1))
        self._episodes = going

    def _values(self, network: keras.Model, seen: np.ndarray) -> np.ndarray:
        return keras_ops.convert_to_numpy(network(seen, training=False))
