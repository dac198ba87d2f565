"""Batches of states and what each action is worth there."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfreg.data import Array, Batches
from zoo.agent.observation import CHANNELS
from zoo.agent.rigid import ACTIONS, gains, transform
from zoo.agent.scenes import Scenes
from zoo.agent.values import centred, greedy_values, whole_steps

TARGETS = ("raw", "centred")
NEARER = (1.0, 1 / 3, 1 / 8)  # of the range, in equal shares
THREADS = max(2, os.cpu_count() or 1)  # that draw batches
_WALKED = 0.5  # share of states as a walk leaves them


class States(Batches):
    """States drawn at random, with the exact values of all actions, or with their offsets.

    Args:
        scenes: what is seen.
        ranges: of the offsets, mm and degrees per parameter.
        step: of an action.
        batch_size, seed: as in ``tfreg.data.Batches``.
        targets: ``"raw"`` or ``"centred"`` values; ``None``: offsets, in units of ``ranges``.
        nearer: shares of the range that offsets are drawn from.
        walked: whether half of the states are as a greedy walk leaves them, which lowers the
            largest parameter first: cut off at one level, which is drawn.

    Example:

    >>> from zoo.agent.lessons import States
    >>> from zoo.agent.scenes import Scenes
    >>> from zoo.agent.subjects import subjects
    >>> scenes = Scenes(subjects("brain", "validation", "phantom", 4.0), (40,) * 3, 8.0)
    >>> batch = States(scenes, (30.0,) * 6, 4.0, batch_size=2).batch(0)
    >>> batch["seen"].shape, batch["values"].shape, batch["gains"].shape
    ((2, 40, 40, 40, 3), (2, 12), (2, 12))
    """

    def __init__(
        self,
        scenes: Scenes,
        ranges: Sequence[float],
        step: float,
        batch_size: int = 32,
        seed: int = 0,
        targets: str | None = "centred",
        nearer: Sequence[float] = NEARER,
        walked: bool = True,
    ) -> None:
        self.scenes, self.ranges, self.step = scenes, np.array(ranges, float), float(step)
        self.learned, self.nearer, self.walked = targets, tuple(nearer), walked
        outputs = 6 if targets is None else ACTIONS
        arrays = {
            "seen": Array((*scenes.size, CHANNELS[scenes.how])),
            "values": Array((outputs,)),
            "gains": Array((ACTIONS,)),
        }
        names = ("values", "gains")
        super().__init__(batch_size, seed, arrays, names, count=len(scenes.subjects))

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """Batch ``step``: ``{"seen", "values", "gains"}``, float32."""
        rng = np.random.default_rng([self.seed, step])
        offsets = self.offsets(rng, self.batch_size)
        numbers = [(self.seed, step, k) for k in range(self.batch_size)]
        values = offsets / self.ranges
        if self.learned is not None:
            values = greedy_values(whole_steps(offsets, self.step))
            values = centred(values) if self.learned == "centred" else values
        return {
            "seen": self.scenes.render(numbers, offsets),
            "values": values.astype("float32"),
            "gains": gains(transform(offsets), self.step).astype("float32"),
        }

    def dataset(self, start: int, stop: int) -> Any:
        """As of all batches, drawn by threads of their own.

        Drawing samples volumes by compiled functions, which wait for a thread of TensorFlow's: it
        must not be one that is drawing.
        """
        import tensorflow as tf

        options = tf.data.Options()
        options.threading.private_threadpool_size = THREADS
        return super().dataset(start, stop).with_options(options)

    def offsets(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Parameters ``(count, 6)`` of ``T o T_g^-1``, mm and degrees."""
        share = rng.choice(self.nearer, (count, 1))
        offsets = rng.uniform(-1, 1, (count, 6)) * self.ranges * share
        if self.walked:
            level = rng.uniform(0, 1, (count, 1)) * np.abs(offsets).max(axis=1, keepdims=True)
            cut = np.clip(offsets, -level, level)
            cut += self.step * rng.uniform(-0.5, 0.5, offsets.shape)
            offsets = np.where(rng.random((count, 1)) < _WALKED, cut, offsets)
        return offsets
