"""An image in physical space: voxels and where they are."""

import itertools
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfreg.errors import InputError, InputWarning
from tfreg.geometry import Geometry
from tfreg.masked import refuse_masked

_ORDERS = {"nearest": 0, "linear": 1, "cubic": 3}
_EXACT = 1 << 53  # up to here float64 holds every integer


@dataclass(frozen=True, eq=False)
class Image:
    """Voxels and where they are.

    Args:
        array: ``(*spatial,)`` in z, y, x order, real numbers of any dtype; one channel.
        geometry: of the same shape.

    Raises:
        InputError: if the two differ in shape, or the array does not hold real numbers.

    Example:
        >>> image = Image(np.eye(3), Geometry.of_shape((3, 3), 2.0))
        >>> image.centre_of_mass().tolist()
        [2.0, 2.0]
    """

    array: np.ndarray
    geometry: Geometry

    def __post_init__(self):
        refuse_masked(self.array, "array")
        array = np.asarray(self.array)
        if array.dtype.kind not in "buif":
            raise InputError(f"An image holds real numbers. Received: dtype={array.dtype}")
        if array.shape != self.geometry.shape:
            raise InputError(
                "An array and its geometry must have the same shape. "
                f"Received: array.shape={array.shape}, geometry.shape={self.geometry.shape}"
            )
        object.__setattr__(self, "array", array)

    def __repr__(self) -> str:
        return f"Image({self.array.dtype}, {self.geometry})"

    def to_sitk(self) -> Any:
        """The same as a ``SimpleITK.Image``; booleans as uint8, half precision as float32."""
        import SimpleITK as sitk

        dtype = {"?": "uint8", "e": "float32", "g": "float64"}.get(self.array.dtype.char)
        array = self.array.astype(dtype or self.array.dtype.newbyteorder("="), copy=False)
        image = sitk.GetImageFromArray(array, isVector=False)
        _place(image, self.geometry)
        return image

    @classmethod
    def from_sitk(cls, image: Any) -> "Image":
        """The same as a ``SimpleITK.Image`` of one real channel, in 2-D or 3-D.

        Raises:
            InputError: if it has several channels, complex voxels or a fourth axis.
        """
        import SimpleITK as sitk

        if image.GetDimension() == 4:
            raise InputError(
                f"One frame is needed, not a series of {image.GetSize()[3]}. "
                f"Received: size={image.GetSize()}"
            )
        if image.GetNumberOfComponentsPerPixel() != 1:
            raise InputError(
                "A grey image of one channel is needed. "
                f"Received: {image.GetNumberOfComponentsPerPixel()} channels"
            )
        return cls(sitk.GetArrayFromImage(image), geometry_of(image))

    def resample(
        self, geometry: Geometry, interpolation: str = "linear", fill: float | None = None
    ) -> "Image":
        """The image on another grid, point by point of physical space.

        Nothing is smoothed: a much coarser grid takes single voxels.

        Args:
            geometry: of the result.
            interpolation: "nearest" (labels; the dtype stays), "linear" or "cubic" (B-spline);
                the latter two give float32, or float64 where the image is.
            fill: the value outside the image, which ends half a voxel beyond its outer voxel
                centres. None continues the image from its border: a point outside takes the value
                of the nearest point between the outer voxel centres, along each axis.

        Raises:
            InputError: if the interpolation is unknown, the dimensions differ, or the dtype cannot
                hold ``fill``.
        """
        if interpolation not in _ORDERS:
            raise InputError(
                f"interpolation must be one of {', '.join(_ORDERS)}. Received: {interpolation!r}"
            )
        if geometry.ndim != self.geometry.ndim:
            raise InputError(
                f"A {self.geometry.ndim}-D image needs a {self.geometry.ndim}-D grid. "
                f"Received: {geometry.ndim}-D"
            )
        image = self
        if interpolation != "nearest" and self.array.dtype != np.float64:
            image = Image(self.array.astype("float32", copy=False), self.geometry)
        if geometry == self.geometry:
            return image
        if interpolation == "nearest" and _beyond_float64(self.array):
            return self._resample_ranks(geometry, fill)
        if fill is not None and not _holds(image.array.dtype, fill):
            raise InputError(f"fill must be a value of {image.array.dtype}. Received: {fill}")
        array = _resample(image, geometry, interpolation, 0.0 if fill is None else fill)
        if fill is None:
            _continue_from_border(array, geometry, image, _ORDERS[interpolation])
        return Image(array, geometry)

    def _resample_ranks(self, geometry: Geometry, fill: float | None) -> "Image":
        """The nearest voxels of ids that float64, in which ITK works, does not tell apart."""
        if fill is not None and not _holds(self.array.dtype, fill):
            raise InputError(f"fill must be a value of {self.array.dtype}. Received: {fill}")
        ids, ranks = np.unique(self.array, return_inverse=True)
        ranks = Image(ranks.reshape(self.array.shape).astype("uint32"), self.geometry)
        found = ranks.resample(geometry, "nearest", None if fill is None else len(ids))
        ids = np.append(ids, self.array.dtype.type(0 if fill is None else fill))
        return Image(ids[found.array], geometry)

    def as_stored(self, dtype: Any) -> "Image":
        """The image in the dtype of a file: for integers rounded, and kept within their range.

        Args:
            dtype: of real numbers. Those that are not integers leave the image as it is.

        Warns:
            InputWarning: with the number of voxels that were beyond the range by more than the
                rounding of the image's own dtype.

        Example:
            >>> image = Image(np.array([[0.6, 7.0]]), Geometry.of_shape((1, 2)))
            >>> image.as_stored("uint8").array.tolist()
            [[1, 7]]
        """
        dtype = np.dtype(dtype)
        if dtype.kind not in "iu" or self.array.dtype == dtype:
            return self
        limits = np.iinfo(dtype)
        array = np.rint(self.array) if self.array.dtype.kind == "f" else self.array
        low, high = (_nearest(array.dtype, end) for end in (limits.min, limits.max))
        beyond = int(((array < low) | (array > high)).sum())
        if beyond:
            warnings.warn(
                f"{beyond} of {array.size} voxels are beyond {dtype} and take its ends, "
                f"{limits.min} and {limits.max}. Received: {array.min():g} to {array.max():g}",
                InputWarning,
                stacklevel=2,
            )
        bottom, top = array <= low, array >= high
        array = np.where(bottom | top, 0, array).astype(dtype)  # the ends themselves may round up
        array[bottom], array[top] = max(limits.min, int(low)), min(limits.max, int(high))
        return Image(array, self.geometry)

    def centre_of_mass(self) -> np.ndarray:
        """The mean point, weighted by the intensity above the lowest one.

        Returns:
            ``(ndim,)`` LPS mm; the middle of the grid where all voxels are equal.

        Raises:
            InputError: if a voxel is not finite.
        """
        weights = self.array.astype("float64")
        weights -= weights.min()
        total = weights.sum()
        if not np.isfinite(total):
            raise InputError("An image with NaN or infinite voxels has no centre of mass.")
        if total == 0:
            return self.geometry.centre
        axes = range(weights.ndim)
        profiles = (weights.sum(axis=tuple(a for a in axes if a != axis)) for axis in axes)
        mean = [np.arange(len(profile)) @ profile / total for profile in profiles]
        return self.geometry.to_physical(mean)


