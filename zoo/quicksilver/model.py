"""Quicksilver: registration by a momentum that a network predicts, and its geodesic.

Reference:
    X. Yang, R. Kwitt, M. Styner and M. Niethammer, Quicksilver: fast predictive image registration
    - a deep learning approach, NeuroImage 158, 2017, pp. 378-396,
    doi:10.1016/j.neuroimage.2017.07.008.

The network is in network.py, what becomes of images and momenta in patches.py. What is known of the
authors' code, and where this departs from it, is listed in README.md.
"""

import functools
import numbers
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.errors import InputError
from tfreg.models.registration import RegistrationModel
from tfreg.registration.answer import Estimate
from tfreg.registration.images import Pair
from tfreg.registration.instance import level
from tfreg.registration.instance.folding import shortened
from tfreg.registration.instance.maps import GeodesicTransform, Grid, transform_of
from tfreg.registration.path import GeodesicPath
from zoo.quicksilver.network import MomentumNetwork
from zoo.quicksilver.patches import STRIDE, Patches, check_size

LEARNING = ("prediction", "correction")
_PATCHES = 64  # that go through the network together


@keras.saving.register_keras_serializable(package="tfreg")
class Quicksilver(RegistrationModel):
    """Predicts the initial momentum of LDDMM patch by patch, and shoots it.

    Parameters are momenta ``(batch, *spatial, ndim)`` in units of the operator's ``c``, in which a
    constant one moves every point by its number of voxels.

    Args:
        ndim: number of spatial axes, 2 or 3.
        width: features of the first layers, see :class:`MomentumNetwork`.
        dropout: rate of the probabilistic version, 0 for none.
        corrected: whether there is a correction network beside the prediction network.
        momentum_scale: by what the output of the prediction network is multiplied.
        correction_scale: by what that of the correction network is.
        weight: of the path's energy beside the mean square difference, where ``refine`` goes on.

    Input shape:
        ``{"fixed", "moving"}``, each ``(batch, *spatial, 1)``, intensities in [0, 1], 15 voxels or
        more along each axis; the background is 0.

    Output shape:
        ``{"parameters", "displacement", "moved"}``; while a network learns ``{"momentum"}``, of
        patches, before it is scaled.

    ``register`` takes three options: ``correct=True`` adds the momentum of the correction network;
    ``samples=50`` leaves dropout on, averages the momenta of so many samples, and answers the
    variance of their displacements as ``details["variance"]``, voxels squared; ``stride=7`` lays
    patches denser than every 14 voxels as in the paper, so that few voxels are near the border of
    all patches that cover them: more exact, and slower by the number of patches. ``refine=n`` goes
    on with n evaluations of LDDMM from there. A momentum that would fold is shortened:
    ``details["share"]`` says to which share, of the prediction and of the correction.

    Example:

    >>> import numpy as np
    >>> from zoo.quicksilver.model import Quicksilver
    >>> model = Quicksilver(ndim=2, width=2)
    >>> disc = (np.hypot(*(np.indices((20, 24)) - [[[9.5]], [[11.5]]])) < 6).astype("float32")
    >>> answer = model.register(disc, np.roll(disc, 2, axis=1))
    >>> answer.displacement.shape, answer.path.momentum.shape
    ((20, 24, 2), (20, 24, 2))
    """

    metric: ClassVar[str] = "error"
    options: ClassVar[tuple[str, ...]] = ("correct", "samples", "stride")

    def __init__(
        self,
        ndim: int,
        width: int = 64,
        dropout: float = 0.0,
        corrected: bool = False,
        momentum_scale: float = 1.0,
        correction_scale: float = 1.0,
        weight: float = 0.08,
        refine_learning_rate: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(ndim=ndim, refine_learning_rate=refine_learning_rate, **kwargs)
        if width < 1 or not 0 <= dropout < 1:
            raise ValueError(
                "width must be positive, dropout at least 0 and less than 1. "
                f"Received: width={width}, dropout={dropout}"
            )
        for name, scale in (("momentum", momentum_scale), ("correction", correction_scale)):
            if not 0 < scale < float("inf"):
                raise ValueError(f"{name}_scale must be positive. Received: {name}_scale={scale}")
        if not 0 <= weight < float("inf"):
            raise ValueError(f"weight must be 0 or more. Received: weight={weight}")
        self.width = width
        self.dropout = dropout
        self.corrected = corrected
        self.momentum_scale = momentum_scale
        self.correction_scale = correction_scale
        self.weight = weight
        self.learning: str | None = None
        self.prediction = MomentumNetwork(ndim, width, dropout, name="prediction")
        self.correction = None
        if corrected:
            self.correction = MomentumNetwork(ndim, width, name="correction")
        self.error_tracker = keras.metrics.Mean(name="error")

    def build(self, input_shape: Any = None) -> None:
        for network in self._networks():
            network.build()
        self.built = True

    def check_size(self, size: Sequence[int]) -> None:
        check_size(size)

    def check_options(self, options: dict[str, Any]) -> None:
        correct, samples = options.get("correct", False), options.get("samples", 0)
        if not isinstance(correct, bool):
            raise InputError(f"correct must be True or False. Received: correct={correct!r}")
        if correct and not self.corrected:
            raise InputError("This model has no correction network. Received: correct=True")
        whole = isinstance(samples, numbers.Integral) and not isinstance(samples, bool)
        if not whole or samples < 0 or samples == 1:
            raise InputError(f"samples must be 0, or 2 or more. Received: samples={samples!r}")
        stride = options.get("stride", STRIDE)
        whole = isinstance(stride, numbers.Integral) and not isinstance(stride, bool)
        if not whole or not 1 <= stride <= STRIDE:
            raise InputError(f"stride must be an integer, 1 to {STRIDE}. Received: {stride!r}")
        if samples and not self.dropout:
            raise InputError(f"This network has no dropout to sample. Received: samples={samples}")

    def transform(self, shape: Sequence[int]) -> GeodesicTransform:
        """What makes a displacement of parameters on images of a size."""
        spacing = self.voxel_size or (1.0,) * self.ndim
        return transform_of("lddmm", Grid(tuple(shape), (1,) * self.ndim, spacing), None)

    def parameters(self, fixed: Any, moving: Any, training: bool | None = None) -> Any:
        """The momentum of the prediction network, of whole images."""
        patches = Patches(fixed.shape[1:-1])
        fixed, moving = patches.cut(fixed), patches.cut(moving)
        momenta = self.prediction(moving, fixed, training=training)
        return self.momentum_scale * patches.join(momenta, patches.kept(fixed, moving))

    def displacement(
        self, parameters: Any, shape: Sequence[int], moving_shape: Sequence[int] | None = None
    ) -> Any:
        return self.transform(shape).displacement(parameters)

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        if self.learning is None:
            return super().call(inputs, training=training)
        network = getattr(self, self.learning)
        return {"momentum": network(inputs["moving"], inputs["fixed"], training=training)}

    def answer(
        self, pair: Pair, correct: bool = False, samples: int = 0, stride: int = STRIDE
    ) -> Estimate:
        """The momentum, patches that show nothing left out, and its geodesic.

        Args:
            pair: of images in [0, 1] after :meth:`unit`.
            correct: whether the correction network adds its momentum.
            samples: of the probabilistic version; 0: one prediction without dropout.
            stride: voxels from one patch to the next.
        """
        fixed, moving = self.unit(pair.fixed), self.unit(pair.moving)
        details = {}
        if samples:
            predicted, details["variance"] = self._sampled(fixed, moving, samples, stride)
        else:
            predicted = self.predicted("prediction", fixed, moving, stride=stride)
        parameters, details["share"] = self.unfolded(np.zeros_like(predicted), predicted)
        if correct:
            back = self.pulled_back(parameters, fixed)
            correction = self.predicted("correction", back, moving, stride=stride)
            parameters, share = self.unfolded(parameters, correction)
            details["share"] = np.stack([details["share"], share], axis=-1)
        return replace(self.applied(parameters, pair), details=details)

    def unfolded(self, before: np.ndarray, added: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Momenta with as much of others as leads to no folding, and how much that is.

        As LDDMM refuses a step to where the determinant is below 0.1 anywhere.

        Args:
            before: momenta that do not fold.
            added: others, of which a tenth less is taken as long as the sum does.

        Returns:
            The sum, and the share of ``added`` in each pair, ``(batch,)``.
        """
        shape = before.shape[1:-1]
        run, transform = self.shooting(shape), self.transform(shape)
        return shortened(lambda found: transform.folded(run(found)), added, before)

    def predicted(
        self,
        name: str,
        fixed: np.ndarray,
        moving: np.ndarray,
        sample: int | None = None,
        stride: int = STRIDE,
    ) -> np.ndarray:
        """The momentum that one network predicts of whole images, so many patches at a time.

        Args:
            name: ``"prediction"`` or ``"correction"``.
            fixed, moving: ``(batch, *spatial, 1)`` in [0, 1].
            sample: number of the sample that dropout draws; ``None``: no dropout.
            stride: voxels from one patch to the next.
        """
        network = getattr(self, name)
        patches = Patches(fixed.shape[1:-1], stride)
        fixed, moving = (_array(patches.cut(images)) for images in (fixed, moving))
        kept = np.flatnonzero(_array(patches.kept(fixed, moving)))
        sampled = sample is not None

        def momenta(moving: Any, fixed: Any) -> Any:
            return network(moving, fixed, training=sampled)

        compile_ = ops.compiled if self.ndim == 2 else ops.graph
        run = self.function((name, sampled), lambda: compile_(momenta, network.variables))
        found = np.zeros((*fixed.shape[:-1], self.ndim), "float32")
        for number, first in enumerate(range(0, len(kept), _PATCHES)):
            chosen = kept[first : first + _PATCHES]
            # Always as many, so that one function serves: the last ones come again.
            rows = np.resize(chosen, _PATCHES)
            if sampled:
                network.draw(sample * len(found) + number)
            found[chosen] = _array(run(moving[rows], fixed[rows]))[: len(chosen)]
        shown = np.zeros(len(found), bool)
        shown[kept] = True
        scale = self.momentum_scale if name == "prediction" else self.correction_scale
        return np.float32(scale) * _array(patches.join(found, shown))

    def pulled_back(self, parameters: Any, fixed: Any) -> np.ndarray:
        """The fixed images in the space of the moving ones, where momenta can be added."""
        transform = self.transform(fixed.shape[1:-1])

        def run(parameters: Any, fixed: Any) -> Any:
            momentum, spacing = transform.momentum(parameters), transform.grid.voxels
            return ops.resample(fixed, ops.geodesic(momentum, spacing, transform.operator)[1])

        key = ("back", fixed.shape[1:-1])
        return _array(self.function(key, lambda: ops.compiled(run))(parameters, fixed))

    def shooting(self, shape: Sequence[int]) -> Callable:
        """The compiled displacement of parameters on images of a size."""
        shoot = functools.partial(Quicksilver.displacement, self, shape=tuple(shape))
        return self.function(("shoot", tuple(shape)), lambda: ops.compiled(shoot))

    def _sampled(
        self, fixed: np.ndarray, moving: np.ndarray, samples: int, stride: int
    ) -> tuple[Any, Any]:
        """The mean momentum, and the variance of the displacements of samples."""
        shape = fixed.shape[1:-1]
        run = self.shooting(shape)
        total: Any = 0.0
        mean, square = 0.0, 0.0
        for sample in range(samples):
            momentum = self.predicted("prediction", fixed, moving, sample, stride)
            field = _array(run(momentum)).astype("float64")
            total = total + momentum
            # Welford's: the mean so far, and the squares about it.
            change = field - mean
            mean = mean + change / (sample + 1)
            square = square + change * (field - mean)
        return total / samples, (square / samples).sum(axis=-1).astype("float32")

    def applied(self, parameters: Any, pair: Pair) -> Estimate:
        """The answer of a momentum, with its path."""
        transform = self.transform(pair.shape)
        momentum = _array(transform.momentum(parameters))
        path = GeodesicPath(momentum, transform.grid.spacing, None, transform.operator)
        return replace(super().applied(parameters, pair), path=path)

    def refined(self, found: Estimate, pair: Pair, steps: int) -> Estimate:
        """The answer after so many evaluations of LDDMM by L-BFGS on its energy."""
        problem = level.Problem(
            transform=self.transform(pair.shape),
            similarity="mse",
            regulariser="bending",  # of an LDDMM that is the energy of its path
            **{name: False for name in ("fixed_mask", "moving_mask", "started", "sampled")},
            optimiser="lbfgs",
        )
        run = level.descent(problem, ("fixed", "moving"))
        settings = np.int32(steps), np.float32(self.refine_learning_rate)
        settings = (*settings, np.float32(1), np.float32(0))
        units = self.unit(pair.fixed), self.unit(pair.moving)
        parameters, *_ = run(*settings, found.parameters, np.float32(self.weight), *units)
        return replace(self.applied(parameters, pair), details=found.details)

    def learn(self, name: str | None) -> None:
        """Lets one network learn from patches, or ``None``: the model registers whole images.

        Args:
            name: ``"prediction"``, ``"correction"`` or ``None``.
        """
        self.learning = name
        for network in self._networks():
            network.trainable = name in (None, network.name)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
        **kwargs: Any,
    ) -> Any:
        """The mean absolute difference of momenta, in units of their mean magnitude."""
        loss = keras_ops.mean(keras_ops.abs(y_pred["momentum"] - y))
        self.error_tracker.update_state(loss)
        return loss

    def score(self, inputs: Any, targets: Any = None, batch_size: int = 32) -> np.ndarray:
        """The mean absolute difference of the momentum of each patch."""
        network = getattr(self, self.learning or "prediction")
        run = ops.graph(lambda m, f: network(m, f, training=False), network.variables)
        found = self.in_batches(run, inputs["moving"], inputs["fixed"], batch_size=batch_size)
        return np.abs(found - targets).mean(axis=tuple(range(1, targets.ndim)))

    @property
    def metrics(self) -> list[Any]:
        """What training tracks: no NCC, since nothing is moved."""
        return [metric for metric in super().metrics if metric is not self.ncc_tracker]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "width": self.width,
            "dropout": self.dropout,
            "corrected": self.corrected,
            "momentum_scale": self.momentum_scale,
            "correction_scale": self.correction_scale,
            "weight": self.weight,
        }

    def _networks(self) -> list[MomentumNetwork]:
        return [self.prediction] if self.correction is None else [self.prediction, self.correction]


@keras.saving.register_keras_serializable(package="tfreg")
class DisplacementPrediction(Quicksilver):
    """The same network that predicts displacements, which nothing smooths: what momenta are worth.

    It takes no options and is not refined. See :class:`Quicksilver` for arguments and shapes.

    Example:

    >>> import numpy as np
    >>> from zoo.quicksilver.model import DisplacementPrediction
    >>> model = DisplacementPrediction(ndim=2, width=2)
    >>> disc = (np.hypot(*(np.indices((20, 24)) - [[[9.5]], [[11.5]]])) < 6).astype("float32")
    >>> model.register(disc, np.roll(disc, 2, axis=1)).path is None
    True
    """

    options: ClassVar[tuple[str, ...]] = ()

    def displacement(
        self, parameters: Any, shape: Sequence[int], moving_shape: Sequence[int] | None = None
    ) -> Any:
        return parameters

    def answer(self, pair: Pair) -> Estimate:
        """The displacement, patches that show nothing left out."""
        units = self.unit(pair.fixed), self.unit(pair.moving)
        return RegistrationModel.applied(self, self.predicted("prediction", *units), pair)

    def refined(self, found: Estimate, pair: Pair, steps: int) -> Estimate:
        raise InputError(f"Predicted displacements are not refined. Received: refine={steps}")


def _array(tensor: Any) -> np.ndarray:
    return keras_ops.convert_to_numpy(tensor)
