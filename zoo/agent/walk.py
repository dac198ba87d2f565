"""The walk: look, value the actions, take the best one, until a pose is met again.

One compiled loop for a batch of pairs, each of which stops on its own.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from zoo.agent import observation
from zoo.agent.rigid import ACTIONS, actions, parameters_of, transform

_SAME = 0.25  # of a step: poses that are nearer are one
_DEGREES = 180 / np.pi


@dataclass(frozen=True)
class Stage:
    """One network, what it sees, and how it walks.

    Attributes:
        size: voxels per axis of what is seen.
        spacing: mm between them.
        step: of an action, mm and degrees.
        limit: steps at most.
        average: of so many last poses the mean is the answer; a walk goes on by so many steps,
            less one, after it has met a pose again.
        ranges: of a network that answers the offset at once, what one unit of it is; else empty.

    Raises:
        ValueError: on numbers that cannot be.
    """

    size: tuple[int, int, int] = (40, 40, 40)
    spacing: float = 8.0
    step: float = 4.0
    limit: int = 48
    average: int = 8
    ranges: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", tuple(map(int, self.size)))
        object.__setattr__(self, "ranges", tuple(map(float, self.ranges)))
        numbers = self.spacing, self.step, self.limit, self.average
        if not min(numbers) > 0 or len(self.ranges) not in (0, 6):
            raise ValueError(
                "spacing, step, limit and average must be positive, and ranges none or six. "
                f"Received: {asdict(self)}"
            )

    @property
    def outputs(self) -> int:
        """Of its network."""
        return 6 if self.ranges else ACTIONS

    @property
    def length(self) -> int:
        """Steps at most; an offset is found in one."""
        return 1 if self.ranges else self.limit


def walker(stage: Stage, how: str, network: Any) -> Callable:
    """The loop of one stage, compiled.

    Args:
        stage: how it walks.
        how: what is seen, see :func:`zoo.agent.observation.seen`.
        network: of the stage.

    Returns:
        A function ``(fixed, fixed_mask, moving, moving_mask, to_moving, start) -> (pose, poses,
        values, counts)``: what is seen of the fixed images ``(batch, *size, 1)`` and where they
        show something; whole moving images with their masks; ``(batch, 3, 4)`` from mm about the
        centre of what is seen to voxels of the moving images, and the transform ``T`` to start
        from. It answers the last ``T``, or the mean of the last ones, all on the way ``(batch,
        length + 1, 3, 4)``, of which the last is repeated, the values ``(batch, length, 12)`` and
        how many steps each took.
    """
    to_mm = observation.grid(stage.size, stage.spacing)[None]
    table = actions(stage.step)
    length = stage.length

    def look(pose: Any, fixed: Any, fixed_mask: Any, moving: Any, to_moving: Any) -> Any:
        matrix = ops.compose_linear(to_moving, ops.compose_linear(ops.invert_linear(pose), to_mm))
        values, inside = observation.at(moving, matrix, stage.size)
        shown = inside * values[..., 1:]
        return observation.seen(how, fixed, values[..., :1] * shown, fixed_mask * shown)

    def moved(found: Any, pose: Any) -> Any:
        if stage.ranges:  # the offset T o T_g^-1
            offset = transform(found * np.array(stage.ranges, "float32"))
            return ops.compose_linear(ops.invert_linear(offset), pose)
        chosen = keras_ops.one_hot(keras_ops.argmax(found, axis=-1), ACTIONS, dtype="float32")
        taken = keras_ops.sum(chosen[:, :, None, None] * table[None], axis=1)
        return ops.compose_linear(taken, pose)

    def run(
        fixed: Any, fixed_mask: Any, moving: Any, moving_mask: Any, to_moving: Any, start: Any
    ) -> tuple:
        both = keras_ops.concatenate([moving, moving_mask], axis=-1)
        none = keras_ops.zeros_like(start[:, 0, 0])
        start = keras_ops.convert_to_tensor(start)
        poses = start[:, None] + np.zeros((1, length + 1, 1, 1), "float32")
        values = keras_ops.zeros_like(none[:, None, None]) + np.zeros(
            (1, length, stage.outputs), "float32"
        )

        def unfinished(count: Any, *state: Any) -> Any:
            return keras_ops.logical_and(count < length, keras_ops.any(state[3] > 0))

        def step(count: Any, pose: Any, poses: Any, values: Any, left: Any, taken: Any) -> tuple:
            found = network(look(pose, fixed, fixed_mask, both, to_moving), training=False)
            active = left > 0
            pose = keras_ops.where(active[:, None, None], moved(found, pose), pose)
            again = keras_ops.logical_and(active, _met(pose, poses, count, stage.step))
            # The first time that a pose is met again, the last steps begin.
            left = keras_ops.where(active, left - 1, left)
            left = keras_ops.where(again, keras_ops.minimum(left, stage.average - 1.0), left)
            later = keras_ops.arange(length + 1) > count
            poses = keras_ops.where(later[None, :, None, None], pose[:, None], poses)
            here = keras_ops.arange(length) == count
            values = keras_ops.where(here[None, :, None], found[:, None], values)
            taken = taken + keras_ops.cast(active, "int32")
            return count + 1, pose, poses, values, left, taken

        left = none + (length + 1.0)
        state = (keras_ops.zeros((), "int32"), start, poses, values, left)
        state = (*state, keras_ops.zeros_like(none, dtype="int32"))
        _, pose, poses, values, _, taken = keras_ops.while_loop(unfinished, step, state)
        if stage.average > 1 and not stage.ranges:
            pose = _mean(pose, poses, taken, stage.average)
        return pose, poses, values, taken

    return ops.graph(run, network.variables)


def _met(pose: Any, poses: Any, count: Any, step: float) -> Any:
    """Whether a pose is one of those up to a count, ``(batch,)``."""
    scale = np.full((1, 1, 3, 4), _DEGREES, "float32")
    scale[..., 3] = 1
    apart = keras_ops.max(keras_ops.abs(poses - pose[:, None]) * scale, axis=(2, 3))
    before = keras_ops.arange(poses.shape[1])[None] <= count
    return keras_ops.any(keras_ops.logical_and(apart < _SAME * step, before), axis=1)


def _mean(pose: Any, poses: Any, taken: Any, average: int) -> Any:
    """The mean of the last poses, by their parameters as seen from the last one."""
    length = poses.shape[1]
    index = keras_ops.arange(length)[None]
    last = taken[:, None]
    recent = keras_ops.logical_and(index <= last, index > last - average)
    weights = keras_ops.cast(recent, "float32")[..., None]
    back = ops.invert_linear(pose)[:, None] + np.zeros((1, length, 1, 1), "float32")
    flat, back = (keras_ops.reshape(one, (-1, 3, 4)) for one in (poses, back))
    offsets = keras_ops.reshape(parameters_of(ops.compose_linear(flat, back)), (-1, length, 6))
    mean = keras_ops.sum(offsets * weights, axis=1) / keras_ops.sum(weights, axis=1)
    return ops.compose_linear(transform(mean), pose)