def geometry_of(image: Any) -> Geometry:
    """The geometry of a ``SimpleITK.Image``."""
    rows = np.reshape(image.GetDirection(), (image.GetDimension(),) * 2).tolist()
    return Geometry(image.GetSize(), image.GetSpacing(), image.GetOrigin(), rows)


def _place(image: Any, geometry: Geometry) -> None:
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection([value for row in geometry.direction for value in row])


def _resample(image: Image, geometry: Geometry, interpolation: str, fill: float) -> np.ndarray:
    """:func:`_resample_sitk`, also where ITK reads memory that is not the image's.

    Its B-spline (ITK 5.4) mirrors an index once, which leads out of an axis of two voxels. Four,
    mirrored already, are the same spline.
    """
    short = [int(n == 2) for n in image.geometry.shape]
    if interpolation != "cubic" or not any(short):
        return _resample_sitk(image, geometry, interpolation, fill)
    grid = image.geometry
    size = [n + 2 * more for n, more in zip(grid.size, short[::-1], strict=True)]
    origin = grid.to_physical(-np.array([short], "float64"))[0]
    wider = Geometry(tuple(size), grid.spacing, tuple(origin.tolist()), grid.direction)
    mirrored = np.pad(image.array, [(more, more) for more in short], "reflect")
    array = _resample_sitk(Image(mirrored, wider), geometry, interpolation, fill)
    there = Image(np.ones(grid.shape, "uint8"), grid)
    array[_resample_sitk(there, geometry, "nearest", 0) == 0] = fill
    return array


