"""Implementations of projection through a volume, each to be timed in a process of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfreg.geometry import ConeBeam, Geometry, frame_of


@dataclass(frozen=True)
class Case:
    """A volume and a camera.

    Attributes:
        name: of the row's group.
        shape, spacing: of the volume, z, y, x; mm.
        pixels: along each side of the image.
        data: of :func:`tfreg.data.radiographs.volume`; None: noise.
    """

    name: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    pixels: int
    data: str | None = None

    @property
    def camera(self) -> ConeBeam:
        """Which sees the whole volume at :attr:`pose`."""
        extent = float(np.linalg.norm(np.multiply(self.shape, self.spacing)))
        return ConeBeam(1000.0, (self.pixels,) * 2, 1.25 * extent / self.pixels)

    @property
    def pose(self) -> np.ndarray:
        """``(6,)``, off every axis of the volume."""
        return np.array([3.0, -2.0, 800.0, 7.0, 11.0, -13.0])

    def volume(self, seed: int) -> np.ndarray:
        """Attenuation ``(z, y, x)`` float32."""
        if self.data is None:
            noise = np.random.default_rng(seed).random(self.shape)
            return (0.02 * noise).astype("float32")
        from tfreg.data import radiographs

        hounsfield = radiographs.volume(self.data).array.astype("float32")
        return np.maximum(0.02 * (1 + hounsfield / 1000), 0).astype("float32")


class Ours:
    """tfreg's projector: forward, with its gradient by the pose, and image and Jacobian in one.

    Args:
        method: ``"joseph"`` or ``"siddon"``.
    """

    def __init__(self, method: str) -> None:
        self.method = method

    def prepare(self, case: Case, seed: int) -> dict[str, Callable[[], Any]]:
        """Functions that run once each, by the metric that their time is."""
        import keras

        from tfreg import ops

        source, rays = case.camera.rays()
        frame = frame_of(Geometry.of_shape(case.shape, case.spacing))
        parts = (case.volume(seed)[None, ..., None], case.pose[None], frame, source, rays[None])
        tensors = [keras.ops.convert_to_tensor(np.asarray(part, "float32")) for part in parts]
        volume, pose, *camera = tensors

        def image(at: Any) -> Any:
            return ops.project(volume, *ops.pose_rays(at, *camera), self.method)

        def total(at: Any) -> Any:
            return keras.ops.sum(image(at), axis=(1, 2, 3))

        forward = ops.compiled(image)
        both = ops.compiled(lambda at: ops.value_and_gradient(total, at)[1])
        found: dict[str, Callable[[], Any]] = {
            "seconds": lambda: keras.ops.convert_to_numpy(forward(pose)),
            "seconds_gradient": lambda: keras.ops.convert_to_numpy(both(pose)),
        }
        if self.method == "joseph":
            found["seconds_jacobian"] = lambda: [
                keras.ops.convert_to_numpy(part)
                for part in ops.project_jacobian(volume, pose, *camera)
            ]
        return found


METHODS: dict[str, Callable[[], Any]] = {
    "joseph": lambda: Ours("joseph"),
    "siddon": lambda: Ours("siddon"),
}
