"""A cone of rays: where an X-ray was taken from, and onto what."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfreg.errors import InputError

_IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class ConeBeam:
    """A point source before a flat detector of pixels; all lengths in mm.

    The frame of the camera is drawn in ``tfreg.geometry.pose``: source at 0, x along the columns, y
    along the rows, z to the detector. Where there are several cameras, ``rotation`` and
    ``translation`` take points of their common frame to that of each.

    Args:
        source_detector: from the source to the detector's plane.
        shape: pixels, ``(rows, columns)``.
        pixel: from one pixel to the next, along a column and along a row, or one number for both.
        principal: the pixel ``(row, column)`` opposite to the source; its centre is a whole number.
            None: the middle of the image.
        rotation: ``(3, 3)``, from the common frame to the camera's.
        translation: ``(3,)`` in mm: ``camera point = rotation @ point + translation``.

    Raises:
        InputError: on numbers that make no camera.

    Example:
        >>> from tfreg.geometry import ConeBeam
        >>> camera = ConeBeam(1000.0, (5, 7), 0.5)
        >>> camera.project([[10.0, 0.0, 500.0]]).tolist()  # 20 mm from the middle of the detector
        [[2.0, 43.0]]
    """

    source_detector: float
    shape: tuple[int, int]
    pixel: tuple[float, float] | float
    principal: tuple[float, float] | None = None
    rotation: tuple[tuple[float, ...], ...] = _IDENTITY
    translation: tuple[float, ...] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        shape, pixel = _array(self.shape), _array(self.pixel)
        if shape.shape != (2,) or shape.dtype.kind not in "iuf" or not _counts(shape):
            raise InputError(
                f"shape must be two positive integers. Received: shape={_said(self.shape)}"
            )
        middle = tuple((n - 1) / 2 for n in shape)
        values: dict[str, Any] = {
            "source_detector": self.source_detector,
            "pixel": (self.pixel,) * 2 if pixel.ndim == 0 else self.pixel,
            "principal": middle if self.principal is None else self.principal,
            "rotation": self.rotation,
            "translation": self.translation,
        }
        sizes = {"pixel": (2,), "principal": (2,), "rotation": (3, 3), "translation": (3,)}
        for name, value in values.items():
            found = _array(value)
            form = sizes.get(name, ())
            if found.shape != form or found.dtype.kind not in "iuf":
                raise InputError(
                    f"{name} must be numbers of shape {form}. Received: {name}={_said(value)}"
                )
            if not np.isfinite(found).all():
                raise InputError(f"{name} must be finite. Received: {name}={_said(value)}")
            object.__setattr__(self, name, _plain(found))
        object.__setattr__(self, "shape", tuple(int(n) for n in shape))
        if self.source_detector <= 0 or np.min(self.pixel) <= 0:
            raise InputError(
                "source_detector and pixel must be positive, in mm. "
                f"Received: source_detector={self.source_detector}, pixel={self.pixel}"
            )
        turn = np.array(self.rotation)
        if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-4) or np.linalg.det(turn) < 0:
            raise InputError(f"rotation must be a rotation. Received: rotation={self.rotation}")

    @classmethod
    def from_matrix(
        cls,
        matrix: Any,
        shape: Sequence[int],
        rotation: Any = _IDENTITY,
        translation: Any = (0.0, 0.0, 0.0),
        pixel: float = 1.0,
    ) -> "ConeBeam":
        """A camera in the form of OpenCV.

        Args:
            matrix: ``[[f_x, 0, c_x], [0, f_y, c_y], [0, 0, 1]]`` in pixels, columns before rows.
            shape: pixels, ``(rows, columns)``.
            rotation, translation: from the common frame to the camera's, in mm.
            pixel: from one column to the next, in mm. The matrix does not tell, and no ray depends
                on it; ``source_detector`` does.

        Raises:
            InputError: on another form, such as one with skew.

        Example:
            >>> ConeBeam.from_matrix([[2000, 0, 3], [0, 1000, 2], [0, 0, 1]], (5, 7)).pixel
            (2.0, 1.0)
        """
        found = _array(matrix)
        numbers = found.shape == (3, 3) and found.dtype.kind in "iuf"
        regular = numbers and np.allclose(found[2], (0, 0, 1)) and found[1, 0] == 0
        if not regular or abs(found[0, 1]) > 1e-6 or not (found[0, 0] > 0 and found[1, 1] > 0):
            raise InputError(
                "A camera matrix is [[f_x, 0, c_x], [0, f_y, c_y], [0, 0, 1]] in pixels. "
                f"Received: {_said(matrix)}"
            )
        distance = float(found[0, 0]) * pixel
        return cls(
            distance,
            (shape[0], shape[1]),
            (distance / float(found[1, 1]), pixel),
            (float(found[1, 2]), float(found[0, 2])),
            rotation,
            translation,
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ConeBeam":
        """The inverse of ``to_dict``.

        Raises:
            InputError: if a part is missing, unknown or unusable.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise InputError(f"This is not a camera: {error}. Received: {values}") from error

    def to_dict(self) -> dict[str, Any]:
        """The arguments as plain numbers and lists, for JSON."""
        return {
            name: np.asarray(getattr(self, name)).tolist() for name in self.__dataclass_fields__
        }

    @property
    def focal(self) -> np.ndarray:
        """``(2,)`` pixels, rows before columns: ``source_detector / pixel``."""
        return self.source_detector / np.array(self.pixel)

    @property
    def extrinsic(self) -> np.ndarray:
        """``(4, 4)`` from the common frame to the camera's."""
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = self.rotation, self.translation
        return matrix

    def rays(self, reference: "ConeBeam | None" = None) -> tuple[np.ndarray, np.ndarray]:
        """The source and a unit vector from it to each pixel.

        Args:
            reference: the camera in whose frame they are given. None: this one.

        Returns:
            The pair: ``(3,)`` in mm and ``(rows, columns, 3)``, float64.

        Example:
            >>> source, rays = ConeBeam(1000.0, (5, 7), 0.5).rays()
            >>> source.tolist(), rays[2, 3].tolist()
            ([0.0, 0.0, 0.0], [0.0, 0.0, 1.0])
        """
        return self.rays_at(np.moveaxis(np.indices(self.shape), 0, -1), reference)

    def rays_at(
        self, pixels: Any, reference: "ConeBeam | None" = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`rays`, to any places on the detector.

        Args:
            pixels: ``(..., 2)``, ``(row, column)``, fractions allowed.
            reference: the camera in whose frame they are given. None: this one.

        Returns:
            The pair: ``(3,)`` in mm and ``(..., 3)``, float64.
        """
        places = (np.asarray(pixels, "float64") - self.principal) / self.focal
        rays = np.concatenate([places[..., ::-1], np.ones_like(places[..., :1])], axis=-1)
        rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
        if reference is None:
            return np.zeros(3), rays
        to_reference = reference.extrinsic @ np.linalg.inv(self.extrinsic)
        return to_reference[:3, 3], rays @ to_reference[:3, :3].T

    def project(self, points: Any) -> np.ndarray:
        """Where points of the camera's frame are seen.

        Args:
            points: ``(..., 3)``, ``(x, y, z)`` in mm.

        Returns:
            ``(..., 2)``, ``(row, column)`` in pixels.

        Raises:
            InputError: on a point that is not before the source.
        """
        points = np.asarray(points, "float64")
        if points.shape[-1:] != (3,):
            raise InputError(f"points must be (..., 3). Received: shape={points.shape}")
        if not (points[..., 2] > 0).all():
            raise InputError(
                "Every point must lie before the source, at z > 0 mm. "
                f"Received: z={points[..., 2].min():g}"
            )
        return points[..., 1::-1] / points[..., 2:] * self.focal + self.principal

    def binned(self, factor: int) -> "ConeBeam":
        """The camera of an image made smaller by ``tfreg.ops.downsample``.

        Args:
            factor: pixels along each axis that become one.

        Example:
            >>> ConeBeam(1000.0, (6, 8), 0.5).binned(2).principal
            (1.0, 1.5)
        """
        principal = (np.array(self.principal) + 0.5) / factor - 0.5
        return replace(
            self,
            shape=tuple(-(-n // factor) for n in self.shape),
            pixel=tuple(factor * step for step in np.array(self.pixel)),
            principal=tuple(principal),
        )

    def cropped(self, first: Sequence[int], shape: Sequence[int]) -> "ConeBeam":
        """The camera of a part of the image.

        Args:
            first: the pixel ``(row, column)`` that becomes (0, 0).
            shape: of the part.
        """
        principal = np.array(self.principal) - np.array(first)
        return replace(self, shape=tuple(shape), principal=tuple(principal))


def meeting(cameras: Sequence[ConeBeam], pixels: Any = None) -> np.ndarray:
    """The point that is nearest to one ray of each of several cameras.

    Args:
        cameras: two or more, whose rays are not all parallel.
        pixels: ``(cameras, 2)``, ``(row, column)`` that each ray goes through, such as those in
            which a bone is seen. None: the middle of each image.

    Returns:
        ``(3,)`` in mm, in the frame of the first.

    Raises:
        InputError: if the rays are parallel, or on another number of pixels.

    Example:
        >>> side = ((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
        >>> other = ConeBeam(1000.0, (5, 5), 1.0, None, side, (800.0, 0.0, 700.0))
        >>> (meeting([ConeBeam(1000.0, (5, 5), 1.0), other]).round(6) + 0.0).tolist()
        [0.0, 0.0, 800.0]
    """
    middles = [(np.array(camera.shape) - 1) / 2 for camera in cameras]
    places = np.asarray(middles if pixels is None else pixels, "float64")
    if places.shape != (len(cameras), 2):
        raise InputError(
            f"pixels must be (row, column) of each camera. Received: shape={places.shape}"
        )
    matrix, right = np.zeros((3, 3)), np.zeros(3)
    for camera, place in zip(cameras, places, strict=True):
        source, ray = camera.rays_at(place, cameras[0])
        across = np.eye(3) - np.outer(ray, ray)
        matrix, right = matrix + across, right + across @ source
    if np.linalg.cond(matrix) > 1e6:
        raise InputError("The rays of the cameras are parallel: they meet nowhere.")
    return np.linalg.solve(matrix, right)


def _array(values: Any) -> np.ndarray:
    """Values as an array; of dtype object where their rows differ in length."""
    try:
        return np.asarray(values)
    except ValueError:
        return np.array(None)


def _counts(shape: np.ndarray) -> bool:
    """Whether all are positive whole numbers."""
    return bool((shape == np.rint(shape)).all() and (shape >= 1).all())


def _said(values: Any) -> Any:
    """Values as a message has them, in one line."""
    return values.tolist() if isinstance(values, np.ndarray) else values


def _plain(values: np.ndarray) -> Any:
    """Nested tuples of floats."""
    if values.ndim == 0:
        return float(values)
    return tuple(_plain(part) for part in values)
