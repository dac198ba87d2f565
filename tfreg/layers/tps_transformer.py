"""The thin-plate spline transformer as a layer."""

from collections.abc import Sequence
from typing import Any

import keras

from tfreg.ops.linear import check_shape
from tfreg.ops.tps import check_regularisation
from tfreg.ops.tps_layout import PLACEMENTS, control_point_grid, tps_layout_displacement


@keras.saving.register_keras_serializable(package="tfreg")
class TPSTransformer(keras.layers.Layer):
    """Takes a regular grid of control points to a dense displacement with a thin-plate spline.

    Every control point acts on the whole image, unlike those of a B-spline.

    Args:
        shape: spatial shape of the fixed grid, 2-D or 3-D.
        placement: ``"cells"``: control points in the middle of equal blocks (DIRNet's variant B2).
            ``"corners"``: the outermost on the corner voxels (spatial transformer networks). See
            :func:`tfreg.ops.tps_layout.control_point_grid`.
        regularisation: at 0 the displacement passes through the control points; above, it is
            smoother; see :func:`tfreg.ops.tps.tps_coefficients`.

    Input shape:
        ``(batch, *grid, ndim)``: displacements of the control points in voxels, array-axis order.

    Output shape:
        ``(batch, *shape, ndim)`` in voxels; float32.

    Raises:
        ValueError: at construction, on an unknown or negative option; when built, on a grid that
            does not fit.

    Example:

    >>> import numpy as np
    >>> from tfreg.layers.tps_transformer import TPSTransformer
    >>> transformer = TPSTransformer(shape=(64, 48))
    >>> tuple(transformer(np.zeros((1, 4, 4, 2), "float32")).shape)
    (1, 64, 48, 2)

    Reference:
        Bookstein, IEEE TPAMI 11(6), 1989.
    """

    def __init__(
        self,
        shape: Sequence[int],
        placement: str = "cells",
        regularisation: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # coordinates stay float32
        self.shape = check_shape(shape)
        if placement not in PLACEMENTS:
            raise ValueError(
                f"placement must be one of {PLACEMENTS}. Received: placement={placement}"
            )
        self.placement = placement
        self.regularisation = check_regularisation(regularisation)

    def build(self, input_shape: Any) -> None:
        if input_shape[-1] != len(self.shape):
            raise ValueError(
                f"The input must be (batch, *grid, {len(self.shape)}). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        self.control_points = control_point_grid(self.shape, input_shape[1:-1], self.placement)
        self.built = True

    def call(self, values: Any) -> Any:
        return tps_layout_displacement(values, self.control_points, self.shape, self.regularisation)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (input_shape[0], *self.shape, len(self.shape))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "shape": list(self.shape),
            "placement": self.placement,
            "regularisation": self.regularisation,
        }
