"""``tfreg warp INPUT -t TRANSFORM -o OUT``."""

import argparse
from pathlib import Path
from typing import Any

from tfreg.cli.chain import add_chain, chain
from tfreg.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.description += (
        " A transform takes points of the fixed image to the moving image; an image goes the other "
        "way, from moving to fixed: moved(x) = moving(T(x)). --inverse turns both round."
    )
    parser.add_argument(
        "input",
        type=Path,
        help="a moving image (NIfTI, MetaImage, NRRD, PNG, a folder of DICOM, ...), or points of "
        "the fixed image in LPS mm, or in the frame that the file states (.csv, .vtk, .fcsv, "
        ".mrk.json, or .txt and .pts as elastix has them)",
    )
    add_chain(parser)
    parser.add_argument(
        "--grid",
        type=Path,
        metavar="IMAGE",
        help="for images: the image on whose grid the result lies, usually the fixed one, needed "
        "unless the first transform is a displacement with a grid of its own; for points: the "
        "image that they belong to, needed for voxel indices and for 2-D points in .vtk, "
        ".fcsv and .mrk.json",
    )
    parser.add_argument(
        "--labels",
        action="store_true",
        help="the image holds labels: the nearest voxel's label is taken, none are mixed",
    )
    parser.add_argument(
        "--interpolation",
        choices=("nearest", "linear", "cubic", "label"),
        help="linear if absent, for --labels nearest; label: the label with the most weight among "
        "the voxels around, whose borders are smoother",
    )
    parser.add_argument(
        "--fill",
        type=float,
        help="value outside the moving image: its lowest if absent, for --labels 0",
    )
    parser.add_argument(
        "-o", "--out", required=True, type=Path, help="file to write; its suffix is the format"
    )


def run(options: argparse.Namespace) -> None:
    """Applies the transform and writes what comes of it."""
    from tfreg.io.points import points_format

    if points_format(options.input):
        _warp_points(options)
    else:
        _warp_image(options)


def _warp_points(options: argparse.Namespace) -> None:
    from tfreg import io
    from tfreg.io.points import SUFFIXES, points_format

    for name in ("labels", "interpolation", "fill"):
        value = getattr(options, name)
        if value is not None and value is not False:  # --fill 0 equals False
            raise InputError(f"--{name} is for images. Received: points, {options.input}")
    if not points_format(options.out):
        raise InputError(f"Points are written to {', '.join(SUFFIXES)}. Received: {options.out}")
    geometry = None if options.grid is None else io.read(options.grid).geometry
    points = io.read_points(options.input, geometry)
    transform = chain(options)
    if points.shape[1] != transform.ndim:
        raise InputError(
            f"The transform is {transform.ndim}-D. Received: {points.shape[1]}-D points in "
            f"{options.input}"
            + (" (--grid tells that they are 2-D)" if points.shape[1] == 3 else "")
        )
    io.write_points(transform.apply_points(points), options.out)
    print(f"{len(points)} points written to {options.out}")


def _warp_image(options: argparse.Namespace) -> None:
    from tfreg import io

    interpolation = options.interpolation or ("nearest" if options.labels else "linear")
    if options.labels and interpolation in ("linear", "cubic"):
        raise InputError(f"Labels must not be mixed. Received: --interpolation {interpolation}")
    image = io.read(options.input)
    transform = chain(options)
    grid = _grid(options, transform)
    fill = options.fill
    if fill is None:
        fill = 0 if interpolation in ("nearest", "label") else float(image.array.min())
    moved = transform.apply(image, grid, interpolation, fill)
    io.write(moved.as_stored(image.array.dtype), options.out)
    size = " x ".join(map(str, grid.size))
    print(f"{size} voxels, {interpolation} interpolation, written to {options.out}")


def _grid(options: argparse.Namespace, transform: Any) -> Any:
    from tfreg import io, transforms

    if options.grid is not None:
        return io.read(options.grid).geometry
    first = transform.transforms[0] if isinstance(transform, transforms.Sequence) else transform
    if isinstance(first, transforms.Displacement):
        return first.geometry
    raise InputError("--grid IMAGE is needed: the transform does not say on which grid to sample.")
