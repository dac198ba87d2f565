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
from dataclasses import asdict
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
from zoo.agent.setting import Setting, cubed, setting_of
from zoo.agent.walk import Stage, walker

_LESS = 0.8  # of the other image's field of view: then an image is the one that is looked at


@keras.saving.register_keras_serializable(package="tfreg")
class Agent(RegistrationModel):
    """Rigid registration of two volumes of any size by steps of a network.

    The image that shows clearly less is the reference, whichever of the two it is, as a cone-beam
    CT is within a CT: the other one is moved, and the answer is turned round where need be.

    Refined by a number of steps or by a name it stays rigid; a ``Pyramid`` or a ``Refinement`` adds
    a further transform to its displacement, as with every model, and the sum need not be rigid.

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
        # Keras hands over images in the type of the layers.
        images = [keras_ops.convert_to_numpy(image).astype("float32") for image in (fixed, moving)]
        pair = Pair(*images, spacing=self.voxel_size or (1.0,) * 3)
        return self._walked(setting_of(pair, *images))[0]

    def displacement(
        self, parameters: Any, shape: Sequence[int], moving_shape: Sequence[int] | None = None
    ) -> Any:
        """The dense displacement in voxels of parameters in mm and degrees."""
        to_voxels = observation.voxels(shape, self.voxel_size or (1.0,) * 3)[None]
        maps = ops.compose_linear(transform(parameters), inverse(to_voxels))
        return ops.linear_displacement(ops.compose_linear(to_voxels, maps), shape)

    def answer(self, pair: Pair, **options: Any) -> Estimate:
        """Walks, and says what it has met on the way."""
        setting = setting_of(pair, self.unit(pair.fixed), self.unit(pair.moving))
        found, details = self._walked(setting)
        return self._estimate(found, pair, setting, details)

    def refined(self, found: Estimate, pair: Pair, steps: int) -> Estimate:
        """The answer after steps of Adam on -NCC of what both images show, one compiled loop.

        The map stays rigid: what is optimised are the six parameters of a further transform.
        """
        setting = setting_of(pair, self.unit(pair.fixed), self.unit(pair.moving))
        run = self.function("misfit", lambda: minimiser(misfit))
        begin = keras_ops.convert_to_numpy(transform(found.parameters))
        data = (
            setting.fixed,
            setting.moving,
            setting.fixed_mask,
            setting.moving_mask,
            begin,
            setting.to_mm,
            setting.to_moving,
        )
        rate = np.float32(self.refine_learning_rate)
        settings = np.int32(steps), rate, np.float32(0.02), np.float32(0)
        still = np.zeros((len(begin), 6), "float32")
        best, *_ = run(*settings, still, *data)
        better = chained(transform(keras_ops.convert_to_numpy(best) * MM), begin)
        parameters = keras_ops.convert_to_numpy(parameters_of(better))
        return self._estimate(parameters, pair, setting, found.details)

    def score(self, inputs: Any, targets: Any = None, batch_size: int = 32) -> np.ndarray:
        """100 of each state in which the first network's action lowers ``D``, else 0."""
        return self.networks[0].score(inputs, targets, batch_size)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["ndim"]  # 3 always
        return {**config, "stages": [asdict(stage) for stage in self.stages], "how": self.how}

    def _walked(self, setting: Setting) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Parameters of the maps from fixed to moving points, and the walks that led there."""
        shown = [mask.sum(axis=(1, 2, 3, 4)) for mask in (setting.fixed_mask, setting.moving_mask)]
        exchanged = shown[1] < _LESS * shown[0]
        found: dict[str, np.ndarray] = {}
        for turned in np.unique(exchanged):
            rows = np.flatnonzero(exchanged == turned)
            some = setting.rows(rows)
            pose, walked = self._walk(some.exchanged() if turned else some)
            # T takes the other image onto the reference.
            maps = some.from_exchanged(pose) if turned else inverse(pose)
            own = {"maps": keras_ops.convert_to_numpy(parameters_of(maps)), **walked}
            for name, values in own.items():
                if name not in found:
                    found[name] = np.zeros((len(exchanged), *values.shape[1:]), values.dtype)
                found[name][rows] = values
        return found.pop("maps"), {**found, "exchanged": exchanged}

    def _walk(self, setting: Setting) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """All stages, the fixed images being the references."""
        batch, parts = len(setting.fixed), []
        pose = np.repeat(np.eye(3, 4, dtype="float32")[None], batch, axis=0)
        for index, stage in enumerate(self.stages):
            # The region of interest of a later stage is about the middle of what is shown.
            centre = setting.centre if index else np.zeros((batch, 3), "float32")
            there, back = _translation(centre), _translation(-centre)
            run = self.function(
                ("walk", index), lambda i=index, s=stage: walker(s, self.how, self.networks[i])
            )
            fixed, mask = _seen(setting, stage, there)
            moving = observation.smoothed(setting.moving, setting.spacing, stage.spacing)
            walked = run(
                fixed, mask, moving, setting.moving_mask, setting.to_moving, chained(back, pose)
            )
            pose, poses, values, counts = map(keras_ops.convert_to_numpy, walked)
            pose = chained(there, pose)
            parts.append((chained(there[:, None], poses), values, counts[:, None]))
        sides = [np.concatenate(side, axis=1) for side in zip(*parts, strict=True)]
        return pose, dict(zip(("poses", "values", "counts"), sides, strict=True))

    def _estimate(
        self,
        parameters: np.ndarray,
        pair: Pair,
        setting: Setting,
        details: dict[str, np.ndarray],
    ) -> Estimate:
        matrix = chained(setting.to_moving, transform(parameters), setting.to_mm)
        start = chained(setting.to_moving, setting.to_mm)
        run = self.function("judge", lambda: ops.compiled(_judged))
        images = cubed(pair.fixed), cubed(pair.moving)
        masks = setting.fixed_mask, setting.moving_mask
        found = map(keras_ops.convert_to_numpy, run(matrix, start, *images, *masks))
        displacement, moved, before, after = found
        inside = (slice(None), *map(slice, pair.shape))
        return Estimate(
            displacement=displacement[inside],
            parameters=parameters,
            details=details,
            judged=(moved[inside], before, after),
        )


def _seen(setting: Setting, stage: Stage, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is seen of the fixed images on the grid of a stage, and where they show something."""
    fixed = observation.smoothed(setting.fixed, setting.spacing, stage.spacing)
    grid = observation.grid(stage.size, stage.spacing)
    matrix = chained(inverse(setting.to_mm), there, grid)
    both = np.concatenate([fixed, setting.fixed_mask], axis=-1).astype("float32")
    found = observation.sampler(stage.size)(both, matrix)
    values, inside = map(keras_ops.convert_to_numpy, found)
    mask = values[..., 1:] * inside
    return values[..., :1] * mask, mask


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
