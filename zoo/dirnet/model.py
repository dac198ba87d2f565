"""DIRNet: end-to-end unsupervised deformable image registration with a ConvNet.

Reference:
    B. D. de Vos, F. F. Berendsen, M. A. Viergever, M. Staring and I. Isgum, DLMIA 2017, LNCS 10553,
    pp. 204-212, doi:10.1007/978-3-319-67558-9_24.

The file follows the paper's section 2: the ConvNet regressor, the spatial transformer, the
resampler (in the base class) and the loss. What the paper leaves open is listed in README.md.
"""

import numbers
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops as keras_ops

from tfreg import ops
from tfreg.errors import InputError
from tfreg.layers import BSplineTransformer, TPSTransformer
from tfreg.losses import bspline_bending_energy
from tfreg.models.registration import RegistrationModel

# Section 3.2 and Table 1: what each variant changes in the baseline. C2 needs the size as well.
VARIANTS: dict[str, dict[str, Any]] = {
    "bl": {},
    "a1": {"downsampling": "max"},
    "a2": {"downsampling": "convolution"},
    "b1": {"spline": "quadratic"},
    "b2": {"spline": "thin-plate"},
    "c1": {"convolutions": 4},
    "c2": {"full_image": True},
}
# Not the paper's: a finer grid, more kernels, bending energy in the loss, and three passes.
IMPROVED: dict[str, dict[str, Any]] = {
    "plus": {
        "poolings": 3,
        "kernels": (16, 16, 32, 32, 32, 32, 32, 32),
        "convolutions": 8,
        "bending_weight": 0.02,
        "passes": 3,
    },
}
DOWNSAMPLINGS = ("average", "max", "convolution")
SPLINES = ("cubic", "quadratic", "thin-plate")


