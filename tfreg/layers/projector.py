"""The projector as a layer."""

from typing import Any

import keras
import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.geometry import ConeBeam, Geometry, frame_of
from tfreg.ops.projection import METHODS


@keras.saving.register_keras_serializable(package="tfreg")
class Projector(keras.layers.Layer):
    """The X-ray image of a volume at a pose: ``I(p) = integral mu(L(p, r)) dr``.

    Args:
        camera: a :class:`tfreg.geometry.ConeBeam`, or its ``to_dict()``.
        geometry: of the volume, a :class:`tfreg.geometry.Geometry`, or its ``to_dict()``.
        method: ``"joseph"`` or ``"siddon"``, see :func:`tfreg.ops.project`.

    Input shape:
        A list ``[volume, pose]`` of shapes ``(batch or 1, z, y, x, 1)``, attenuation per mm, and
        ``(batch, 6)``, mm and degrees as ``tfreg.geometry.pose`` has them.

    Output shape:
        ``(batch, rows, columns, 1)``.

    Raises:
        InputError: at construction, on what is no camera or no geometry.
        ValueError: at construction, on an unknown method.

    Example:

    >>> import numpy as np
    >>> from tfreg import layers
    >>> from tfreg.geometry import ConeBeam, Geometry
    >>> layer = layers.Projector(ConeBeam(1000.0, (5, 6), 2.0), Geometry.of_shape((8, 8, 8)))
    >>> volume = np.ones((1, 8, 8, 8, 1), "float32")
    >>> tuple(layer([volume, np.array([[0, 0, 800, 0, 0, 0]], "float32")]).shape)
    (1, 5, 6, 1)
    """

    def __init__(
        self,
        camera: ConeBeam | dict[str, Any],
        geometry: Geometry | dict[str, Any],
        method: str = "joseph",
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # coordinates stay float32
        if method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}. Received: method={method}")
        self.camera = ConeBeam.from_dict(camera) if isinstance(camera, dict) else camera
        self.geometry = Geometry.from_dict(geometry) if isinstance(geometry, dict) else geometry
        self.method = method
        source, rays = self.camera.rays()
        self._source, self._rays = source.astype("float32"), rays[None].astype("float32")
        self._frame = np.asarray(frame_of(self.geometry), "float32")

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, inputs: list[Any]) -> Any:
        volume, pose = inputs
        source, direction = ops.pose_rays(pose, self._frame, self._source, self._rays)
        return ops.project(keras_ops.convert_to_tensor(volume), source, direction, self.method)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (input_shape[1][0], *self.camera.shape, 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "camera": self.camera.to_dict(),
            "geometry": self.geometry.to_dict(),
            "method": self.method,
        }
