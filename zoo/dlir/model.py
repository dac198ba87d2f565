"""DLIR: unsupervised affine and deformable image registration in stages.

Reference:
    B. D. de Vos, F. F. Berendsen, M. A. Viergever, H. Sokooti, M. Staring and I. Isgum, A deep
    learning framework for unsupervised affine and deformable image registration, Medical Image
    Analysis 52, 2019, pp. 128-143, doi:10.1016/j.media.2018.11.010.

The ConvNets are in affine.py and deformable.py; this file stacks them. What the paper leaves open,
and where this departs from it, is listed in README.md.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
from keras import ops as keras_ops

from tfreg import losses, ops
from tfreg.errors import InputError
from tfreg.models.registration import RegistrationModel
from tfreg.registration.answer import Estimate
from tfreg.registration.images import Pair
from zoo.dlir import tiles
from zoo.dlir.affine import AffineConvNet
from zoo.dlir.deformable import DeformableConvNet
from zoo.dlir.similarities import SIMILARITIES, similarity_of

ACCUMULATIONS = ("compose", "add")
KEPT = ("all", "better")


class Transform(NamedTuple):
    """The stages so far: a matrix as long as all were affine, and the dense displacement."""

    matrix: Any
    displacement: Any


@keras.saving.register_keras_serializable(package="tfreg")
class DLIR(RegistrationModel):
    """Affine and deformable ConvNets in stages, each on what the stages before have left.

    Every stage sees the fixed image and the moving image warped so far; the original moving image
    is resampled once, with the accumulated transform. Stages are trained one after the other.

    Args:
        ndim: number of spatial axes, 2 or 3.
        stages: a dict per stage, in order: ``{"kind": "affine"}`` with the options of
            :class:`AffineConvNet`, or ``{"kind": "deformable", "spacing": ...}`` with those of
            :class:`DeformableConvNet`.
        accumulate: ``"compose"``: the map of a stage is applied before those of the stages before,
            ``u = d + u_before(x + d)`` (as TorchIR); ``"add"``: ``u = d + u_before`` (the paper).
        bending_weight: ``alpha`` of eq. (1) for deformable stages; affine ones have none.
        joint: whether the loss is the sum over all stages, and all learn; else that of the last
            active stage, which learns alone.
        similarity: of the loss: ``"ncc"``, the paper's, ``"lncc"`` or ``"mind"``, see
            :mod:`zoo.dlir.similarities`. The metric that is watched is NCC all the same.
        keep: at inference ``"all"`` stages, as the paper does, or only those that are
            ``"better"``: of a pair that a stage would leave with a lower NCC of the whole images,
            that stage is left out, which is to say that its parameters are zero.

    Input shape:
        ``{"fixed", "moving"}``, each ``(batch, *spatial, 1)``, intensities in [0, 1], of any size,
        and not necessarily the same if the first stage is affine. For training also ``"mask"``,
        weights of the shape of ``fixed``: where the similarity looks.

    Output shape:
        ``{"parameters", "displacement", "moved"}``: all parameters of a pair in one row, in voxels;
        the displacement ``(batch, *spatial, ndim)`` in voxels, and the moved image. If ``joint``,
        also ``moved_1``, ..., the moved image after each stage but the last.

    ``register`` takes two options: ``stages``, how many of them run, and ``memory_gib``, a budget
    within which the ConvNets keep by taking large volumes in overlapping tiles.

    Raises:
        ValueError: on an unknown kind or option.

    Example:

    >>> import numpy as np
    >>> from zoo.dlir.model import DLIR
    >>> stages = [{"kind": "affine"}, {"kind": "deformable", "spacing": (8, 8, 8)}]
    >>> model = DLIR(ndim=3, stages=stages)
    >>> image = np.zeros((1, 16, 32, 24, 1), "float32")
    >>> answer = model({"fixed": image, "moving": image})
    >>> tuple(answer["parameters"].shape), float(abs(np.asarray(answer["displacement"])).max())
    ((1, 84), 0.0)
    """

    options: ClassVar[tuple[str, ...]] = ("stages", "memory_gib")

    def __init__(
        self,
        ndim: int,
        stages: Sequence[dict[str, Any]],
        accumulate: str = "compose",
        bending_weight: float = 0.05,
        joint: bool = False,
        similarity: str = "ncc",
        keep: str = "all",
        **kwargs: Any,
    ) -> None:
        super().__init__(ndim=ndim, **kwargs)
        if accumulate not in ACCUMULATIONS:
            raise ValueError(
                f"accumulate must be one of {ACCUMULATIONS}. Received: accumulate={accumulate}"
            )
        for name, value, known in (
            ("similarity", similarity, SIMILARITIES),
            ("keep", keep, KEPT),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {known}. Received: {name}={value}")
        if not 0 <= bending_weight < float("inf"):
            raise ValueError(
                f"bending_weight must be 0 or more. Received: bending_weight={bending_weight}"
            )
        if not stages:
            raise ValueError("stages must name one stage or more. Received: stages=[]")
        self.accumulate = accumulate
        self.bending_weight = bending_weight
        self.joint = joint
        self.similarity = similarity
        self.keep = keep
        self.stage_configs = [dict(stage) for stage in stages]
        self.networks = [self._network(dict(stage), k) for k, stage in enumerate(stages)]
        self.active = len(self.networks)
        self.sizes_may_differ = isinstance(self.networks[0], AffineConvNet)
        self.kept_graphs: dict[Any, Any] = {}

    def _network(self, options: dict[str, Any], index: int) -> keras.layers.Layer:
        kind = options.pop("kind", None)
        name = f"stage_{index + 1}"
        if kind == "affine":
            return AffineConvNet(self.ndim, **options, name=name)
        if kind == "deformable" and "spacing" in options:
            network = DeformableConvNet(**options, name=name)
            if network.ndim == self.ndim:
                return network
        raise ValueError(
            "A stage is affine, or deformable with a spacing per axis. "
            f"Received: {self.stage_configs[index]}, ndim={self.ndim}"
        )

    def build(self, input_shape: Any = None) -> None:
        for network in self.networks:
            network.build()
        self.built = True

    def use_stages(self, count: int) -> None:
        """Lets only the first stages run; of these the last one learns, or all if ``joint``.

        Args:
            count: number of stages, 1 or more.

        Raises:
            InputError: on a number of stages that is not there.
        """
        self._check_stages(count)
        self.active = count
        for index, network in enumerate(self.networks):
            network.trainable = index < count if self.joint else index == count - 1

    def parameters(
        self, fixed: Any, moving: Any, training: bool | None = None, stages: int | None = None
    ) -> Any:
        """All parameters in one row per pair, in voxels."""
        return self._run(fixed, moving, training, stages or self.active)[0]

    def displacement(
        self, parameters: Any, shape: Sequence[int], moving_shape: Sequence[int] | None = None
    ) -> Any:
        """The displacement of a row of parameters, of as many stages as it is long."""
        transform = None
        own = self.stage_parameters(parameters, shape)
        for network, part in zip(self.networks, own, strict=False):
            transform = self._accumulated(transform, network, part, shape, moving_shape or shape)
        return transform.displacement

    def stage_parameters(self, parameters: Any, shape: Sequence[int]) -> list[Any]:
        """The parameters of each stage: ``(batch, n)`` or control points."""
        found, begin = [], 0
        for index in range(len(self.networks)):
            if begin == parameters.shape[1]:
                break
            end = begin + self._length(index, shape)
            found.append(self._unpack(index, parameters[:, begin:end], shape))
            begin = end
        return found

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        fixed, moving = inputs["fixed"], inputs["moving"]
        parameters, transforms = self._run(fixed, moving, training, self.active)
        outputs = {
            "parameters": parameters,
            "displacement": transforms[-1].displacement,
            "moved": ops.resample(moving, transforms[-1].displacement),
        }
        if self.joint:
            for k, transform in enumerate(transforms[:-1]):
                outputs[f"moved_{k + 1}"] = ops.resample(moving, transform.displacement)
        return outputs

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Eq. (1): ``-NCC(fixed, moved) + alpha P``, averaged over the batch."""
        mask = x.get("mask")
        shape = x["fixed"].shape[1:-1]
        alike = similarity_of(self.similarity)
        ncc = keras_ops.mean(losses.ncc(x["fixed"], y_pred["moved"], mask))
        self.ncc_tracker.update_state(ncc)
        own_similarity = ncc
        if self.similarity != "ncc":
            own_similarity = keras_ops.mean(alike(x["fixed"], y_pred["moved"], mask))
        loss = -own_similarity
        own = self.stage_parameters(y_pred["parameters"], shape)
        learning = range(self.active) if self.joint else (self.active - 1,)
        for index in learning:
            if index < self.active - 1:
                loss -= keras_ops.mean(alike(x["fixed"], y_pred[f"moved_{index + 1}"], mask))
            network = self.networks[index]
            if isinstance(network, DeformableConvNet) and self.bending_weight:
                energy = keras_ops.mean(network.bending_energy(own[index]))
                loss += self.bending_weight * energy
        return loss

    def _run(
        self, fixed: Any, moving: Any, training: bool | None, count: int
    ) -> tuple[Any, list[Transform]]:
        """Parameters of the first stages in one row, and the transform after each of them."""
        shape, moving_shape = fixed.shape[1:-1], moving.shape[1:-1]
        rows, transforms = [], []
        choose = self.keep == "better" and not training
        best = None
        for index, network in enumerate(self.networks[:count]):
            moved = moving
            if transforms:
                moved = ops.resample(moving, transforms[-1].displacement)
            # Stages that are not being trained are used as they are.
            learns = bool(training) and (self.joint or index == self.active - 1)
            own = network(fixed, moved, training=learns)
            before = transforms[-1] if transforms else None
            if choose:
                kept, best = self._better(fixed, moving, before, network, own, best)
                own = kept * own
            rows.append(keras_ops.reshape(own, (-1, int(np.prod(own.shape[1:])))))
            transforms.append(self._accumulated(before, network, own, shape, moving_shape))
        return keras_ops.concatenate(rows, axis=-1), transforms

    def _better(
        self, fixed: Any, moving: Any, before: Transform | None, network: Any, own: Any, best: Any
    ) -> tuple[Any, Any]:
        """Of each pair 1 where a stage does not lower NCC, else 0; and the NCC that remains.

        Args:
            fixed, moving: of :meth:`_run`.
            before: the transform of the stages before.
            network, own: the stage and its parameters.
            best: NCC without it, ``(batch,)``; ``None``: not known.
        """
        shape, moving_shape = fixed.shape[1:-1], moving.shape[1:-1]

        def ncc(own: Any) -> Any:
            whole = self._accumulated(before, network, own, shape, moving_shape)
            return losses.ncc(fixed, ops.resample(moving, whole.displacement))

        without = ncc(keras_ops.zeros_like(own)) if best is None else best
        found = ncc(own)
        axes = (1,) * (len(own.shape) - 1)
        kept = keras_ops.cast(found >= without, own.dtype)
        return keras_ops.reshape(kept, (-1, *axes)), keras_ops.maximum(found, without)

    def _accumulated(
        self,
        before: Transform | None,
        network: Any,
        own: Any,
        shape: Sequence[int],
        moving_shape: Sequence[int],
    ) -> Transform:
        """The transform of the stages so far from that of the stages before and one more."""
        matrix = None
        if isinstance(network, AffineConvNet):
            seen = shape if before is not None else moving_shape
            matrix = network.matrix(own, shape, seen)
            displacement = ops.linear_displacement(matrix, shape)
        else:
            displacement = network.displacement(own, shape)
        if before is None:
            return Transform(matrix, displacement)
        if self.accumulate == "add":
            return Transform(None, before.displacement + displacement)
        if before.matrix is None:
            return Transform(None, ops.compose(before.displacement, displacement))
        if matrix is not None:
            both = ops.compose_linear(before.matrix, matrix)
            return Transform(both, ops.linear_displacement(both, shape))
        # A(x + d) + b - x = (A x + b - x) + A d, also where x + d is outside the image.
        axes = (1,) * self.ndim
        columns = keras_ops.reshape(before.matrix, (-1, *axes, self.ndim, self.ndim + 1))
        turned = sum(columns[..., a] * displacement[..., a, None] for a in range(self.ndim))
        return Transform(None, before.displacement + turned)

    def _length(self, index: int, shape: Sequence[int]) -> int:
        network = self.networks[index]
        if isinstance(network, AffineConvNet):
            return network.size
        return int(np.prod(network.grid(shape))) * self.ndim

    def _unpack(self, index: int, row: Any, shape: Sequence[int]) -> Any:
        network = self.networks[index]
        if isinstance(network, AffineConvNet):
            return row
        return keras_ops.reshape(row, (-1, *network.grid(shape), self.ndim))

    def check_options(self, options: dict[str, Any]) -> None:
        if options.get("stages") is not None:
            self._check_stages(options["stages"])
        memory = options.get("memory_gib")
        number = isinstance(memory, (int, float, np.number)) and not isinstance(memory, bool)
        if memory is not None and not (number and memory > 0):
            raise InputError(f"memory_gib must be positive. Received: memory_gib={memory}")

    def _check_stages(self, count: Any) -> None:
        known = len(self.networks)
        number = isinstance(count, (int, np.integer)) and not isinstance(count, bool)
        if not number or not 1 <= count <= known:
            raise InputError(f"stages must be 1 to {known}. Received: stages={count}")

    def check_size(self, size: Sequence[int]) -> None:
        if min(size) < 2:
            raise InputError(
                f"Images need at least 2 voxels per axis. Received: size={tuple(size)}"
            )

    def answer(
        self, pair: Pair, stages: int | None = None, memory_gib: float | None = None
    ) -> Estimate:
        count = stages or self.active
        tile = tiles.tile_size(self, pair.fixed.shape, pair.moving.shape, memory_gib)
        if tile is None:
            return super().answer(pair, stages=count)
        units = self.unit(pair.fixed), self.unit(pair.moving)
        return self.applied(tiles.parameters(self, *units, count, tile), pair)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "stages": self.stage_configs,
            "accumulate": self.accumulate,
            "bending_weight": self.bending_weight,
            "joint": self.joint,
            "similarity": self.similarity,
            "keep": self.keep,
        }
