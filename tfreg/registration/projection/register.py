"""The pose of a volume in X-ray images, without a network."""

import functools
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfreg.errors import InputError, InputWarning
from tfreg.geometry import ConeBeam, matrix_of
from tfreg.image import Image
from tfreg.ops.backend import compiled
from tfreg.ops.pose import ray_components
from tfreg.ops.projection import image_and_columns
from tfreg.ops.rays import Voxels, joseph, with_margin
from tfreg.registration.projection.correlation import (
    SIMILARITIES,
    features,
    inner,
    normal_equations,
    standardised,
)
from tfreg.registration.projection.marquardt import marquardt
from tfreg.registration.projection.views import (
    Scene,
    line_integrals,
    scene_of,
    usual_levels,
)

_STEPS, _TOLERANCE = 30, 1e-5
_APART = 15.0  # degrees that further tries are turned out of the plane
_DARK = -0.1  # similarity at the start below which an X-ray is likely a negative


@dataclass(frozen=True, eq=False)
class ProjectionRegistration:
    """Where a volume was found.

    Attributes:
        pose: ``(6,)``, or ``(batch, 6)``, float64: mm and degrees, see ``tfreg.geometry.pose``.
        similarity_before, similarity_after: at the finest resolution, of each pose.
        renderings: images of the volume that were made for each pose, at any resolution, in all
            tries.
        seconds: time of the whole call; the first of a size includes compilation.
        xrays, before, after: of each camera the region that was looked at, and the volume's image
            at the first initial pose and at its answer, ``(rows, columns)``.
        centre: of the volume, about which poses turn, in LPS mm.
    """

    pose: np.ndarray
    similarity_before: np.ndarray
    similarity_after: np.ndarray
    renderings: np.ndarray
    seconds: float
    xrays: tuple[np.ndarray, ...]
    before: tuple[np.ndarray, ...]
    after: tuple[np.ndarray, ...]
    centre: np.ndarray

    @property
    def matrix(self) -> np.ndarray:
        """Points of the volume, LPS mm, to the frame of the first camera: ``(4, 4)`` per pose."""
        if self.pose.ndim == 1:
            return matrix_of(self.pose, self.centre)
        return np.stack([matrix_of(pose, self.centre) for pose in self.pose])


