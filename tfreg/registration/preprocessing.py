"""What a preset of the zoo says of the images that it was trained on."""

import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.registration.images import PERCENTILES, percentiles_of, range_of, without_outliers

COVERS = ("trained size", "field of view")
_RATIO = 1.5  # of a field of view or a voxel to the trained one, from which it is worth a warning
_SHARE = 0.05  # of the range of intensities: less, and a few voxels leave no contrast to the rest


@dataclass(frozen=True)
class Preprocessing:
    """The images that a network was trained on, and how others are made like them.

    Attributes:
        size: voxels per axis, array order.
        spacing: of the voxels in mm, array order; ``None`` where the training images stated none.
        intensity_range: the intensities that the network sees as 0 and 1, what is outside being cut
            off; ``None``: the darkest and the brightest voxel of each image that is no outlier.
        percentiles: what is further beyond them than they are apart is an outlier, where there is
            no ``intensity_range``; 0 and 100: nothing is.
        proportions: the sides of a voxel relative to each other, array order, which say its shape
            where its spacing is unknown; ``None``: cubes.
        covers: what the grid of the network covers: ``"trained size"``, as many voxels as it was
            trained on, or ``"field of view"``, all of the fixed image, of a network that takes
            images of any size and whose spacing is known.

    Raises:
        InputError: on a value that cannot be, or on proportions beside a spacing.

    Example:

    >>> from tfreg.registration import Preprocessing
    >>> Preprocessing((64, 64, 64), (2.5, 2.5, 2.5), (-1000, 400)).voxel_size
    (2.5, 2.5, 2.5)
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...] | None = None
    intensity_range: tuple[float, float] | None = None
    percentiles: tuple[float, float] = PERCENTILES
    proportions: tuple[float, ...] | None = None
    covers: str = "trained size"

    def __post_init__(self) -> None:
        size = self.size
        if not _all(size, lambda n: isinstance(n, numbers.Integral) and n > 0):
            raise InputError(f"size must be 2 or 3 positive integers. Received: size={size}")
        object.__setattr__(self, "size", tuple(map(int, size)))
        object.__setattr__(
            self, "intensity_range", range_of("intensity_range", self.intensity_range)
        )
        object.__setattr__(self, "percentiles", percentiles_of(self.percentiles))
        if self.covers not in COVERS or (self.covers != COVERS[0] and self.spacing is None):
            raise InputError(
                f"covers must be one of {COVERS}, the latter with a spacing. "
                f"Received: covers={self.covers!r}"
            )
        for name in ("spacing", "proportions"):
            values = getattr(self, name)
            if values is None:
                continue
            if not _all(values, _is_positive) or len(values) != len(self.size):
                raise InputError(
                    f"{name} must be {len(self.size)} positive numbers. Received: {name}={values}"
                )
            object.__setattr__(self, name, tuple(map(float, values)))
        if self.spacing is not None and self.proportions is not None:
            raise InputError(
                "proportions have no effect beside a spacing. "
                f"Received: proportions={self.proportions}, spacing={self.spacing}"
            )

    @property
    def voxel_size(self) -> tuple[float, ...] | None:
        """The sides of a voxel, in mm or relative to each other; ``None``: cubes."""
        return self.proportions if self.spacing is None else self.spacing

    @property
    def centred(self) -> bool:
        """Whether a mask of the fixed image says what the grid of the network is about."""
        return self.spacing is not None and self.covers == COVERS[0]

    def grid(self, geometry: Geometry, centre: np.ndarray | None = None) -> Geometry:
        """The grid of the network over a fixed image.

        Voxels of the trained spacing; where that is unknown, of the trained shape, so large that
        the image's field of view just fits the trained size.

        Args:
            geometry: of the fixed image.
            centre: of the grid, LPS mm; that of the image where absent.

        Raises:
            InputError: if the number of axes differs.
        """
        if geometry.ndim != len(self.size):
            raise InputError(
                f"The network registers {len(self.size)}-D images. Received: {geometry.ndim}-D"
            )
        size = self.size[::-1]
        if self.covers == COVERS[1]:
            spacing = self.spacing[::-1]
            sides = zip(geometry.extent, spacing, strict=True)
            size = tuple(max(2, round(extent / step)) for extent, step in sides)
        elif self.spacing is None:
            sides = (self.proportions or (1.0,) * len(size))[::-1]
            voxels = zip(geometry.extent, size, sides, strict=True)
            fits = max(extent / (n * side) for extent, n, side in voxels)
            spacing = tuple(fits * side for side in sides)
        else:
            spacing = self.spacing[::-1]
        if centre is None and size == geometry.size and np.allclose(spacing, geometry.spacing):
            return geometry  # nothing is to be resampled
        grid = geometry.resampled(spacing=spacing, size=size)
        if centre is None:
            return grid
        origin = np.array(grid.origin) + centre - grid.centre
        return Geometry(size, spacing, tuple(origin), geometry.direction)

    def warnings(self, name: str, image: np.ndarray, geometry: Geometry) -> tuple[str, ...]:
        """What of an image is unlike the training images.

        Args:
            name: what to call the image.
            image: its voxels, finite.
            geometry: its geometry.

        Returns:
            A line for each finding.
        """
        found = []
        extent, spacing = np.array(geometry.extent[::-1]), np.array(geometry.spacing[::-1])
        if self.spacing is None:
            if name == "fixed":
                found.append(
                    "the preset states no voxel size: the field of view of the fixed image, "
                    f"{_mm(extent)}, is fitted to its {_by(self.size)} voxels"
                )
        else:
            trained = np.array(self.spacing)
            if _unlike(spacing, trained):
                found.append(
                    f"{name} has voxels of {_mm(spacing)}, the preset was trained on {_mm(trained)}"
                )
            trained = trained * self.size
            if self.covers == COVERS[0] and _unlike(extent, trained):
                found.append(
                    f"{name} shows {_mm(extent)}, the preset was trained on {_mm(trained)}: what "
                    "lies beyond follows its border"
                )
        return (*found, *self._contrast(name, image))

    def array_warnings(self, name: str, image: np.ndarray) -> tuple[str, ...]:
        """What of an image without a place in space is unlike the training images.

        Args:
            name: what to call the image.
            image: its voxels, finite.

        Returns:
            A line for each finding.
        """
        found = ()
        bound = self.covers == COVERS[0] and len(image.shape) == len(self.size)
        if bound and _unlike(np.array(image.shape), self.size):
            found = (
                f"{name} has {_by(image.shape)} voxels, the preset was trained on {_by(self.size)}",
            )
        return (*found, *self._contrast(name, image))

    def _contrast(self, name: str, image: np.ndarray) -> list[str]:
        """What of its intensities is."""
        found = []
        if self.intensity_range is None:
            image = without_outliers(image, self.percentiles)
        low, high = (float(v) for v in np.percentile(image, (1, 99)))
        if self.intensity_range is not None:
            start, end = self.intensity_range
            middle = (start + end) / 2
            if low > middle or high < middle:
                found.append(
                    f"98 % of the voxels of {name} lie within {low:.4g} and {high:.4g}, the preset "
                    f"was trained on {start:g} to {end:g}: are they in other units?"
                )
        extent_of_values = float(image.max()) - float(image.min())
        if (
            self.intensity_range is None
            and extent_of_values > 0
            and high - low < _SHARE * extent_of_values
        ):
            found.append(
                f"98 % of the voxels of {name} lie within {high - low:.3g} of a range of "
                f"{extent_of_values:.3g}: scaled to [0, 1], little contrast is left; clip it first"
            )
        return found


def _all(values: Any, holds: Any) -> bool:
    return isinstance(values, (list, tuple)) and len(values) in (2, 3) and all(map(holds, values))


def _is_positive(value: Any) -> bool:
    return isinstance(value, numbers.Real) and bool(np.isfinite(value)) and value > 0


def _unlike(values: np.ndarray, trained: np.ndarray) -> bool:
    ratio = values / trained
    return bool((ratio > _RATIO).any() or (ratio < 1 / _RATIO).any())


def _by(size: Any) -> str:
    return " x ".join(f"{n:g}" for n in size)


def _mm(lengths: np.ndarray) -> str:
    return " x ".join(f"{length:.4g}" for length in lengths) + " mm"
