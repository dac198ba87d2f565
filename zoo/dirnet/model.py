"""DIRNet: end-to-end unsupervised deformable image registration with a ConvNet.

Reference:
    B. D. de Vos, F. F. Berendsen, M. A. Viergever, M. Staring and I. Isgum, DLMIA 2017, LNCS 10553,
    pp. 204-212, doi:10.1007/978-3-319-67558-9_24.

The file follows the paper's section 2: the ConvNet regressor, the spatial transformer, the
resampler (in the base class) and the loss. What the paper leaves open is listed in README.md.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops as keras_ops

from tfreg.errors import InputError
from tfreg.layers import BSplineTransformer
from tfreg.registration import RegistrationModel


@keras.saving.register_keras_serializable(package="tfreg")
class DIRNet(RegistrationModel):
    """The baseline (BL) of the paper, for 2-D images of any size that its grid divides.

    Args:
        poolings: number of 2x2 average poolings after the first 3x3 convolutions; the control
            points are ``2 ** poolings`` pixels apart. 4 for the cardiac images, 2 for MNIST.
        kernels: kernels per convolution, 16 in the paper.
        convolutions: number of 3x3 convolutions, 6 in the paper.
        boundary: the spline outside its grid, see ``tfreg.ops.bspline_displacement``.

    Input shape:
        ``{"fixed", "moving"}``, each ``(batch, height, width, 1)``, intensities in [0, 1].

    Output shape:
        ``{"parameters", "displacement", "moved"}``: control points
        ``(batch, height / spacing, width / spacing, 2)``, displacement
        ``(batch, height, width, 2)``, both in pixels, and the moved image.

    Raises:
        ValueError: on fewer convolutions than poolings.

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
        kernels: int = 16,
        convolutions: int = 6,
        boundary: str = "zero",
        **kwargs: Any,
    ) -> None:
        super().__init__(ndim=2, **kwargs)
        if not 0 <= poolings <= convolutions:
            raise ValueError(
                "poolings must lie between 0 and the number of convolutions. "
                f"Received: poolings={poolings}, convolutions={convolutions}"
            )
        self.poolings = poolings
        self.kernels = kernels
        self.convolutions = convolutions
        self.boundary = boundary

        # Section 2.1, the ConvNet regressor. "Batch normalization and exponential linear units are
        # used throughout the network except in the final layer"; a normalised layer has no bias.
        regressor = []
        for index in range(convolutions):
            regressor += _convolution(kernels, 3, f"conv3x3_{index + 1}")
            if index < poolings:
                regressor.append(keras.layers.AveragePooling2D(2, name=f"pool_{index + 1}"))
        for index in range(2):
            regressor += _convolution(kernels, 1, f"conv1x1_{index + 1}")
        regressor.append(keras.layers.Conv2D(2, 1, name="control_points"))
        self.regressor = regressor

        # Section 2.2, the spatial transformer: a cubic B-spline on exactly the regressor's grid.
        self.spacing = 2**poolings
        self.transformer = BSplineTransformer((self.spacing, self.spacing), boundary)

    def build(self, input_shape: Any = None) -> None:
        shape = (None, None, None, 2)
        for layer in self.regressor:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def parameters(self, fixed: Any, moving: Any, training: bool | None = None) -> Any:
        """Control points ``(batch, height / spacing, width / spacing, 2)`` in pixels."""
        features = keras_ops.concatenate([moving, fixed], axis=-1)
        for layer in self.regressor:
            if isinstance(layer, keras.layers.BatchNormalization):
                features = layer(features, training=training)
            else:
                features = layer(features)
        return features

    def displacement(self, parameters: Any) -> Any:
        return self.transformer(parameters)

    def check_size(self, size: Sequence[int]) -> None:
        if any(n % self.spacing or n < self.spacing for n in size):
            raise InputError(
                f"Image sizes must be multiples of {self.spacing} pixels for this network. "
                f"Received: size={tuple(size)}"
            )

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "poolings": self.poolings,
            "kernels": self.kernels,
            "convolutions": self.convolutions,
            "boundary": self.boundary,
            "refine_learning_rate": self.refine_learning_rate,
            "refine_folding_weight": self.refine_folding_weight,
        }


def _convolution(kernels: int, size: int, name: str) -> list[keras.layers.Layer]:
    """Convolution with zero padding, batch normalisation, ELU."""
    return [
        keras.layers.Conv2D(kernels, size, padding="same", use_bias=False, name=name),
        keras.layers.BatchNormalization(name=f"{name}_bn"),
        keras.layers.Activation("elu", name=f"{name}_elu"),
    ]
