"""The B-spline transformer as a layer."""

from collections.abc import Sequence
from typing import Any

import keras

from tfreg import ops
from tfreg.ops.bspline import BOUNDARIES, ORDERS


@keras.saving.register_keras_serializable(package="tfreg")
class BSplineTransformer(keras.layers.Layer):
    """Takes control points to a dense displacement with a B-spline.

    Args:
        spacing: voxels between control points, a positive integer per axis.
        boundary: ``"zero"`` (coefficients outside the grid are zero) or ``"edge"`` (the outermost
            are repeated, weights sum to one).
        order: order of the spline, 1 to 3.
        shape: spatial shape of the result, at most ``grid * spacing``. None: ``grid * spacing``.

    Input shape:
        ``(batch, *grid, ndim)``: displacements of the control points in voxels, array-axis order.

    Output shape:
        ``(batch, *shape, ndim)``; float32.

    Raises:
        ValueError: at construction, on an unknown option or a spacing that is not positive; when
            called, on a grid that does not fit.

    Example:

    >>> import numpy as np
    >>> from tfreg import layers
    >>> transformer = layers.BSplineTransformer(spacing=(16, 16))
    >>> tuple(transformer(np.zeros((1, 16, 16, 2), "float32")).shape)
    (1, 256, 256, 2)

    Reference:
        Rueckert et al., IEEE TMI 18(8), 1999.
    """

    def __init__(
        self,
        spacing: Sequence[int],
        boundary: str = "zero",
        order: int = 3,
        shape: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.spacing = tuple(spacing)
        if any(s < 1 or s != int(s) for s in self.spacing):
            raise ValueError(f"spacing must be positive integers. Received: {self.spacing}")
        if boundary not in BOUNDARIES:
            raise ValueError(f"boundary must be one of {BOUNDARIES}. Received: {boundary}")
        if order not in ORDERS:
            raise ValueError(f"order must be one of {ORDERS}. Received: order={order}")
        self.boundary = boundary
        self.order = order
        self.shape = None if shape is None else tuple(shape)

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, control_points: Any) -> Any:
        return ops.bspline_displacement(
            control_points, self.spacing, self.boundary, self.order, self.shape
        )

    def compute_output_shape(self, input_shape: Any) -> tuple:
        grid = input_shape[1:-1]
        dense = self.shape or (n and n * s for n, s in zip(grid, self.spacing, strict=True))
        return (input_shape[0], *dense, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "spacing": list(self.spacing),
            "boundary": self.boundary,
            "order": self.order,
            "shape": None if self.shape is None else list(self.shape),
        }
