"""Finding the pose of a volume in an X-ray with a network: the base of such models of the zoo."""

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tfreg.errors import InputError
from tfreg.image import Image
from tfreg.models.base import Model
from tfreg.registration.images import as_image


@dataclass(frozen=True, eq=False)
class Pose:
    """Where a volume stood when an X-ray was taken.

    Attributes:
        pose: ``(6,)`` float64: three translations in mm, three rotations in degrees.
        seconds: time of the whole call; the first for a shape includes compilation.
    """

    pose: np.ndarray
    seconds: float


class PoseModel(Model):
    """A network that finds a pose: the base of every model of the zoo that does.

    A subclass defines ``pose``.

    Args:
        kwargs: of :class:`tfreg.models.base.Model`, ``intensity_range`` of the volume among them.
    """

    task: ClassVar[str] = "pose"
    metric: ClassVar[str] = "mtre"

    def __init__(self, ndim: int = 3, **kwargs: Any) -> None:
        super().__init__(ndim, **kwargs)

    def pose(
        self, volume: Image, xray: np.ndarray, camera: Any, initial: np.ndarray, **options: Any
    ) -> np.ndarray:
        """The pose ``(6,)`` of checked images.

        Args:
            volume: in physical space, cut off at ``intensity_range``.
            xray: ``(rows, columns)`` float32.
            camera: how the X-ray was taken.
            initial: ``(6,)`` float64, the pose to start from.
            options: of this network.
        """
        raise NotImplementedError

    def register(self, volume: Image, xray: Any, camera: Any, initial: Any, **options: Any) -> Pose:
        """Finds the pose of a volume in an X-ray.

        Args:
            volume: 3-D, in physical space.
            xray: ``(rows, columns)``, of any real dtype and intensity range.
            camera: how it was taken.
            initial: the pose to start from: three translations in mm, three rotations in degrees.
            options: of this network, see its ``options``.

        Raises:
            InputError: on a volume without a place in space, an X-ray of another shape, or values
                that are not finite.
        """
        begin = time.perf_counter()
        self.check_arguments(options)
        if not isinstance(volume, Image) or volume.geometry.ndim != 3:
            kind = f"{volume.geometry.ndim}-D" if isinstance(volume, Image) else type(volume)
            raise InputError(f"volume must be a 3-D tfreg.Image. Received: {kind}")
        voxels = as_image(volume.array, 3, "volume")
        if np.ndim(xray) != 2:
            raise InputError(
                f"xray must be one image (rows, columns). Received: shape={np.shape(xray)}"
            )
        picture = as_image(xray, 2, "xray")[0, ..., 0]
        start = np.asarray(initial)
        if start.shape != (6,) or start.dtype.kind not in "iuf" or not np.isfinite(start).all():
            raise InputError(f"initial must be 6 finite numbers. Received: initial={initial}")
        seen = Image(self.clipped(voxels)[0, ..., 0], volume.geometry)
        if not self.built:
            self.build()
        found = self.pose(seen, picture, camera, start.astype("float64"), **options)
        return Pose(np.asarray(found, "float64"), time.perf_counter() - begin)
