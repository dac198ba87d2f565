"""Registering images with a network: the base of every registration model of the zoo."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops as keras_ops

from tfreg import losses, ops
from tfreg.errors import InputError
from tfreg.models.base import Model, numbers
from tfreg.optimise import minimiser
from tfreg.registration.alignment import are_physical
from tfreg.registration.answer import Registration
from tfreg.registration.images import as_image
from tfreg.registration.instance import register as optimise
from tfreg.registration.physical import PhysicalRegistration, prepare, register_physical
from tfreg.registration.pyramid import SETTINGS, Pyramid, refinement

# Up to this many pixels a network runs faster compiled as a whole than as a graph with oneDNN's
# convolutions (measured at 28x28: a third less time; at 256x256 the graph takes half the time).
_SMALL = 64 * 64


class RegistrationModel(Model):
    """A network that registers: the base of every registration model of the zoo.

    A subclass defines ``parameters`` (the network: images to the parameters of a transform, such
    as control points) and ``displacement`` (the transform: parameters to a dense displacement).
    From these the model is trained, called and refined.

    ``model({"fixed", "moving"})`` answers ``{"parameters", "displacement", "moved"}``. Training
    needs pairs only, no targets: ``model.fit(dataset_of_pairs)`` minimises ``-NCC(fixed, moved)``.

    Args:
        ndim: number of spatial axes, 2 or 3.
        refine_learning_rate: step of Adam, in units of the parameters, when refining.
        refine_folding_weight: weight of ``losses.folding_penalty`` beside -NCC when refining.
        voxel_size: size of a voxel per axis in any unit, which tells a named refinement where
            voxels are no cubes; ``None``: they are.
        kwargs: of :class:`tfreg.models.base.Model`, ``intensity_range`` among them.

    Attributes:
        options: names of further arguments of ``register`` that it takes.
        sizes_may_differ: whether the fixed and the moving image may differ in size.
    """

    task: ClassVar[str] = "registration"
    metric: ClassVar[str] = "ncc"
    sizes_may_differ = False

    def __init__(
        self,
        ndim: int,
        refine_learning_rate: float = 1.0,
        refine_folding_weight: float = 1.0,
        voxel_size: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(ndim, **kwargs)
        self.refine_learning_rate = refine_learning_rate
        self.refine_folding_weight = refine_folding_weight
        self.voxel_size = numbers("voxel_size", voxel_size, ndim)
        if self.voxel_size is not None and not min(self.voxel_size) > 0:
            raise ValueError(f"voxel_size must be positive. Received: voxel_size={voxel_size}")
        self._similarity = losses.NCC()
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
        loss = self._similarity(x["fixed"], y_pred["moved"])
        self.ncc_tracker.update_state(-loss)
        return loss

    def score(self, inputs: Any, targets: Any = None, batch_size: int = 32) -> np.ndarray:
        """NCC of each fixed and moved image, within the mask where there is one."""
        moved = self.predict(inputs, batch_size=batch_size, verbose=0)["moved"]
        ncc = losses.ncc(inputs["fixed"], moved, inputs.get("mask"))
        return keras_ops.convert_to_numpy(ncc)

    def register(
        self,
        fixed: Any,
        moving: Any,
        refine: int | str | Pyramid = 0,
        *,
        initial: Any = "geometry",
        fixed_mask: Any = None,
        moving_mask: Any = None,
        **options: Any,
    ) -> Registration | PhysicalRegistration:
        """Registers one pair or a batch of pairs.

        Args:
            fixed: one image ``(*spatial,)``, or a batch ``(batch, *spatial)`` or
                ``(batch, *spatial, 1)``, of any real dtype and intensity range. Or one image in
                physical space, a ``tfreg.Image`` or a ``SimpleITK.Image``: it is resampled to the
                spacing and size that the network was trained on, and the answer is in millimetres.
            moving: images of the same shape; in physical space any grid will do.
            refine: instance optimisation that starts from the network's answer; 0 is the network
                alone. A number of steps: Adam on the network's own parameters, on -NCC plus a
                penalty on folding, the whole loop compiled. That sum never gets worse; the first
                few steps may trade a little NCC for less folding. ``"fast"``, ``"default"``,
                ``"accurate"`` or a ``Pyramid``: a B-spline of control points of its own, one in
                four pixels, is added to the network's displacement by
                :func:`tfreg.registration.register`, on -NCC plus bending energy, in 30, 60 or 120
                steps.
            initial: the alignment of images in physical space before that, see
                :func:`tfreg.registration.register`; of those only.
            fixed_mask: where that B-spline's similarity looks in the fixed image; in physical space
                also what the network's grid is about, where the size of its voxels is known.
            moving_mask: the same in the moving image. The network itself sees no mask.
            options: of this network, see its ``options``.

        Returns:
            The displacement, the moved images and what can be computed from them; for images in
            physical space a :class:`PhysicalRegistration`. Images are cut off at
            ``intensity_range`` where the network has one.

        Raises:
            InputError: on shapes that do not fit, complex or non-finite values; with a pyramid
                also on constant images; on masks without an effect.

        Example:

        >>> import numpy as np, zoo
        >>> model = zoo.load("dirnet-phantom")
        >>> image = np.zeros((28, 28)); image[8:20, 10:16] = 1
        >>> answer = model.register(image, np.roll(image, 1, axis=1))
        >>> answer.displacement.shape
        (28, 28, 2)
        """
        check_refine(refine)
        self.check_arguments(options)
        by_pyramid = isinstance(refine, (str, Pyramid))
        masks = {"fixed_mask": fixed_mask, "moving_mask": moving_mask}
        masks = {name: mask for name, mask in masks.items() if mask is not None}
        physical = are_physical(fixed, moving)
        check_masks(self, masks, refine, initial if physical else None)
        if physical:
            prepared = prepare(fixed, moving, initial, **masks, model=self)
            return register_physical(
                lambda inner: self.register(
                    inner.fixed,
                    inner.moving,
                    refine,
                    **inner.masks if by_pyramid else {},
                    **options,
                ),
                prepared,
            )
        if not isinstance(initial, str) or initial != "geometry":
            raise InputError(
                f"initial aligns images in physical space only. Received: initial={initial!r}"
            )
        begin = time.perf_counter()
        fixed_array = as_image(fixed, self.ndim, "fixed")
        moving_array = as_image(moving, self.ndim, "moving")
        same = np.shape(fixed) == np.shape(moving)
        if not same and not (self.sizes_may_differ and len(fixed_array) == len(moving_array)):
            raise InputError(
                "fixed and moving must have one shape. "
                f"Received: fixed {np.shape(fixed)}, moving {np.shape(moving)}"
            )
        self.check_size(fixed_array.shape[1:-1])
        if not self.built:
            self.build()
        fixed_array, moving_array = self.clipped(fixed_array), self.clipped(moving_array)
        units = self.unit(fixed_array), self.unit(moving_array)
        answer = self.answer(fixed_array, moving_array, *units, **options)
        if refine and not by_pyramid:
            answer = self._refined(answer, fixed_array, moving_array, int(refine))
        displacement, moved, before, after = (
            keras_ops.convert_to_numpy(part) for part in answer[1:]
        )
        seconds = time.perf_counter() - begin
        single = np.ndim(fixed) == self.ndim
        if by_pyramid:
            levels = refine
            if isinstance(refine, str):
                levels = refinement(refine, fixed_array.shape[1:-1], self.voxel_size)
            first = (lambda array: array[0, ..., 0]) if single else (lambda array: array[..., 0])
            better = optimise(
                first(fixed_array),
                first(moving_array),
                spacing=self.voxel_size,
                pyramid=levels,
                **masks,
                start=displacement,
                ndim=self.ndim,
            )
            seconds = time.perf_counter() - begin - better.compile_seconds
            before = float(before[0]) if single else before
            return replace(better, similarity_before=before, seconds=seconds)
        first = (lambda array: array[0]) if single else (lambda array: array)
        return Registration(
            fixed=first(fixed_array[..., 0]),
            moving=first(moving_array[..., 0]),
            moved=first(moved[..., 0]),
            displacement=first(displacement),
            similarity_before=float(before[0]) if single else before,
            similarity_after=float(after[0]) if single else after,
            seconds=seconds,
        )

    def answer(
        self, fixed: Any, moving: Any, fixed_unit: Any, moving_unit: Any, **options: Any
    ) -> tuple:
        """Parameters, displacement, moved images, NCC before and after, of checked images.

        Args:
            fixed, moving: ``(batch, *spatial, 1)``.
            fixed_unit, moving_unit: the same in [0, 1], for the network.
            options: of the network.
        """
        small = np.prod(fixed.shape[1:-1]) <= _SMALL
        name = "register small" if small else "register"
        return self._function(name, **options)(fixed, moving, fixed_unit, moving_unit)

    def apply(self, parameters: Any, fixed: Any, moving: Any) -> tuple:
        """The same of parameters that are there."""
        return self._function("apply")(parameters, fixed, moving)

    def _refined(self, answer: tuple, fixed: np.ndarray, moving: np.ndarray, steps: int) -> tuple:
        scaled = self.unit(fixed), self.unit(moving)
        rate = np.float32(self.refine_learning_rate)
        settings = np.int32(steps), rate, np.float32(1), np.float32(0)
        parameters, *_ = self._function("refine")(*settings, answer[0], *scaled)
        return self.apply(parameters, fixed, moving)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "refine_learning_rate": self.refine_learning_rate,
            "refine_folding_weight": self.refine_folding_weight,
            "voxel_size": self.voxel_size,
        }

    def _function(self, name: str, **options: Any) -> Any:
        """Compiled functions are made on first use and kept: a second pair pays nothing."""
        key = (name, *sorted(options.items()))
        if key not in self._functions:

            def displacement_of(parameters: Any, fixed: Any, moving: Any) -> Any:
                return self.displacement(parameters, fixed.shape[1:-1], moving.shape[1:-1])

            def apply(parameters: Any, fixed: Any, moving: Any) -> tuple:
                displacement = displacement_of(parameters, fixed, moving)
                moved = ops.resample(moving, displacement)
                before = losses.ncc(fixed, _centred(fixed, moving))
                return parameters, displacement, moved, before, losses.ncc(fixed, moved)

            def register(fixed: Any, moving: Any, fixed_unit: Any, moving_unit: Any) -> tuple:
                parameters = self.parameters(fixed_unit, moving_unit, training=False, **options)
                return apply(parameters, fixed, moving)

            def objective(parameters: Any, fixed: Any, moving: Any) -> Any:
                displacement = displacement_of(parameters, fixed, moving)
                folding = losses.folding_penalty(displacement)
                similarity = losses.ncc(fixed, ops.resample(moving, displacement))
                return self.refine_folding_weight * folding - similarity

            self._functions[key] = {
                "apply": lambda: ops.compiled(apply),
                "register": lambda: ops.graph(register, self.variables),
                "register small": lambda: ops.compiled(register, self.variables),
                "refine": lambda: minimiser(objective),
            }[name]()
        return self._functions[key]


def _centred(fixed: Any, moving: Any) -> Any:
    """The moving image on the grid of the fixed one, centre on centre."""
    shape, other = fixed.shape[1:-1], moving.shape[1:-1]
    if shape == other:
        return moving
    shift = np.array([(m - f) / 2 for f, m in zip(shape, other, strict=True)], "float32")
    return ops.resample(moving, np.broadcast_to(shift, (fixed.shape[0], *shape, len(shape))))


def check_refine(refine: Any) -> None:
    """Raises ``InputError`` unless ``refine`` is what :meth:`RegistrationModel.register` takes."""
    if isinstance(refine, Pyramid) or (isinstance(refine, str) and refine in SETTINGS):
        return
    number = isinstance(refine, (int, float, np.number)) and not isinstance(refine, bool)
    if not number or not np.isfinite(refine) or int(refine) != refine or refine < 0:
        raise InputError(
            f"refine must be a number of steps, 0 or more, one of {SETTINGS} or a Pyramid. "
            f"Received: {refine!r}"
        )


def check_masks(model: RegistrationModel, masks: Any, refine: Any, initial: Any = None) -> None:
    """Raises ``InputError`` on masks that nothing would look at.

    Args:
        model: the network.
        masks: the names of those that there are.
        refine: as in :meth:`RegistrationModel.register`.
        initial: the same; ``None`` for arrays.
    """
    used = set(masks) if isinstance(refine, (str, Pyramid)) else set()
    if initial is not None:
        if isinstance(initial, str) and initial == "mass" and len(masks) == 2:
            used = set(masks)
        if model.preprocessing is not None and model.preprocessing.spacing is not None:
            used.add("fixed_mask")
    for name in masks:
        if name not in used:
            raise InputError(
                f"{name} would have no effect: a network sees no mask. Refine with one of "
                f"{SETTINGS}, or align both masks with initial='mass'. Received: refine={refine!r}"
            )
