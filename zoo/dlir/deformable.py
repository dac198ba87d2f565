"""The ConvNet of DLIR for deformable registration: DIRNet's, in 2-D or 3-D.

Reference:
    B. D. de Vos et al., A deep learning framework for unsupervised affine and deformable image
    registration, Medical Image Analysis 52, 2019, doi:10.1016/j.media.2018.11.010.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops as keras_ops

from tfreg import ops
from tfreg.losses import bspline_bending_energy
from zoo.dlir.blocks import Convolution

BOUNDARY = "edge"


@keras.saving.register_keras_serializable(package="tfreg")
class DeformableConvNet(keras.layers.Layer):
    """Two images of one size to the control points of a cubic B-spline.

    Convolution and average pooling alternate until the features are as far apart as the control
    points; two more convolutions widen what each control point sees, two 1x1 convolutions follow,
    and the output, which starts at zero: the identity.

    Args:
        spacing: voxels between control points per axis, powers of two; they may differ.
        kernels: kernels per convolution: one number, or one for each, of which the last one is
            that of all further ones. Behind a pooling they cost a fraction.
        wider: number of convolutions after the last pooling.

    Input shape:
        Two tensors ``(batch, *spatial, 1)``, intensities in [0, 1].

    Output shape:
        ``(batch, *grid, ndim)`` in voxels, ``grid = ceil(spatial / spacing)``.

    Raises:
        ValueError: on a spacing that is no power of two, on other than two or three of them, on a
            number that is not positive, or on more numbers of kernels than convolutions.

    Example:

    >>> import numpy as np
    >>> from zoo.dlir.deformable import DeformableConvNet
    >>> network = DeformableConvNet(spacing=(2, 8, 8))
    >>> image = np.zeros((1, 6, 32, 24, 1), "float32")
    >>> tuple(network(image, image).shape)
    (1, 3, 4, 3, 3)
    """

    def __init__(
        self,
        spacing: Sequence[int],
        kernels: int | Sequence[int] = 16,
        wider: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.spacing = tuple(int(s) for s in spacing)
        pairs = zip(self.spacing, spacing, strict=True)
        if len(self.spacing) not in (2, 3) or any(s < 1 or s & (s - 1) or s != t for s, t in pairs):
            raise ValueError(
                f"spacing must be two or three powers of two. Received: spacing={tuple(spacing)}"
            )
        counts = [kernels] if isinstance(kernels, int) else list(kernels)
        if min(counts, default=0) < 1 or wider < 0:
            raise ValueError(
                "kernels must be positive and wider not negative. "
                f"Received: kernels={kernels}, wider={wider}"
            )
        self.ndim = ndim = len(self.spacing)
        self.kernels = kernels
        self.wider = wider
        poolings = max(self.spacing).bit_length() - 1
        number = poolings + wider + 2
        if len(counts) > number:
            raise ValueError(
                f"kernels must be {number} numbers at most, one per convolution. "
                f"Received: kernels={kernels}"
            )
        counts += counts[-1:] * (number - len(counts))
        self.convolutions = [
            # An axis with closer control points leaves the later poolings out.
            Convolution(
                ndim,
                counts[k],
                3,
                [2 if s >> (k + 1) else 1 for s in self.spacing],
                name=f"conv_{k + 1}",
            )
            for k in range(poolings)
        ]
        self.convolutions += [
            Convolution(ndim, counts[k], 3, name=f"conv_{k + 1}")
            for k in range(poolings, poolings + wider)
        ]
        self.convolutions += [
            Convolution(ndim, counts[poolings + wider + k], 1, name=f"conv1_{k + 1}")
            for k in range(2)
        ]
        layer = keras.layers.Conv2D if ndim == 2 else keras.layers.Conv3D
        self.outputs = layer(ndim, 1, kernel_initializer="zeros", name="control_points")

    def build(self, *shapes: Any) -> None:
        shape = (None,) * (self.ndim + 1) + (2,)
        for layer in (*self.convolutions, self.outputs):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def call(self, fixed: Any, moved: Any, training: bool | None = None) -> Any:
        features = keras_ops.concatenate([moved, fixed], axis=-1)
        for convolution in self.convolutions:
            features = convolution(features, training=training)
        cells = self.outputs(features)
        return cells * keras_ops.convert_to_tensor(self.spacing, cells.dtype)

    def grid(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Number of control points per axis of images of this shape."""
        return tuple(math.ceil(n / s) for n, s in zip(shape, self.spacing, strict=True))

    def displacement(self, control_points: Any, shape: Sequence[int]) -> Any:
        """The dense displacement ``(batch, *shape, ndim)`` in voxels."""
        return ops.bspline_displacement(control_points, self.spacing, BOUNDARY, shape=tuple(shape))

    def bending_energy(self, control_points: Any) -> Any:
        """``P`` of eq. (1), of displacement and place in cells of the grid; ``(batch,)``."""
        cells = control_points / keras_ops.convert_to_tensor(self.spacing, control_points.dtype)
        return bspline_bending_energy(cells, (1,) * self.ndim, BOUNDARY)

    @property
    def step(self) -> int:
        """Voxels between control points where they are furthest apart."""
        return max(self.spacing)

    @property
    def halo(self) -> tuple[int, ...]:
        """Voxels about a control point's cell that it sees, rounded up to whole cells, per axis."""
        reach = []
        for axis, spacing in enumerate(self.spacing):
            distance, step = 0, 1
            for convolution in self.convolutions:
                size = convolution.convolution.kernel_size[axis]
                distance += (size // 2) * step
                if convolution.pooling is not None:
                    step *= convolution.pooling.pool_size[axis]
            reach.append(math.ceil(distance / spacing) * spacing)
        return tuple(reach)
