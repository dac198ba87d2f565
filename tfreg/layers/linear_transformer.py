"""The linear transformer as a layer."""

from collections.abc import Sequence
from typing import Any

import keras

from tfreg.ops.linear import check_shape, linear_displacement
from tfreg.ops.linear_parameters import KINDS, bounded_parameters, linear_matrix, parameter_sizes
from tfreg.ops.normalised import STN_KINDS, matrix_from_normalised, stn_identity, stn_theta

FRAMES = ("voxel", "normalised")


@keras.saving.register_keras_serializable(package="tfreg")
class LinearTransformer(keras.layers.Layer):
    """Takes parameters or a matrix to the dense displacement ``u(x) = (A - I) x + b``.

    Args:
        kind: ``"translation"``, ``"rigid"``, ``"similarity"``, ``"affine"``, ``"projective"`` (2-D)
            or ``"attention"``: the input is a parameter vector. ``"matrix"``: the input is the
            matrix itself.
        shape: spatial shape of the fixed grid, 2-D or 3-D.
        frame: ``"voxel"``: parameters as in :func:`tfreg.ops.linear_parameters.linear_matrix`, zero
            is the identity. ``"normalised"``: those of a spatial transformer network, see
            :func:`tfreg.ops.normalised.stn_theta`, for an attention, affine or projective
            transform or a matrix.
        moving_shape: spatial shape of the moving image, for ``frame="normalised"`` only. None:
            ``shape``.
        bounded: keep rotation, scaling and shearing within the bounds of
            :func:`tfreg.ops.linear_parameters.bounded_parameters`; for parameters in voxels only.

    Input shape:
        ``(batch, n)``; for ``kind="matrix"`` ``(batch, ndim, ndim + 1)`` or ``(batch, 3, 3)``.

    Output shape:
        ``(batch, *shape, ndim)`` in voxels, array-axis order; float32.

    Raises:
        ValueError: at construction, on an unknown option or one without effect; when built, on a
            wrong number of parameters.

    Example:

    >>> import numpy as np
    >>> from tfreg.layers.linear_transformer import LinearTransformer
    >>> transformer = LinearTransformer("affine", shape=(28, 24))
    >>> u = transformer(np.zeros((1, 6), "float32"))
    >>> tuple(u.shape), float(abs(np.asarray(u)).max())
    ((1, 28, 24, 2), 0.0)

    Reference:
        Jaderberg et al., Spatial transformer networks, NIPS 2015; de Vos et al., Medical Image
        Analysis 52, 2019.
    """

    def __init__(
        self,
        kind: str,
        shape: Sequence[int],
        frame: str = "voxel",
        moving_shape: Sequence[int] | None = None,
        bounded: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # coordinates stay float32
        self.shape = check_shape(shape)
        ndim = len(self.shape)
        if frame not in FRAMES:
            raise ValueError(f"frame must be one of {FRAMES}. Received: frame={frame}")
        kinds = (*(KINDS if frame == "voxel" else STN_KINDS), "matrix")
        if kind not in kinds:
            raise ValueError(f"kind in this frame must be one of {kinds}. Received: kind={kind}")
        if moving_shape is not None and frame == "voxel":
            raise ValueError(
                'moving_shape has no effect with frame="voxel". '
                f"Received: moving_shape={moving_shape}"
            )
        if bounded and (frame != "voxel" or kind in ("matrix", "translation")):
            raise ValueError(
                "bounded has no effect here. "
                f"Received: bounded={bounded}, kind={kind}, frame={frame}"
            )
        self.kind = kind
        self.frame = frame
        self.moving_shape = None if moving_shape is None else check_shape(moving_shape, ndim)
        self.bounded = bounded
        self._inputs = self._input_shapes()

    def _input_shapes(self) -> tuple[tuple[int, ...], ...]:
        ndim = len(self.shape)
        if self.kind == "matrix":
            return ((2, 3), (3, 3)) if ndim == 2 else ((3, 4),)
        if self.frame == "normalised":
            return ((len(stn_identity(self.kind, ndim)),),)
        return ((sum(parameter_sizes(self.kind, ndim).values()),),)

    def build(self, input_shape: Any) -> None:
        if tuple(input_shape[1:]) not in self._inputs:
            raise ValueError(
                f"The input must be (batch, ...) with ... one of {self._inputs}. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        self.built = True

    def call(self, inputs: Any) -> Any:
        ndim = len(self.shape)
        matrix = inputs
        if self.frame == "normalised":
            theta = inputs if self.kind == "matrix" else stn_theta(inputs, self.kind, ndim)
            matrix = matrix_from_normalised(theta, self.shape, self.moving_shape)
        elif self.kind != "matrix":
            values = bounded_parameters(inputs, self.kind, ndim) if self.bounded else inputs
            matrix = linear_matrix(values, self.kind, self.shape)
        return linear_displacement(matrix, self.shape)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (input_shape[0], *self.shape, len(self.shape))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kind": self.kind,
            "shape": list(self.shape),
            "frame": self.frame,
            "moving_shape": self.moving_shape and list(self.moving_shape),
            "bounded": self.bounded,
        }
