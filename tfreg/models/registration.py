"""Registering images with a network: the base of every registration model of the zoo."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import keras
import numpy as np

from tfreg import losses, ops
from tfreg.errors import InputError
from tfreg.models.base import Model, numbers
from tfreg.registration import job
from tfreg.registration.answer import Estimate, Registration
from tfreg.registration.images import Pair
from tfreg.registration.inference import Inference, judged
from tfreg.registration.instance.adam import minimiser
from tfreg.registration.instance.optimisation import Refinement
from tfreg.registration.instance.pyramid import SETTINGS, Pyramid
from tfreg.registration.space.physical import PhysicalRegistration

# Up to this many pixels a network runs faster compiled as a whole than as a graph with oneDNN's
# convolutions (measured at 28x28: a third less time; at 256x256 the graph takes half the time).
_SMALL = 64 * 64


class RegistrationModel(Model):
    """A network that registers: the base of every registration model of the zoo.

    A subclass defines :meth:`answer`: a pair of images to a transform. Most are networks, which do
    so by defining :meth:`parameters` (images to the parameters of a transform, such as control
    points) and :meth:`displacement` (parameters to a dense displacement): from these the model is
    trained, called, and refined on its :meth:`objective`.

    ``model({"fixed", "moving"})`` answers ``{"parameters", "displacement", "moved"}``. Training
    needs pairs only, no targets: ``model.fit(dataset_of_pairs)`` minimises ``-NCC(fixed, moved)``.

    Args:
        ndim: number of spatial axes, 2 or 3.
        refine_learning_rate: step of Adam, in units of the parameters, when refining.
        refine_folding_weight: weight of ``losses.folding_penalty`` beside -NCC when refining.
        voxel_size: size of a voxel per axis in any unit, which tells a named refinement where
            voxels are no cubes; ``None``: they are.
        refinement: what a named refinement is, the arguments of
            :class:`tfreg.registration.Refinement` but ``pyramid``, as a preset has them;
            ``confine`` applies where both masks are given.
        kwargs: of :class:`tfreg.models.base.Model`, ``intensity_range`` among them.

    Attributes:
        options: names of further arguments of ``register`` that it takes.
        sizes_may_differ: whether the fixed and the moving image may differ in size.
        sees_masks: whether :meth:`answer` looks at the masks of a pair.
        sees_all_moving: whether of images in physical space it gets all of the moving image, also
            what lies beyond the fixed image's field of view, with a mask of where that is.
        refine_steps: what a named refinement is to a model that takes its own steps for it.
    """

    task: ClassVar[str] = "registration"
    metric: ClassVar[str] = "ncc"
    sizes_may_differ = False
    sees_masks = False
    sees_all_moving = False
    refine_steps: ClassVar[Mapping[str, int]] = {}

    def __init__(
        self,
        ndim: int,
        refine_learning_rate: float = 1.0,
        refine_folding_weight: float = 1.0,
        voxel_size: Sequence[float] | None = None,
        refinement: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(ndim, **kwargs)
        self.refine_learning_rate = refine_learning_rate
        self.refine_folding_weight = refine_folding_weight
        self.voxel_size = numbers("voxel_size", voxel_size, ndim)
        if self.voxel_size is not None and not min(self.voxel_size) > 0:
            raise ValueError(f"voxel_size must be positive. Received: voxel_size={voxel_size}")
        self.refinement = Refinement(**(refinement or {}))
        self._refinement = refinement
        self.ncc_tracker = keras.metrics.Mean(name="ncc")

    def parameters(self, fixed: Any, moving: Any, training: bool | None = None) -> Any:
        """The transform's parameters for a batch of pairs ``(batch, *spatial, 1)``."""
        raise NotImplementedError

    def displacement(
        self, parameters: Any, shape: Sequence[int], moving_shape: Sequence[int] | None = None
    ) -> Any:
        """The dense displacement ``(batch, *shape, ndim)`` in voxels of the parameters.

        Args:
            parameters: of :meth:`parameters`.
            shape: spatial shape of the fixed image.
            moving_shape: that of the moving image; ``None``: the same.
        """
        raise NotImplementedError

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        parameters = self.parameters(inputs["fixed"], inputs["moving"], training=training)
        displacement = self.displacement(
            parameters, inputs["fixed"].shape[1:-1], inputs["moving"].shape[1:-1]
        )
        return {
            "parameters": parameters,
            "displacement": displacement,
            "moved": ops.resample(inputs["moving"], displacement),
        }

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
        **kwargs: Any,
    ) -> Any:
        """``-NCC(fixed, moved)``, averaged over the batch."""
        ncc = keras.ops.mean(losses.ncc(x["fixed"], y_pred["moved"]))
        self.ncc_tracker.update_state(ncc)
        return -ncc

    def score(self, inputs: Any, targets: Any = None, batch_size: int = 32) -> np.ndarray:
        """NCC of each fixed and moved image, within the mask where there is one."""
        moved = self.predict(inputs, batch_size=batch_size, verbose=0)["moved"]
        ncc = losses.ncc(inputs["fixed"], moved, inputs.get("mask"))
        return keras.ops.convert_to_numpy(ncc)

    def register(
        self,
        fixed: Any,
        moving: Any,
        refine: int | str | Pyramid | Refinement = 0,
        *,
        initial: Any = "geometry",
        fixed_mask: Any = None,
        moving_mask: Any = None,
        spacing: Sequence[float] | None = None,
        **options: Any,
    ) -> Registration | PhysicalRegistration:
        """Registers one pair or a batch of pairs.

        Args:
            fixed: one image ``(*spatial,)``, or a batch ``(batch, *spatial, 1)`` or
                ``(batch, *spatial)``, of any real dtype and intensity range; of two dimensions the
                latter, which a volume would be too, is warned of. Or one image in
                physical space, a ``tfreg.Image`` or a ``SimpleITK.Image``: it is resampled to the
                spacing and size that the network was trained on, and the answer is in millimetres.
            moving: images of the same shape; in physical space any grid will do.
            refine: instance optimisation that starts from the network's answer; 0 is the network
                alone. A number of steps: Adam on the network's own parameters, on its
                :meth:`objective` (-NCC plus a penalty on folding), the whole loop compiled. That
                sum never gets worse; the first few steps may trade a little NCC for less folding.
                ``"fast"``, ``"default"``, ``"accurate"`` or a ``Pyramid``: a further transform is
                added to the network's displacement, as :attr:`refinement` says; if that says
                nothing else, a B-spline, one control point in four pixels, on -NCC plus bending
                energy, in 30, 60 or 120 steps. Or a :class:`tfreg.registration.Refinement`.
            initial: the alignment of images in physical space before that, see
                :func:`tfreg.registration.register`; of those only.
            fixed_mask: where that transform's similarity looks in the fixed image; in physical
                space also what the network's grid is about, where the size of its voxels is known.
            moving_mask: the same in the moving image. The network itself sees no mask, unless its
                ``sees_masks`` is true.
            spacing: size of a voxel of arrays per axis, for that transform; default:
                ``voxel_size``.
            options: of this network, see its ``options``.

        Returns:
            The displacement, the moved images and what can be computed from them; for images in
            physical space a :class:`PhysicalRegistration`. Images are cut off at
            ``intensity_range`` where the network has one.

        Raises:
            InputError: on shapes that do not fit, complex or non-finite values, constant images,
                or masks without an effect.

        Example:

        >>> import numpy as np, zoo
        >>> model = zoo.load("dirnet-phantom")
        >>> image = np.zeros((28, 28)); image[8:20, 10:16] = 1
        >>> answer = model.register(image, np.roll(image, 1, axis=1))
        >>> answer.displacement.shape
        (28, 28, 2)
        """
        masks = {"fixed_mask": fixed_mask, "moving_mask": moving_mask}
        there = [name for name, mask in masks.items() if mask is not None]
        method = Inference(self, refine, options, there)
        return job.register(method, fixed, moving, initial=initial, spacing=spacing, **masks)

    def answer(self, pair: Pair, **options: Any) -> Estimate:
        """The transform of a batch of pairs: all that a registration model must be able to say.

        Here it is the displacement of the parameters of the network, one graph with what a user
        wants to know of it. An optimiser, or an agent that takes steps, has an answer of its own.

        Args:
            pair: intensities cut off at ``intensity_range``; :meth:`unit` makes of them what the
                network sees.
            options: of the model.
        """
        small = np.prod(pair.shape) <= _SMALL
        compile_ = ops.compiled if small else ops.graph

        def found(fixed: Any, moving: Any, fixed_unit: Any, moving_unit: Any) -> tuple:
            parameters = self.parameters(fixed_unit, moving_unit, training=False, **options)
            return self._applied(parameters, fixed, moving)

        key = ("answer", small, *sorted(options.items()))
        run = self.function(key, lambda: compile_(found, self.variables))
        units = self.unit(pair.fixed), self.unit(pair.moving)
        return _estimate(run(pair.fixed, pair.moving, *units))

    def objective(self, parameters: Any, fixed: Any, moving: Any) -> Any:
        """What refining in steps minimises, ``(batch,)``: -NCC and a penalty on folding.

        Args:
            parameters: of :meth:`parameters`.
            fixed, moving: ``(batch, *spatial, 1)`` as the network sees them.
        """
        displacement = self.displacement(parameters, fixed.shape[1:-1], moving.shape[1:-1])
        folding = losses.folding_penalty(displacement)
        similarity = losses.ncc(fixed, ops.resample(moving, displacement))
        return self.refine_folding_weight * folding - similarity

    def refined(self, found: Estimate, pair: Pair, steps: int) -> Estimate:
        """The answer after so many steps of Adam on :meth:`objective`, one compiled loop.

        Args:
            found: the answer to start from.
            pair: of :meth:`answer`.
            steps: how many.

        Raises:
            InputError: where the answer has no parameters.
        """
        if found.parameters is None:
            raise InputError(
                f"{type(self).__name__} has no parameters to refine in steps; refine by one of "
                f"{SETTINGS}. Received: refine={steps}"
            )
        run = self.function("refine", lambda: minimiser(self.objective))
        rate = np.float32(self.refine_learning_rate)
        settings = np.int32(steps), rate, np.float32(1), np.float32(0)
        units = self.unit(pair.fixed), self.unit(pair.moving)
        parameters, *_ = run(*settings, found.parameters, *units)
        return replace(self.applied(parameters, pair), details=found.details)

    def applied(self, parameters: Any, pair: Pair) -> Estimate:
        """The answer of parameters that are there."""
        run = self.function("apply", lambda: ops.compiled(self._applied))
        return _estimate(run(parameters, pair.fixed, pair.moving))

    def _applied(self, parameters: Any, fixed: Any, moving: Any) -> tuple:
        displacement = self.displacement(parameters, fixed.shape[1:-1], moving.shape[1:-1])
        return parameters, displacement, *judged(displacement, fixed, moving)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "refine_learning_rate": self.refine_learning_rate,
            "refine_folding_weight": self.refine_folding_weight,
            "voxel_size": self.voxel_size,
            "refinement": self._refinement,
        }


def _estimate(found: tuple) -> Estimate:
    parameters, displacement, *parts = found
    return Estimate(displacement=displacement, parameters=parameters, judged=tuple(parts))