def register_projection(
    volume: Image,
    xray: Any,
    camera: ConeBeam | Sequence[ConeBeam],
    initial: Any,
    similarity: str = "gc",
    mask: Any = None,
    levels: Sequence[int] | None = None,
    steps: int = _STEPS,
    attenuates: bool = False,
    exposure: bool = False,
    tries: int = 1,
) -> ProjectionRegistration:
    """Finds the pose of a volume in one X-ray, or in several taken at once.

    Levenberg and Marquardt's descent on the difference of normalised images, coarse to fine; image
    and derivatives come from one pass through the volume, and each level is one compiled loop.

    Args:
        volume: 3-D, in physical space, in HU.
        xray: ``(rows, columns)``, or ``(batch, rows, columns)`` with a pose each; a list of such
            for several cameras.
        camera: how it was taken; a list for several, all from one common frame.
        initial: ``(6,)`` or ``(batch, 6)``: the pose to start from, in the frame of the first
            camera, see ``tfreg.geometry.pose``. Poses of a batch look at one region, at one
            resolution.
        similarity: ``"gc"``: correlation of gradient images. ``"ncc"``: of the images.
        mask: ``(rows, columns)``, not 0 where pixels count; a list for several cameras.
        levels: pixels that become one along each axis, at each level, from coarse to fine. None: of
            :func:`tfreg.registration.projection.views.usual_levels`.
        steps: the most steps at each level.
        attenuates: the volume holds attenuation, such as a segmented bone or an implant, not HU.
        exposure: the X-ray holds what reached the detector, dark behind bone: its negative
            logarithm is registered. Else it must be bright behind bone.
        tries: descents for each pose, all at once: from the initial one, and from others turned
            out of the plane by 15 degrees, evenly about it; with 5, either way by t_alpha and by
            t_beta. The answer is the most similar of all.

    Raises:
        InputError: on images that do not fit their cameras or are empty, a volume that is not
            before the source, not seen or in other units, or unusable settings.

    Warns:
        InputWarning: where the X-ray looks like a negative.

    Example:

    >>> import numpy as np
    >>> from tfreg import Image, geometry
    >>> from tfreg.registration import register_projection
    >>> z, y, x = np.indices((20, 20, 20)) - 9.5
    >>> shape = ((x / 8) ** 2 + (y / 5) ** 2 + (z / 4) ** 2 < 1).astype("float32")
    >>> volume = Image(shape, geometry.Geometry.of_shape(shape.shape, 2.0))
    >>> camera = geometry.ConeBeam(1000.0, (48, 48), 2.0)
    >>> image = register_projection(  # what it looks like
    ...     volume, np.eye(48), camera, (3, -2, 800, 5, 0, 0), steps=0, attenuates=True, levels=[1]
    ... ).before[0]
    >>> image.shape
    (48, 48)
    """
    begin = time.perf_counter()
    several = isinstance(camera, (list, tuple))
    cameras = list(camera) if several else [camera]
    images = list(xray) if several else [xray]
    masks = list(mask) if several and mask is not None else [mask] * len(cameras)
    _check(cameras, images, masks, similarity, levels, steps, tries)
    if not isinstance(volume, Image) or volume.geometry.ndim != 3:
        raise InputError(f"volume must be a 3-D tfreg.Image. Received: {type(volume).__name__}")
    start = np.asarray(initial)
    formed = start.shape[-1:] == (6,) and start.ndim <= 2 and start.size > 0
    if not formed or start.dtype.kind not in "iuf":
        raise InputError(f"initial must be (6,) or (batch, 6). Received: shape={start.shape}")
    poses = np.atleast_2d(start).astype("float64")
    if not np.isfinite(poses).all():
        raise InputError(f"initial must be finite. Received: {poses.tolist()}")
    pictures = [line_integrals(image, len(poses), exposure) for image in images]
    whole = scene_of(volume, pictures, cameras, masks, poses, attenuates)
    if levels is None:
        levels = usual_levels(volume, cameras[0], float(poses[:, 2].mean()))
    found, before, after, renderings = _best_of(whole, poses, similarity, levels, steps, tries)
    if not exposure and (before < _DARK).all():
        warnings.warn(
            "The X-ray is dark where the volume is at the start (similarity "
            f"{float(before.min()):.2f}): if it holds what reached the detector, state exposure "
            "(--exposure).",
            InputWarning,
            stacklevel=2,
        )
    shown = [_shown(whole, pose) for pose in (poses[:1], found[:1])]
    one = start.ndim == 1
    return ProjectionRegistration(
        found[0] if one else found,
        *((part[0] if one else part) for part in (before, after, renderings)),
        seconds=time.perf_counter() - begin,
        xrays=tuple(view.xray[0] for view in whole.views),
        before=shown[0],
        after=shown[1],
        centre=volume.geometry.centre,
    )


def _best_of(
    whole: Scene,
    poses: np.ndarray,
    similarity: str,
    levels: Sequence[int],
    steps: int,
    tries: int,
) -> tuple[np.ndarray, ...]:
    """:func:`_descend` from every pose and from others about it, of which the best one counts."""
    if tries == 1:
        return _descend(whole, poses, similarity, levels, steps)
    around = np.linspace(0, 2 * np.pi, tries - 1, endpoint=False)
    offsets = np.zeros((tries, 6))
    offsets[1:, 4:] = _APART * np.stack([np.cos(around), np.sin(around)], axis=1)
    starts = (poses[:, None] + offsets).reshape(-1, 6)
    found, before, after, renderings = (
        part.reshape(len(poses), tries, *part.shape[1:])
        for part in _descend(whole.repeated(tries), starts, similarity, levels, steps)
    )
    first, best = np.arange(len(poses)), after.argmax(axis=1)
    return found[first, best], before[:, 0], after[first, best], renderings.sum(axis=1)


