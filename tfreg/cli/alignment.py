"""Two images that are to lie on one grid: read, and registered where they do not."""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tfreg.cli.registrar import SLICES, is_slice, without_place
from tfreg.errors import InputError

_NODES, _WEIGHT = 32, 1.0  # voxels between control points, and the weight of bending energy


@dataclass(frozen=True)
class Source:
    """An image as its file has it.

    Attributes:
        image: in grey, a ``tfreg.Image``; without a place in space, of voxels of 1 mm.
        colours: ``(rows, columns, 3)`` of a picture in colour, else ``None``.
        place: the geometry of the file, of a single slice in three dimensions.
        placed: whether the file says where it is.
    """

    image: Any
    colours: Any
    place: Any
    placed: bool

    @property
    def values(self) -> Any:
        """The array, in colour where there are colours."""
        return self.image.array if self.colours is None else self.colours

    @property
    def dtype(self) -> str:
        """That of the file."""
        return self.values.dtype.name

    @property
    def flattened(self) -> bool:
        """Whether it is a slice of three dimensions."""
        return self.place.ndim > self.image.geometry.ndim


def read_source(path: Path, nifti_space: str | None) -> Source:
    """Reads an image; a volume of a single slice is that slice.

    Args:
        path: of a file, or a folder of DICOM.
        nifti_space: as for ``tfreg.io.read``.

    Raises:
        InputError: where it cannot be used.
    """
    from tfreg import Geometry, Image, io

    image, colours = io.read(path, nifti_space=nifti_space), io.read_colours(path)
    if colours is not None and (colours == colours[..., :1]).all():  # grey in three channels
        image, colours = Image(colours[..., 0], image.geometry), None
    placed = not without_place(path)
    place = image.geometry
    if is_slice(image):
        image = io.flattened(image)
    if not placed:
        image = Image(image.array, Geometry.of_shape(image.array.shape))
        place = image.geometry
    return Source(image, colours, place, placed)


def aligned(first: Source, second: Source, options: argparse.Namespace) -> tuple[Any, Any]:
    """The second image on the grid of the first one, and its registration, if there was one.

    Args:
        first, second: the images.
        options: ``register``, ``similarity`` and ``init`` of the command.

    Raises:
        InputError: on two grids where nothing is to be registered.
    """
    grid = first.image.geometry
    if options.register is None:
        if not first.place.matches(second.place):
            raise InputError(
                "The images lie on different grids: register them before, with --register rigid. "
                f"Received: {first.place} and {second.place}"
            )
        return second.values, None
    import numpy as np

    from tfreg import Image
    from tfreg.registration import register

    kinds = [word.strip() for word in options.register.split(",")]
    found = register(
        first.image,
        second.image,
        kinds,
        similarity=options.similarity or "mi",
        initial=options.init or "geometry",
        pyramid=[_pyramid(kind, grid) for kind in kinds],
    )
    if first.flattened or second.flattened:
        found = replace(found, warnings=(SLICES, *found.warnings))
    if second.colours is None:
        return found.moved.array, found
    channels = [
        found.transform.apply(
            Image(second.colours[..., number].astype("float32"), second.image.geometry),
            grid,
            fill=0.0,
        ).array
        for number in range(3)
    ]
    return np.stack(channels, axis=-1), found


def _pyramid(kind: str, grid: Any) -> Any:
    """The levels of one transform; free-form ones are stiff, without the finest level.

    Two modalities agree in little but their outlines: with control points as near as for images of
    one modality, mutual information bends what lies between (`fusion-misaligned`).
    """
    from tfreg.registration import Pyramid, pyramid

    chosen = pyramid("default", kind, grid.shape, grid.spacing[::-1])
    if kind not in ("bspline", "velocity"):
        return chosen
    step = _NODES * min(grid.spacing)
    levels = chosen.levels[:-1] or chosen.levels
    stiff = [replace(level, grid_spacing=step, weight=_WEIGHT) for level in levels]
    return Pyramid(tuple(stiff))
