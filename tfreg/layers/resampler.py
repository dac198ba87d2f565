"""The resampler as a layer."""

from typing import Any

import keras

from tfreg import ops
from tfreg.ops.interpolation import INTERPOLATIONS
from tfreg.ops.resample import MODES


@keras.saving.register_keras_serializable(package="tfreg")
class Resampler(keras.layers.Layer):
    """Warps an image by a displacement: ``moved(x) = image(x + u(x))``.

    Args:
        interpolation: ``"nearest"``, ``"linear"``, ``"cubic"`` or ``"catmull-rom"``, see
            :func:`tfreg.ops.resample`.
        mode: outside the image, ``"border"`` repeats the nearest voxel, ``"constant"`` gives
            ``fill_value``.
        fill_value: value outside the image when ``mode="constant"``.

    Input shape:
        A list ``[image, displacement]`` of shapes ``(batch, *spatial, channels)`` and
        ``(batch, *output_spatial, ndim)``, the displacement in voxels, array-axis order.

    Output shape:
        ``(batch, *output_spatial, channels)``.

    Raises:
        ValueError: at construction, on an unknown option.

    Example:

    >>> import numpy as np
    >>> from tfreg import layers
    >>> image = np.ones((1, 8, 6, 1), "float32")
    >>> tuple(layers.Resampler()([image, np.zeros((1, 8, 6, 2), "float32")]).shape)
    (1, 8, 6, 1)

    Reference:
        Jaderberg et al., Spatial transformer networks, NIPS 2015.
    """

    def __init__(
        self,
        interpolation: str = "linear",
        mode: str = "border",
        fill_value: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # coordinates stay float32
        if interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"interpolation must be one of {INTERPOLATIONS}. Received: {interpolation}"
            )
        if mode not in MODES:
            raise ValueError(f"mode must be one of {MODES}. Received: {mode}")
        if mode == "border" and fill_value != 0.0:
            raise ValueError(
                f'fill_value has no effect with mode="border". Received: fill_value={fill_value}'
            )
        self.interpolation = interpolation
        self.mode = mode
        self.fill_value = fill_value

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, inputs: list[Any]) -> Any:
        image, displacement = inputs
        return ops.resample(image, displacement, self.interpolation, self.mode, self.fill_value)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        image, displacement = input_shape
        return (*displacement[:-1], image[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "interpolation": self.interpolation,
            "mode": self.mode,
            "fill_value": self.fill_value,
        }