def _resample_sitk(image: Image, geometry: Geometry, interpolation: str, fill: float) -> np.ndarray:
    import SimpleITK as sitk

    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(geometry.size)
    resampler.SetOutputSpacing(geometry.spacing)
    resampler.SetOutputOrigin(geometry.origin)
    resampler.SetOutputDirection([value for row in geometry.direction for value in row])
    resampler.SetInterpolator(
        {"nearest": sitk.sitkNearestNeighbor, "linear": sitk.sitkLinear, "cubic": sitk.sitkBSpline}[
            interpolation
        ]
    )
    resampler.SetDefaultPixelValue(float(fill))
    return sitk.GetArrayFromImage(resampler.Execute(image.to_sitk()))


def _continue_from_border(array: np.ndarray, geometry: Geometry, image: Image, order: int) -> None:
    """Overwrites the voxels of ``array`` that lie outside the image, a slab at a time."""
    from scipy import ndimage

    last = np.array(image.geometry.shape, dtype="float64")[:, None] - 1
    corners = np.array(list(itertools.product(*((0, n - 1) for n in geometry.shape))))
    found = image.geometry.to_index(geometry.to_physical(corners)).T
    # Within the outer half voxel ITK's linear and nearest already continue the image, to rounding.
    margin = 1e-6 if order == 3 else 0.5 - 1e-6
    if ((found >= -margin) & (found <= last + margin)).all():
        return
    coefficients = image.array
    if order == 3:  # ITK's spline mirrors the image at its outer voxel centres, and so do we
        coefficients = ndimage.spline_filter(image.array, 3, np.float64, "mirror")
    rest = np.moveaxis(np.indices(geometry.shape[1:], "float64"), 0, -1)
    for position, slab in enumerate(array):
        index = np.insert(rest, 0, position, axis=-1).reshape(-1, geometry.ndim)
        points = image.geometry.to_index(geometry.to_physical(index)).T
        outside = ((points < -margin) | (points > last + margin)).any(axis=0)
        clamped = np.clip(points[:, outside], 0, last)
        slab.reshape(-1)[outside] = ndimage.map_coordinates(
            coefficients, clamped, order=order, mode="mirror", prefilter=False
        )


def _holds(dtype: np.dtype, value: float) -> bool:
    if dtype.kind == "f":
        return True
    limits = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return float(value).is_integer() and limits[0] <= value <= limits[1]


def _beyond_float64(array: np.ndarray) -> bool:
    """Whether the array holds integers that float64 rounds."""
    large = array.dtype.kind in "iu" and array.dtype.itemsize == 8 and array.size > 0
    return large and not -_EXACT <= int(array.min()) <= int(array.max()) <= _EXACT


def _nearest(dtype: np.dtype, value: int) -> Any:
    """The value of a dtype that is nearest to an integer."""
    if dtype.kind == "f":
        return dtype.type(min(max(value, np.finfo(dtype).min), np.finfo(dtype).max))
    limits = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return min(max(value, limits[0]), limits[1])
