"""Finding the pose of a volume in an X-ray with a network: the base of such models of the zoo."""

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from tfreg import ops
from tfreg.errors import InputError
from tfreg.geometry import ConeBeam, frame_of
from tfreg.image import Image
from tfreg.metrics import corners_of, projected_tre
from tfreg.models.base import Model
from tfreg.registration.images import as_image
from tfreg.registration.projection.views import line_integrals

REFINEMENTS = (None, "gauss-newton")


@dataclass(frozen=True, eq=False)
class Pose:
    """Where a volume stood when an X-ray was taken.

    Attributes:
        pose: ``(6,)`` float64: three translations in mm, three rotations in degrees, as
            ``tfreg.geometry.pose`` has them.
        steps: ``(n, 6)`` the poses on the way, the initial one first and ``pose`` last.
        seconds: time of the whole call; the first for a shape includes compilation.
        image: ``(rows, columns)`` float32, what the camera would see of the volume at ``pose``.
        volume: that was registered.
    """

    pose: np.ndarray
    steps: np.ndarray
    seconds: float
    image: np.ndarray
    volume: Image

    def error(self, true: Any, targets: np.ndarray | None = None) -> np.ndarray:
        """mTREproj of each of ``steps``, in mm, see :func:`tfreg.metrics.projected_tre`.

        Args:
            true: ``(6,)`` the true pose.
            targets: ``(n, 3)`` in LPS mm. None: the corners of the volume.

        Returns:
            ``(n,)`` float64.
        """
        geometry = self.volume.geometry
        points = corners_of(geometry) if targets is None else targets
        found = [projected_tre(pose, true, points, geometry.centre) for pose in self.steps]
        return np.array(found)


class PoseModel(Model):
    """A network that finds a pose: the base of every model of the zoo that does.

    A subclass defines ``pose``, and ``answer`` where what it answers says more than a pose.

    Args:
        attenuates: the volume holds attenuation, as that of an implant does, not HU.
        kwargs: of :class:`tfreg.models.base.Model`, ``intensity_range`` of the volume among them.

    Of a network that goes in steps ``options`` name ``iterations`` (3) and ``refine``, which are
    checked here: ``"gauss-newton"`` goes on with a descent through the projector, beside which
    ``iterations`` may be 0.

    Attributes:
        rigid: whether the pose is what it finds, not a deformation.
    """

    task: ClassVar[str] = "pose"
    metric: ClassVar[str] = "mtre"
    answer: ClassVar[type[Pose]] = Pose
    rigid: ClassVar[bool] = True

    def __init__(self, ndim: int = 3, attenuates: bool = False, **kwargs: Any) -> None:
        super().__init__(ndim, **kwargs)
        self.attenuates = attenuates

    def check_options(self, options: dict[str, Any]) -> None:
        iterations, refine = options.get("iterations", 3), options.get("refine")
        if refine not in REFINEMENTS:
            raise InputError(f"refine must be one of {REFINEMENTS}. Received: refine={refine!r}")
        if not isinstance(iterations, int) or iterations < (refine is None):
            raise InputError(
                "iterations must be 1 or more, or 0 beside refine. "
                f"Received: iterations={iterations}"
            )

    def pose(
        self, volume: Image, xray: np.ndarray, camera: ConeBeam, initial: np.ndarray, **options: Any
    ) -> np.ndarray | tuple[np.ndarray, dict[str, Any]]:
        """The poses on the way, ``(n, 6)``, without the initial one, of checked images.

        With them, in a dictionary, what else ``answer`` says, among it a ``volume`` in the place of
        the one that was registered.

        Args:
            volume: in physical space, cut off at ``intensity_range``.
            xray: ``(rows, columns)`` float32.
            camera: how the X-ray was taken.
            initial: ``(6,)`` float64, the pose to start from.
            options: of this network.
        """
        raise NotImplementedError

    def beside(self, *others: "PoseModel") -> "PoseModel":
        """This model and others of the same object, each for other poses, as one.

        Raises:
            InputError: of a network that knows no others.
        """
        raise InputError(
            f"{type(self).__name__} finds poses alone. Received: {len(others)} models beside it"
        )

    def attenuation(self, voxels: np.ndarray) -> np.ndarray:
        """What X-rays lose per mm in voxels of the volume."""
        if self.attenuates:
            return voxels
        return keras.ops.convert_to_numpy(ops.attenuation(voxels))

    def register(
        self,
        volume: Image,
        xray: Any,
        camera: ConeBeam,
        initial: Any,
        exposure: bool = False,
        **options: Any,
    ) -> Pose:
        """Finds the pose of a volume in an X-ray.

        Args:
            volume: 3-D, in physical space.
            xray: ``(rows, columns)``, of any real dtype and intensity range.
            camera: how it was taken, of the shape of the X-ray.
            initial: the pose to start from: three translations in mm, three rotations in degrees.
            exposure: the X-ray holds what reached the detector, dark behind bone; else it must be
                bright behind bone.
            options: of this network, see its ``options``.

        Raises:
            InputError: on a volume without a place in space or in other units, an X-ray of another
                shape, or values that are not finite.
        """
        begin = time.perf_counter()
        self.check_arguments(options)
        if not isinstance(volume, Image) or volume.geometry.ndim != 3:
            kind = f"{volume.geometry.ndim}-D" if isinstance(volume, Image) else type(volume)
            raise InputError(f"volume must be a 3-D tfreg.Image. Received: {kind}")
        voxels = as_image(volume.array, 3, "volume")
        low, high = float(voxels.min()), float(voxels.max())
        if (low < 0) == self.attenuates:
            units = "attenuation, never below 0" if self.attenuates else "HU, in which air is -1000"
            raise InputError(f"This network takes {units}. Received: {low:g} to {high:g}")
        if np.ndim(xray) != 2:
            raise InputError(
                f"xray must be one image (rows, columns). Received: shape={np.shape(xray)}"
            )
        picture = line_integrals(xray, 1, exposure)[0]
        if not isinstance(camera, ConeBeam):
            raise InputError(f"camera must be a ConeBeam. Received: {type(camera).__name__}")
        if camera.shape != picture.shape:
            raise InputError(
                "The X-ray and its camera must have the same rows and columns. "
                f"Received: {picture.shape} and {camera.shape}"
            )
        start = np.asarray(initial)
        if start.shape != (6,) or start.dtype.kind not in "iuf" or not np.isfinite(start).all():
            said = start.tolist()
            raise InputError(f"initial must be 6 finite numbers. Received: initial={said}")
        seen = Image(self.clipped(voxels)[0, ..., 0], volume.geometry)
        if not self.built:
            self.build()
        start = start.astype("float64")
        found = self.pose(seen, picture, camera, start, **options)
        way, more = found if isinstance(found, tuple) else (found, {})
        steps = np.concatenate([start[None], np.asarray(way, "float64")])
        more = {"volume": volume, **more}
        image = self._image(more["volume"], camera, steps[-1])
        seconds = time.perf_counter() - begin
        return self.answer(pose=steps[-1], steps=steps, seconds=seconds, image=image, **more)

    def _image(self, volume: Image, camera: ConeBeam, pose: np.ndarray) -> np.ndarray:
        source, rays = camera.rays()
        frame = frame_of(volume.geometry)
        parts = [part.astype("float32") for part in (pose[None], frame, source, rays[None])]
        shown = self.clipped(np.asarray(volume.array, "float32"))
        voxels = self.attenuation(shown).astype("float32")[None, ..., None]
        image = ops.project(voxels, *ops.pose_rays(*parts))
        return keras.ops.convert_to_numpy(image)[0, ..., 0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "attenuates": self.attenuates}