@keras.saving.register_keras_serializable(package="tfreg")
class DIRNet(RegistrationModel):
    """The baseline (BL) of the paper and its six variants, for 2-D images.

    All but the variant C2 take images of any size that the grid divides.

    Args:
        poolings: number of 2x2 down-samplings after the first 3x3 convolutions; the control points
            are ``2 ** poolings`` pixels apart. 4 for the cardiac images, 2 for MNIST.
        kernels: kernels per convolution, 16 in the paper; or one number for each 3x3 convolution,
            the last of which is also that of the 1x1 convolutions.
        convolutions: number of 3x3 convolutions; 6 in the paper, 4 in its variant C1, whose patches
            do not overlap.
        boundary: the B-spline outside its grid, see ``tfreg.ops.bspline_displacement``.
        downsampling: ``"average"`` pooling, ``"max"`` pooling (variant A1) or ``"convolution"``: of
            2x2 kernels and stride 2 (A2).
        spline: ``"cubic"``, ``"quadratic"`` (B1) or ``"thin-plate"`` (B2).
        full_image: size of the images where every control point sees all of them (C2): in place of
            the 1x1 convolutions one more 3x3 convolution and down-sampling, two dense layers of
            1,024 nodes, and a dense output.
        bending_weight: weight, beside -NCC, of the bending energy of the B-spline, in units of the
            control points' distance; the paper has none.
        passes: how often the network runs, with the same weights, each time on what the passes
            before have left; 1 in the paper. It is trained on the first.

    Input shape:
        ``{"fixed", "moving"}``, each ``(batch, height, width, 1)``, intensities in [0, 1].

    Output shape:
        ``{"parameters", "displacement", "moved"}``: control points
        ``(batch, height / spacing, width / spacing, 2)``, displacement
        ``(batch, height, width, 2)``, both in pixels, and the moved image. With more passes than
        one, control points ``(batch, passes, height / spacing, width / spacing, 2)``.

    Raises:
        ValueError: on fewer convolutions than poolings, or an unknown option.

    Example:

    >>> import numpy as np
    >>> from zoo.dirnet.model import DIRNet
    >>> image = np.zeros((1, 256, 256, 1), "float32")
    >>> model = DIRNet(poolings=4)
    >>> tuple(model({"fixed": image, "moving": image})["parameters"].shape)
    (1, 16, 16, 2)
    >>> sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    12610
    """

    def __init__(
        self,
        poolings: int = 4,
        kernels: int | Sequence[int] = 16,
        convolutions: int = 6,
        boundary: str = "zero",
        downsampling: str = "average",
        spline: str = "cubic",
        full_image: Sequence[int] | None = None,
        bending_weight: float = 0.0,
        passes: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(ndim=2, **kwargs)
        if convolutions < 1 or not 0 <= poolings <= convolutions:
            raise ValueError(
                "convolutions must be positive, and poolings between 0 and their number. "
                f"Received: poolings={poolings}, convolutions={convolutions}"
            )
        same = isinstance(kernels, numbers.Integral)
        widths = [int(kernels)] * convolutions if same else [int(width) for width in kernels]
        if len(widths) != convolutions or any(width < 1 for width in widths):
            raise ValueError(
                "kernels must be a positive number, or one for each of the "
                f"{convolutions} convolutions. Received: kernels={kernels}"
            )
        if downsampling not in DOWNSAMPLINGS:
            raise ValueError(
                f"downsampling must be one of {DOWNSAMPLINGS}. Received: {downsampling}"
            )
        if spline not in SPLINES:
            raise ValueError(f"spline must be one of {SPLINES}. Received: spline={spline}")
        if spline == "thin-plate" and boundary != "zero":
            raise ValueError(
                f"A thin-plate spline has no boundary rule. Received: boundary={boundary}"
            )
        if not 0 <= bending_weight < float("inf") or (bending_weight and spline == "thin-plate"):
            raise ValueError(
                "bending_weight must be 0 or more, and 0 for a thin-plate spline. "
                f"Received: bending_weight={bending_weight}, spline={spline}"
            )
        if not isinstance(passes, numbers.Integral) or passes < 1:
            raise ValueError(f"passes must be a positive integer. Received: passes={passes}")
        self.spacing = 2**poolings
        self.passes = int(passes)
        self.poolings = poolings
        self.kernels = int(kernels) if same else tuple(widths)
        self.convolutions = convolutions
        self.boundary = boundary
        self.downsampling = downsampling
        self.spline = spline
        self.bending_weight = bending_weight
        if full_image is not None:
            pair = isinstance(full_image, Sequence) and len(full_image) == 2
            if not pair or any(n < 1 or n % (2 * self.spacing) for n in full_image):
                raise ValueError(
                    f"full_image must be two positive multiples of {2 * self.spacing} pixels. "
                    f"Received: full_image={full_image}"
                )
        self.full_image = None if full_image is None else tuple(int(n) for n in full_image)

        # Section 2.1, the ConvNet regressor. "Batch normalization and exponential linear units are
        # used throughout the network except in the final layer"; a normalised layer has no bias.
        regressor = []
        for index, width in enumerate(widths):
            regressor += _convolution(width, 3, f"conv3x3_{index + 1}")
            if index < poolings:
                regressor += self._downsampling(index + 1, width)
        if self.full_image is None:
            for index in range(2):
                regressor += _convolution(width, 1, f"conv1x1_{index + 1}")
            regressor.append(keras.layers.Conv2D(2, 1, name="control_points"))
        else:
            grid = [n // self.spacing for n in self.full_image]
            regressor += _convolution(width, 3, f"conv3x3_{convolutions + 1}")
            regressor += self._downsampling(poolings + 1, width)
            regressor.append(keras.layers.Flatten(name="flatten"))
            for index in range(2):
                name = f"dense_{index + 1}"
                dense = keras.layers.Dense(1024, use_bias=False, name=name)
                regressor += [dense, *_normalised(name)]
            regressor.append(keras.layers.Dense(grid[0] * grid[1] * 2, name="control_points"))
            regressor.append(keras.layers.Reshape((*grid, 2), name="grid"))
        self.regressor = regressor

        # Section 2.2, the spatial transformer: a spline on exactly the regressor's grid.
        if spline != "thin-plate":
            self.order = {"cubic": 3, "quadratic": 2}[spline]
            self.transformer = BSplineTransformer((self.spacing,) * 2, boundary, self.order)

    def _downsampling(self, number: int, kernels: int) -> list[keras.layers.Layer]:
        """One 2x2 down-sampling."""
        name = f"pool_{number}"
        if self.downsampling == "average":
            return [keras.layers.AveragePooling2D(2, name=name)]
        if self.downsampling == "max":
            return [keras.layers.MaxPooling2D(2, name=name)]
        return _convolution(kernels, 2, name, strides=2)

    def build(self, input_shape: Any = None) -> None:
        shape = (None, *(self.full_image or (None, None)), 2)
        for layer in self.regressor:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def parameters(self, fixed: Any, moving: Any, training: bool | None = None) -> Any:
        """Control points in pixels, see the output shape."""
        found = [self._regressed(fixed, moving, training)]
        if training or self.passes == 1:
            return found[0]
        displacement = self.displacement(found[0])
        for _ in range(self.passes - 1):
            moved = ops.resample(moving, displacement)
            found.append(self._regressed(fixed, moved, training))
            displacement = ops.compose(displacement, self.displacement(found[-1]))
        return keras_ops.stack(found, axis=1)

    def _regressed(self, fixed: Any, moving: Any, training: bool | None) -> Any:
        """One pass through the ConvNet."""
        features = keras_ops.concatenate([moving, fixed], axis=-1)
        for layer in self.regressor:
            if isinstance(layer, keras.layers.BatchNormalization):
                features = layer(features, training=training)
            else:
                features = layer(features)
        return features

    def displacement(
        self,
        parameters: Any,
        shape: Sequence[int] | None = None,
        moving_shape: Sequence[int] | None = None,
    ) -> Any:
        """Of control points, which tell the shape."""
        if len(parameters.shape) == 5:  # of several passes
            displacement = self.displacement(parameters[:, 0])
            for k in range(1, parameters.shape[1]):
                displacement = ops.compose(displacement, self.displacement(parameters[:, k]))
            return displacement
        if self.spline != "thin-plate":
            return self.transformer(parameters)
        return TPSTransformer([n * self.spacing for n in parameters.shape[1:-1]])(parameters)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Section 2.3: ``-NCC(fixed, moved)``, averaged over the batch; and our bending energy."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training, **kwargs)
        if not self.bending_weight:
            return loss
        cells = y_pred["parameters"] / self.spacing
        cells = keras_ops.reshape(cells, (-1, *cells.shape[-3:]))  # passes beside each other
        energy = bspline_bending_energy(cells, (1, 1), self.boundary, self.order)
        return loss + self.bending_weight * keras_ops.mean(energy)

    def check_size(self, size: Sequence[int]) -> None:
        if self.full_image and tuple(size) != self.full_image:
            raise InputError(
                f"This network sees the full image and takes {self.full_image} pixels only. "
                f"Received: size={tuple(size)}"
            )
        if any(n % self.spacing or n < self.spacing for n in size):
            raise InputError(
                f"Image sizes must be multiples of {self.spacing} pixels for this network. "
                f"Received: size={tuple(size)}"
            )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["ndim"]  # 2 always
        return {
            **config,
            "poolings": self.poolings,
            "kernels": self.kernels,
            "convolutions": self.convolutions,
            "boundary": self.boundary,
            "downsampling": self.downsampling,
            "spline": self.spline,
            "full_image": self.full_image,
            "bending_weight": self.bending_weight,
            "passes": self.passes,
        }


def variant(name: str, size: Sequence[int], **options: Any) -> DIRNet:
    """One of the networks of Table 1, or the improved one.

    Args:
        name: ``"bl"``, ``"a1"``, ``"a2"``, ``"b1"``, ``"b2"``, ``"c1"`` or ``"c2"``; ``"plus"``.
        size: height and width of the images, to which C2 is bound.
        options: of :class:`DIRNet`.

    Raises:
        InputError: on an unknown name.
    """
    known = {**VARIANTS, **IMPROVED}
    if name not in known:
        raise InputError(f"A variant is one of {tuple(known)}. Received: {name}")
    changes = dict(known[name])
    if changes.pop("full_image", False):
        changes["full_image"] = tuple(size)
    return DIRNet(**{**changes, **options})


def _convolution(kernels: int, size: int, name: str, strides: int = 1) -> list[keras.layers.Layer]:
    """Convolution with zero padding, batch normalisation, ELU."""
    convolution = keras.layers.Conv2D(
        kernels, size, strides, padding="same", use_bias=False, name=name
    )
    return [convolution, *_normalised(name)]


def _normalised(name: str) -> list[keras.layers.Layer]:
    return [
        keras.layers.BatchNormalization(name=f"{name}_bn"),
        keras.layers.Activation("elu", name=f"{name}_elu"),
    ]
