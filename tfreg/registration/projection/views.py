"""What a registration to X-rays looks at: images, cameras and the volume, at one resolution."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from keras import ops as keras_ops

from tfreg import ops
from tfreg.errors import InputError
from tfreg.geometry import ConeBeam, frame_of, matrix_of
from tfreg.image import Image
from tfreg.metrics import corners_of
from tfreg.registration.images import as_image

_SURROUNDINGS = 25.0  # mm about the volume at the start that belong to the region looked at
_STEP = 64  # pixels by which its sides grow: each size is compiled, and there are few so


@dataclass(frozen=True, eq=False)
class View:
    """One X-ray, or one for each pose, and its camera.

    Attributes:
        camera: of the region.
        xray: ``(1 or batch, rows, columns)`` float32: line integrals, bright where much was in the
            way.
        mask: of the same rows and columns, float32.
        reference: the camera in whose frame poses are.
    """

    camera: ConeBeam
    xray: np.ndarray
    mask: np.ndarray
    reference: ConeBeam

    def at(self, factor: int) -> "View":
        """The same at a lower resolution; a pixel counts where all that it is made of does."""
        if factor == 1:
            return self
        small = _binned(self.xray, factor)
        whole = _binned(self.mask, factor) > 0.999
        return View(self.camera.binned(factor), small, whole.astype("float32"), self.reference)

    @property
    def rays(self) -> tuple[np.ndarray, np.ndarray]:
        """Source and rays as :func:`tfreg.ops.pose_rays` takes them, float32."""
        source, rays = self.camera.rays(self.reference)
        return source.astype("float32"), rays[None].astype("float32")


@dataclass(frozen=True, eq=False)
class Scene:
    """A volume before its cameras.

    Attributes:
        volume: attenuation, ``(1, z, y, x, 1)`` float32.
        frame: ``(3, 4)``, of :func:`tfreg.geometry.frame_of`.
        spacing: of its voxels in mm, z, y, x.
        views: of each camera.
    """

    volume: np.ndarray
    frame: np.ndarray
    spacing: tuple[float, ...]
    views: tuple[View, ...]

    def at(self, factor: int, distance: float) -> "Scene":
        """The same at a lower resolution, voxels about as wide as pixels.

        Args:
            factor: pixels that become one, along each axis.
            distance: from the source of the first camera to the volume's centre, in mm.
        """
        pixel = factor * distance / self.views[0].camera.focal.max()  # in mm at the volume
        voxels = [max(1, round(pixel / step)) for step in self.spacing]
        scale = np.array(voxels, float)
        frame = self.frame / scale[:, None]
        frame[:, 3] = (self.frame[:, 3] + 0.5) / scale - 0.5
        small = np.asarray(keras_ops.convert_to_numpy(ops.downsample(self.volume, voxels)))
        spacing = tuple((scale * self.spacing).tolist())
        return Scene(small, frame, spacing, tuple(view.at(factor) for view in self.views))

    def repeated(self, times: int) -> "Scene":
        """The same for so many poses in the place of each."""
        views = [
            replace(view, xray=np.repeat(view.xray, times, axis=0)) if len(view.xray) > 1 else view
            for view in self.views
        ]
        return replace(self, views=tuple(views))

    def tensors(self) -> list[np.ndarray]:
        """All that the compiled descent takes, in its order."""
        parts = [self.volume, self.frame.astype("float32")]
        for view in self.views:
            parts += [view.xray, view.mask, *view.rays]
        return parts


def line_integrals(image: Any, batch: int, exposure: bool) -> np.ndarray:
    """An X-ray as ``(1 or batch, rows, columns)`` float32, bright behind bone.

    Args:
        image: ``(rows, columns)``, or as many as ``batch``.
        batch: number of poses.
        exposure: it holds what reached the detector, of which this is the negative logarithm.

    Raises:
        InputError: on another number of images, or values that are no exposure.
    """
    picture = as_image(image, 2, "xray")[..., 0]
    if len(picture) not in (1, batch):
        raise InputError(
            "There must be one X-ray for all initial poses, or one for each. "
            f"Received: {len(picture)} images, {batch} poses"
        )
    if not exposure:
        return picture
    if picture.min() < 0:
        raise InputError(f"What reached a detector is not negative. Received: {picture.min():g}")
    most = picture.max()
    if most == 0:
        return picture  # which is refused as empty
    # Nothing at all counts as the least that was measured, of at most 16 bits.
    least = np.maximum(picture[picture > 0].min(), most / 65536)
    return -np.log(np.maximum(picture, least) / most)


def scene_of(
    volume: Image,
    xrays: Sequence[np.ndarray],
    cameras: Sequence[ConeBeam],
    masks: Sequence[np.ndarray | None],
    poses: np.ndarray,
    attenuates: bool,
) -> Scene:
    """Checks that images, cameras and the start fit together, and cuts out what is looked at.

    Args:
        volume: in HU, or attenuation.
        xrays: ``(1 or batch, rows, columns)`` each.
        cameras: one for each.
        masks: ``(rows, columns)`` or ``None``, one for each.
        poses: ``(batch, 6)`` at the start.
        attenuates: whether the volume holds attenuation, not HU.

    Raises:
        InputError: if they do not fit.
    """
    views = []
    for number, (xray, camera, mask) in enumerate(zip(xrays, cameras, masks, strict=True)):
        name = "The X-ray" if len(xrays) == 1 else f"X-ray {number + 1}"
        if xray.shape[1:] != camera.shape:
            raise InputError(
                f"{name} and its camera must have the same rows and columns. "
                f"Received: {xray.shape[1:]} and {camera.shape}"
            )
        whole = np.ones(camera.shape, bool) if mask is None else np.asarray(mask) != 0
        if whole.shape != camera.shape:
            raise InputError(
                f"The mask of {name} must be of its rows and columns, {camera.shape}. "
                f"Received: {whole.shape}"
            )
        first, last = _region(volume, camera, cameras[0], poses, name)
        part = np.s_[first[0] : last[0], first[1] : last[1]]
        seen, counted = xray[(slice(None), *part)], whole[part][None].astype("float32")
        if (seen.max(axis=(1, 2)) <= seen.min(axis=(1, 2))).any():
            raise InputError(
                f"{name} is empty: all its pixels about the volume are {seen.flat[0]:g}."
            )
        if not counted.any():
            raise InputError(f"The mask of {name} is empty about the volume at the initial pose.")
        cut = camera.cropped(first, tuple(np.subtract(last, first)))
        views.append(View(cut, seen, counted, cameras[0]))
    voxels = as_image(volume.array, 3, "volume")
    low, high = float(voxels.min()), float(voxels.max())
    if attenuates and low < 0:
        raise InputError(
            "A volume of attenuation holds nothing below 0; one in HU is registered without "
            f"attenuates. Received: {low:g}"
        )
    if not attenuates and low >= 0:
        raise InputError(
            "A CT in HU has values below 0, air -1000; of attenuation, such as a segmented bone "
            f"or an implant, state attenuates (--attenuation). Received: {low:g} to {high:g}"
        )
    if not attenuates:
        voxels = np.asarray(keras_ops.convert_to_numpy(ops.attenuation(voxels)))
    if not voxels.any():
        raise InputError("The volume is empty: it attenuates nothing.")
    grid = volume.geometry
    return Scene(voxels, frame_of(grid), tuple(grid.spacing[::-1]), tuple(views))


def usual_levels(volume: Image, camera: ConeBeam, distance: float) -> tuple[int, int, int]:
    """The levels of a registration, of which the last is as fine as the volume.

    Its pixels are about as wide as a voxel at the volume, and never less than one of the image's;
    those of the levels before are four and two times as wide.

    Args:
        volume: that is registered.
        camera: that sees it.
        distance: from the source to the volume's centre, in mm.

    Example:

    >>> import numpy as np
    >>> from tfreg import Image, geometry
    >>> from tfreg.registration.projection.views import usual_levels
    >>> volume = Image(np.zeros((9, 9, 9)), geometry.Geometry.of_shape((9, 9, 9), 2.0))
    >>> usual_levels(volume, geometry.ConeBeam(1000.0, (900, 900), 0.5), 800.0)
    (20, 10, 5)
    """
    voxel = np.prod(volume.geometry.spacing) ** (1 / 3)
    finest = max(1, int(voxel * camera.focal.min() / distance + 1e-6))
    return 4 * finest, 2 * finest, finest


def _region(
    volume: Image, camera: ConeBeam, reference: ConeBeam, poses: np.ndarray, name: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """First pixel and the one after the last of where the volume is seen, and its surroundings.

    A square, but for the ends of the image.
    """
    corners = corners_of(volume.geometry)
    relative = camera.extrinsic @ np.linalg.inv(reference.extrinsic)
    places, room = [], 0.0
    for pose in poses:
        matrix = relative @ matrix_of(pose, volume.geometry.centre)
        points = corners @ matrix[:3, :3].T + matrix[:3, 3]
        if points[:, 2].min() <= 0:
            raise InputError(
                f"At the initial pose the volume reaches behind the source of {name}: t_z is the "
                "distance in mm from the source to the volume's centre. "
                f"Received: pose={pose.round(3).tolist()}"
            )
        places.append(camera.project(points))
        room = max(room, _SURROUNDINGS * camera.focal.max() / points[:, 2].min())
    all_places, whole = np.concatenate(places), np.array(camera.shape)
    low = np.floor(all_places.min(axis=0) - room)
    high = np.ceil(all_places.max(axis=0) + room) + 1
    if (np.minimum(high, whole) - np.maximum(low, 0) < 8).any():
        raise InputError(
            f"At the initial pose the volume is not seen in {name}: are all lengths in mm? "
            f"Received: pose={poses[0].round(3).tolist()}, image of {camera.shape} pixels"
        )
    shape = np.minimum(_STEP * np.ceil((high - low).max() / _STEP), whole).astype(int)
    first = np.clip(np.round((low + high - shape) / 2), 0, whole - shape).astype(int)
    return tuple(first.tolist()), tuple((first + shape).tolist())


def _binned(images: Any, factor: int) -> np.ndarray:
    small = ops.downsample(images[..., None], (factor, factor))
    return np.asarray(keras_ops.convert_to_numpy(small))[..., 0]
