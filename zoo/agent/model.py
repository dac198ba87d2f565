"""The registration agent: rigid registration as a walk of twelve actions.

Reference:
    R. Liao, S. Miao, P. de Tournemire, S. Grbic, A. Kamen, T. Mansi and D. Comaniciu, An artificial
    agent for robust image registration, AAAI 2017, arXiv:1611.10336.

The file follows the paper: the state is a rigid transform (rigid.py), what is seen of it goes
through a network (observation.py, network.py), whose twelve values say which action is taken next
(walk.py), first on the whole field of view, coarsely, then finely about a region of interest. What
the values are, is in values.py. What the paper leaves open, and what ``plus`` presets do otherwise,
is listed in README.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops as keras_ops

from tfreg import losses, ops
from tfreg.models.registration import RegistrationModel
from tfreg.registration.answer import Estimate
from tfreg.registration.images import Pair
from tfreg.registration.instance.adam import minimiser
from zoo.agent import observation
from zoo.agent.network import QNetwork
from zoo.agent.refinement import MM, misfit
from zoo.agent.rigid import chained, inverse, parameters_of, transform
from zoo.agent.walk import Stage, walker

_LESS = 0.8  # of the other image's field of view: then an image is the one that is looked at


@keras.saving.register_keras_serializable(package="tfreg")
class Agent(RegistrationModel):
    """Rigid registration of two volumes of any size by steps of a network.

    The image that shows clearly less is the reference, whichever of the two it is, as a cone-beam
    CT is within a CT: the other one is moved, and the answer is turned round where need be.

    ``answer.details`` of :meth:`register` has the walk: ``poses``, all transforms on the way, in mm
    about the centre of the reference, the last one repeated; ``values``, what the network thought
    of each action; ``counts``, the steps of each stage; ``exchanged``, whether the moving image was
    the reference.

    Args:
        stages: a dict per stage, coarse to fine, with the attributes of
            :class:`zoo.agent.walk.Stage`.
        how: what the networks see, ``"difference"`` (the paper) or ``"channels"``.
        kwargs: of :class:`tfreg.models.registration.RegistrationModel`.

    Raises:
        ValueError: on stages that cannot be.

    Example:

    >>> import numpy as np
    >>> from zoo.agent.model import Agent
    >>> model = Agent([{"limit": 2}], voxel_size=(8.0, 8.0, 8.0))
    >>> fixed, moving = np.random.default_rng(0).random((2, 20, 24, 22))
    >>> answer = model.register(fixed, moving)
    >>> answer.steps.shape, answer.details["values"].shape, answer.displacement.shape
    ((3, 3, 4), (2, 12), (20, 24, 22, 3))
    """

    metric: ClassVar[str] = "lowered"
    sizes_may_differ = True
    sees_masks = True
    sees_all_moving = True
    refine_steps: ClassVar[Mapping[str, int]] = {"fast": 40, "default": 80, "accurate": 160}

    def __init__(
        self,
        stages: Sequence[Mapping[str, Any]],
        how: str = "channels",
        **kwargs: Any,
    ) -> None:
        super().__init__(ndim=3, **kwargs)
        if not stages:
            raise ValueError("stages must name one stage or more. Received: stages=[]")
        if how not in observation.INPUTS:
            raise ValueError(f"how must be one of {observation.INPUTS}. Received: how={how}")
        try:
            self.stages = tuple(Stage(**stage) for stage in stages)
        except TypeError as error:
            raise ValueError(f"A stage cannot be: {error}. Received: {stages}") from error
        self.how = how
        self.networks = [
            QNetwork(stage.size, observation.CHANNELS[how], stage.outputs, name=f"stage_{k + 1}")
            for k, stage in enumerate(self.stages)
        ]

    def build(self, input_shape: Any = None) -> None:
        for network in self.networks:
            network.build()
        self.built = True

    def parameters(self, fixed: Any, moving: Any, training: bool | None = None) -> Any:
        """The map from fixed to moving points in mm and degrees, ``(batch, 6)``, after the walk.

        Args:
            fixed, moving: ``(batch, *spatial, 1)`` in [0, 1].
        """
        images = [keras_ops.convert_to_numpy(image) for image in (fixed, moving)]
        pair = Pair(*images, spacing=self.voxel_size or (1.0,) * 3)
        return self._walked(pair, *images)[0]

    def displacement(
        self, parameters: Any, shape: Sequence[int], moving_shape: Sequence[int] | None = None
    ) -> Any:
        """The dense displacement in voxels of parameters in mm and degrees."""
        spacing = self.voxel_size or (1.0,) * 3
        matrix = _in_voxels(transform(parameters), shape, spacing)
        return ops.linear_displacement(matrix, shape)

    def answer(self, pair: Pair, **options: Any) -> Estimate:
        """Walks, and says what it has met on the way."""
        found, details = self._walked(pair, self.unit(pair.fixed), self.unit(pair.moving))
        return self._estimate(found, pair, details)

    def refined(self, found: Estimate, pair: Pair, steps: int) -> Estimate:
        """The answer after steps of Adam on -NCC of what both images show, one compiled loop.

        The map stays rigid: what is optimised are the six parameters of a further transform.
        """
        run = self.function("misfit", lambda: minimiser(misfit))
        begin = transform(found.parameters)
        fixed, moving = self.unit(pair.fixed), self.unit(pair.moving)
        data = fixed, moving, *_masks(pair), begin, _to_mm(pair), _to_moving(pair)
        rate = np.float32(self.refine_learning_rate)
        settings = np.int32(steps), rate, np.float32(0.02), np.float32(0)
        still = np.zeros((len(fixed), 6), "float32")
        best, *_ = run(*settings, still, *data)
        better = parameters_of(ops.compose_linear(transform(best * MM), begin))
        return self._estimate(keras_ops.convert_to_numpy(better), pair, found.details)

    def score(self, inputs: Any, targets: Any = None, batch_size: int = 32) -> np.ndarray:
        """100 of each state in which the first network's action lowers ``D``, else 0."""
        return self.networks[0].score(inputs, targets, batch_size)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["ndim"]  # 3 always
        return {**config, "stages": [asdict(stage) for stage in self.stages], "how": self.how}

    def _estimate(self, parameters: np.ndarray, pair: Pair, details: dict[str, Any]) -> Estimate:
        matrix = ops.compose_linear(
            _to_moving(pair), ops.compose_linear(transform(parameters), _to_mm(pair))
        )
        run = self.function("judge", lambda: ops.compiled(_judged))
        start = ops.compose_linear(_to_moving(pair), _to_mm(pair))
        displacement, *judged = run(matrix, start, pair.fixed, pair.moving, *_masks(pair))
        return Estimate(
            displacement=displacement,
            parameters=parameters,
            details=details,
            judged=tuple(judged),
        )

    def _walked(
        self, pair: Pair, fixed: np.ndarray, moving: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Parameters of the map from fixed to moving points, and the walk that led there."""
        fixed_mask, moving_mask = _masks(pair)
        straight = replace(
            pair, fixed=fixed, moving=moving, fixed_mask=fixed_mask, moving_mask=moving_mask
        )
        shown = [mask.sum(axis=(1, 2, 3, 4)) for mask in (fixed_mask, moving_mask)]
        exchanged = shown[1] < _LESS * shown[0]
        found: np.ndarray | None = None
        details: dict[str, np.ndarray] = {}
        for turned in np.unique(exchanged):
            rows = np.flatnonzero(exchanged == turned)
            some = _rows(straight, rows)
            pose, walked = self._walk(_exchanged(some) if turned else some)
            # T takes the other image onto the reference.
            maps = pose if turned else inverse(pose)
            maps = _about_fixed(maps, some) if turned else maps
            own = {"parameters": keras_ops.convert_to_numpy(parameters_of(maps)), **walked}
            for name, values in own.items():
                if name not in details:
                    details[name] = np.zeros((len(fixed), *values.shape[1:]), values.dtype)
                details[name][rows] = values
        found = details.pop("parameters")
        return found, {**details, "exchanged": exchanged}

    def _walk(self, pair: Pair) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """All stages on pairs whose fixed image is the reference."""
        batch = len(pair.fixed)
        pose = np.repeat(np.eye(3, 4, dtype="float32")[None], batch, axis=0)
        parts = []
        for index, stage in enumerate(self.stages):
            centre = _centre(pair) if index else np.zeros((batch, 3), "float32")
            shift, back = _translation(centre), _translation(-centre)
            run = self.function(
                ("walk", index), lambda i=index, s=stage: walker(s, self.how, self.networks[i])
            )
            fixed, mask, moving, moving_mask = self._prepared(pair, stage, shift)
            pose, *walked = run(
                fixed, mask, moving, moving_mask, _mm_to_moving(pair), chained(back, pose)
            )
            pose, poses, values, counts = map(keras_ops.convert_to_numpy, (pose, *walked))
            pose = chained(shift, pose)
            parts.append((chained(shift[:, None], poses), values, counts[:, None]))
        sides = [np.concatenate(side, axis=1) for side in zip(*parts, strict=True)]
        return pose, dict(zip(("poses", "values", "counts"), sides, strict=True))

    def _prepared(self, pair: Pair, stage: Stage, shift: np.ndarray) -> tuple:
        """What is seen of the fixed image, and the moving image as it will be seen."""
        fixed, moving = (
            observation.smoothed(image, pair.spacing, stage.spacing)
            for image in (pair.fixed, pair.moving)
        )
        grid = observation.grid(stage.size, stage.spacing)
        matrix = chained(observation.voxels(pair.shape, pair.spacing), shift, grid)
        both = np.concatenate([fixed, pair.fixed_mask], axis=-1).astype("float32")
        values, inside = map(
            keras_ops.convert_to_numpy, observation.sampler(stage.size)(both, matrix)
        )
        mask = values[..., 1:] * inside
        return values[..., :1] * mask, mask, moving, pair.moving_mask


def _masks(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Where each image shows something."""
    return tuple(
        np.ones_like(image[..., :1]) if mask is None else mask.astype("float32")
        for image, mask in ((pair.fixed, pair.fixed_mask), (pair.moving, pair.moving_mask))
    )


def _to_mm(pair: Pair) -> np.ndarray:
    """``(1, 3, 4)``: voxels of the fixed images to mm about their centre."""
    return inverse(observation.voxels(pair.shape, pair.spacing))[None]


def _to_moving(pair: Pair) -> np.ndarray:
    """``(batch, 3, 4)``: mm about the centre of the fixed images to voxels of the moving ones."""
    return _mm_to_moving(pair)


def _mm_to_moving(pair: Pair) -> np.ndarray:
    to_voxels = observation.voxels(pair.shape, pair.spacing)[None]
    if pair.start is None:
        return np.repeat(to_voxels, len(pair.fixed), axis=0)
    return chained(pair.start, to_voxels)


def _in_voxels(maps: Any, shape: Sequence[int], spacing: Sequence[float]) -> Any:
    """Maps in mm about the centre of a grid, in its voxels."""
    to_voxels = observation.voxels(shape, spacing)[None]
    return ops.compose_linear(to_voxels, ops.compose_linear(maps, inverse(to_voxels)))


def _rows(pair: Pair, rows: np.ndarray) -> Pair:
    parts = {name: array[rows] for name, array in pair.arrays.items()}
    return replace(pair, **parts, start=None if pair.start is None else pair.start[rows])


def _exchanged(pair: Pair) -> Pair:
    """The pair the other way round."""
    start = _mm_to_moving(pair)
    start = inverse(chained(start, _to_mm(pair)))
    return replace(
        pair,
        fixed=pair.moving,
        moving=pair.fixed,
        fixed_mask=pair.moving_mask,
        moving_mask=pair.fixed_mask,
        start=start,
    )


def _about_fixed(pose: np.ndarray, pair: Pair) -> np.ndarray:
    """``T`` of an exchanged pair as a map from fixed to moving points about the fixed centre.

    With the moving image as the reference, ``T`` takes fixed points onto moving ones, both in mm
    about the centre of the moving image.
    """
    # Fixed mm to voxels of the moving image to mm about its centre.
    there = chained(
        inverse(observation.voxels(pair.moving.shape[1:4], pair.spacing)), _mm_to_moving(pair)
    )
    return chained(inverse(there), pose, there)


def _centre(pair: Pair) -> np.ndarray:
    """The middle of what each fixed image shows, ``(batch, 3)`` mm about its centre."""
    found = [np.argwhere(mask[..., 0] > 0).mean(axis=0) for mask in pair.fixed_mask]
    middle = (np.array(pair.shape) - 1) / 2
    return ((np.array(found) - middle) * np.array(pair.spacing)).astype("float32")


def _translation(vectors: np.ndarray) -> np.ndarray:
    eye = np.repeat(np.eye(3, dtype="float32")[None], len(vectors), axis=0)
    return np.concatenate([eye, vectors[..., None].astype("float32")], axis=-1)


def _judged(
    matrix: Any, start: Any, fixed: Any, moving: Any, fixed_mask: Any, moving_mask: Any
) -> tuple:
    """Displacement, moved images, and NCC of what both show before and after."""
    shape, found = fixed.shape[1:-1], []
    for one in (start, matrix):
        displacement = ops.linear_displacement(one, shape)
        moved = ops.resample(moving, displacement)
        mask = fixed_mask * ops.resample(moving_mask, displacement, mode="constant")
        found.append((displacement, moved, losses.ncc(fixed, moved, mask)))
    (*_, before), (displacement, moved, after) = found
    return displacement, moved, before, after