def _descend(
    whole: Scene, poses: np.ndarray, similarity: str, levels: Sequence[int], steps: int
) -> tuple[np.ndarray, ...]:
    """From level to level; where the finest one finds the start better, that is the answer."""
    descent = _descent(len(whole.views), similarity, keras.config.backend())
    found = poses.astype("float32")
    renderings = np.zeros(len(poses), int)
    scene, value = whole, np.zeros(len(poses))
    for factor in levels:
        scene = whole.at(factor, float(poses[:, 2].min()))  # as the nearest of a batch needs it
        data = scene.tensors()
        found, value, first, taken = (
            keras.ops.convert_to_numpy(part)
            for part in descent(np.int32(steps), np.float32(_TOLERANCE), found, *data)
        )
        renderings = renderings + taken
    start = poses.astype("float32")
    if len(levels) > 1:
        first = keras.ops.convert_to_numpy(
            descent(np.int32(0), np.float32(_TOLERANCE), start, *scene.tensors())[2]
        )
        renderings = renderings + 1
    worse = ~(value < first)
    found, value = np.where(worse[:, None], start, found), np.where(worse, first, value)
    return found.astype("float64"), 1 - first, 1 - value, renderings


@functools.cache
def _descent(views: int, similarity: str, backend: str) -> Callable:
    """The compiled descent for as many cameras."""

    def prepare(volume: Any, frame: Any, *parts: Any) -> tuple:
        prepared = []
        for k in range(views):
            xray, mask, source, rays = parts[4 * k : 4 * k + 4]
            weights = inner(mask, similarity)
            xray = xray / keras.ops.max(keras.ops.abs(xray))  # whatever its units are
            target = [standardised(part, weights)[0] for part in features(xray, similarity)]
            prepared.append((target, weights, source, rays))
        return with_margin(volume), frame, prepared

    def normal(pose: Any, voxels: Voxels, frame: Any, prepared: list) -> tuple[Any, Any, Any]:
        value, matrix, gradient = 0.0, 0.0, 0.0
        for target, weights, source, rays in prepared:
            image, columns = image_and_columns(voxels, pose, frame, source, rays)
            shape = tuple(rays.shape[1:-1])
            found = normal_equations(
                keras.ops.reshape(image, (-1, *shape)),
                keras.ops.reshape(columns, (-1, 6, *shape)),
                target,
                weights,
                similarity,
            )
            value, matrix, gradient = (
                total + part / views
                for total, part in zip((value, matrix, gradient), found, strict=True)
            )
        # Rays are whole lines: a volume behind the source has an image as well, mirrored.
        value = keras.ops.where(pose[:, 2] > 0, value, float("inf"))
        return value, matrix, gradient

    return marquardt(normal, prepare)


def _shown(scene: Scene, pose: np.ndarray) -> tuple[np.ndarray, ...]:
    """What the cameras see of the volume at one pose."""
    found = []
    for view in scene.views:
        image = _image(keras.config.backend())(
            scene.volume, pose.astype("float32"), scene.frame.astype("float32"), *view.rays
        )
        found.append(keras.ops.convert_to_numpy(image).reshape(view.camera.shape))
    return tuple(found)


@functools.cache
def _image(backend: str) -> Callable:
    def image(volume: Any, *rest: Any) -> Any:
        return joseph(with_margin(volume), *ray_components(*rest))

    return compiled(image)


def _check(
    cameras: list[Any],
    images: list[Any],
    masks: list[Any],
    similarity: str,
    levels: Sequence[int] | None,
    steps: int,
    tries: int,
) -> None:
    if not cameras or not all(isinstance(camera, ConeBeam) for camera in cameras):
        names = [type(camera).__name__ for camera in cameras]
        raise InputError(f"camera must be a ConeBeam, or a list of such. Received: {names}")
    if not len(cameras) == len(images) == len(masks):
        raise InputError(
            "There must be one X-ray, and one mask or none, for each camera. "
            f"Received: {len(images)} X-rays, {len(cameras)} cameras, {len(masks)} masks"
        )
    if similarity not in SIMILARITIES:
        raise InputError(f"similarity must be one of {SIMILARITIES}. Received: {similarity!r}")
    given = [1] if levels is None else list(levels)
    whole = [isinstance(n, (int, np.integer)) and n > 0 for n in given]
    if not whole or not all(whole) or sorted(given, reverse=True) != given:
        raise InputError(
            f"levels must be positive integers, from coarse to fine. Received: levels={given}"
        )
    if not isinstance(steps, (int, np.integer)) or steps < 0:
        raise InputError(f"steps must be an integer, 0 or more. Received: steps={steps}")
    if not isinstance(tries, (int, np.integer)) or tries < 1:
        raise InputError(f"tries must be a positive integer. Received: tries={tries}")
