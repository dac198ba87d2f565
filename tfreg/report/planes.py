"""How a volume is laid out on a page: planes, slices, orientation letters, physical aspect.

Slices are shown as a radiologist expects: the patient's right on the left of the page, anterior
and superior at the top. Which array axis that is, and whether it runs the other way, follows from
the direction matrix; of an oblique image the nearest axes are taken and the letters say so.
"""

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from tfreg.geometry import Geometry

SLICES = 16  # at most so many per plane, evenly spaced
_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))  # the ends of x, y, z in LPS: from, towards
_OBLIQUE = 0.38  # sine of 22.5 degrees: a direction that leans further has a second letter


@dataclass(frozen=True)
class Plane:
    """One plane of a volume on the page, or a whole 2-D image.

    Attributes:
        name: ``"axial"``, ``"coronal"``, ``"sagittal"``, or ``"image"`` in 2-D.
        rows: array axis that runs down the page.
        columns: array axis that runs to the right.
        normal: array axis across the slices; ``None`` in 2-D.
        flip_rows: whether the array axis runs up the page.
        flip_columns: whether it runs to the left.
        flip_normal: whether the first slice is the last of the array.
        extent: width and height in mm.
        letters: left, right, top and bottom.
        slices: array indices of the slices shown, in order; ``(0,)`` in 2-D.
    """

    name: str
    rows: int
    columns: int
    normal: int | None
    flip_rows: bool
    flip_columns: bool
    flip_normal: bool
    extent: tuple[float, float]
    letters: tuple[str, str, str, str]
    slices: tuple[int, ...]

    def stack(self, array: np.ndarray, slices: tuple[int, ...] | None = None) -> np.ndarray:
        """The slices as they lie on the page, ``(slices, rows, columns, ...)``.

        Args:
            array: ``(*spatial, ...)``.
            slices: indices along the normal, if not those of the plane.
        """
        if self.normal is None:
            stacked = np.moveaxis(array, (self.rows, self.columns), (0, 1))[None]
        else:
            taken = np.take(array, self.slices if slices is None else slices, axis=self.normal)
            stacked = np.moveaxis(taken, (self.normal, self.rows, self.columns), (0, 1, 2))
        if self.flip_rows:
            stacked = stacked[:, ::-1]
        return stacked[:, :, ::-1] if self.flip_columns else stacked


def planes(geometry: Geometry) -> tuple[Plane, ...]:
    """The planes in which an image is shown: axial, coronal, sagittal; one in 2-D.

    Example:

    >>> from tfreg.geometry import Geometry
    >>> [plane.name for plane in planes(Geometry.of_shape((4, 5, 6)))]
    ['axial', 'coronal', 'sagittal']
    """
    if geometry.ndim == 2:
        extent = tuple(n * s for n, s in zip(geometry.size, geometry.spacing, strict=True))
        right, down = _end(geometry, 0), _end(geometry, 1)
        letters = (_opposite(right), right, _opposite(down), down)
        return (Plane("image", 0, 1, None, False, False, False, extent, letters, (0,)),)
    axes, signs = nearest_axes(geometry)
    x, y, z = range(3)
    # Towards the right, the bottom, and the later slices: a world axis, and whether along it.
    layout = {
        "axial": ((x, True), (y, True), (z, True)),
        "coronal": ((x, True), (z, False), (y, True)),
        "sagittal": ((y, True), (z, False), (x, True)),
    }
    found = []
    for name, ends in layout.items():
        image_axes = [axes[world] for world, _ in ends]
        flips = [(signs[world] > 0) != along for world, along in ends]
        right, down = (
            _end(geometry, axis) if not flip else _opposite(_end(geometry, axis))
            for axis, flip in zip(image_axes[:2], flips[:2], strict=True)
        )
        columns, rows, normal = image_axes
        shown = _spread(geometry.size[normal])
        found.append(
            Plane(
                name=name,
                rows=2 - rows,
                columns=2 - columns,
                normal=2 - normal,
                flip_rows=flips[1],
                flip_columns=flips[0],
                flip_normal=flips[2],
                extent=tuple(geometry.size[a] * geometry.spacing[a] for a in (columns, rows)),
                letters=(_opposite(right), right, _opposite(down), down),
                slices=shown[::-1] if flips[2] else shown,
            )
        )
    return tuple(found)


def nearest_axes(geometry: Geometry) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """For each of x, y, z the image axis (in x, y, z order) nearest to it, and its sign."""
    direction = np.asarray(geometry.direction)
    best = max(
        permutations(range(geometry.ndim)),
        key=lambda order: sum(abs(direction[world, axis]) for world, axis in enumerate(order)),
    )
    return best, tuple(1 if direction[w, a] >= 0 else -1 for w, a in enumerate(best))


def orientation(geometry: Geometry) -> str:
    """Where the image's axes lead, such as ``"L, P, S"``; ``"+x, +y"`` in 2-D."""
    return ", ".join(_end(geometry, axis) for axis in range(geometry.ndim))


def _end(geometry: Geometry, axis: int) -> str:
    """Where an image axis leads: letters of the patient, in 2-D signs of x and y."""
    direction = np.asarray(geometry.direction)[:, axis]
    order = np.argsort(-np.abs(direction), kind="stable")
    leading = [i for n, i in enumerate(order) if n == 0 or abs(direction[i]) > _OBLIQUE]
    if geometry.ndim == 2:  # a picture knows nothing of a patient
        return "".join(("+" if direction[i] >= 0 else "-") + "xy"[i] for i in leading)
    return "".join(_LETTERS[i][int(direction[i] >= 0)] for i in leading)


def _opposite(letters: str) -> str:
    return letters.translate(str.maketrans("RLAPIS+-", "LRPASI-+"))


def _spread(size: int) -> tuple[int, ...]:
    """Indices of at most ``SLICES`` slices, evenly spaced; without the ends if there are more."""
    if size <= SLICES:
        return tuple(range(size))
    step = size / SLICES
    return tuple(int(step * (i + 0.5)) for i in range(SLICES))
