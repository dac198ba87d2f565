"""``tfreg evaluate``."""

import argparse
import json
import math
from pathlib import Path
from typing import Any

from tfreg.cli.chain import add_chain, chain
from tfreg.cli.table import aligned
from tfreg.errors import InputError

_NAMES = {
    "dice": "Dice",
    "hd95_mm": "HD95 (mm)",
    "hd95_voxels": "HD95 (voxels)",
    "surface_distance_mm": "surface distance (mm)",
    "count": "landmarks",
    "mean_mm": "TRE mean (mm)",
    "sd_mm": "TRE SD (mm)",
    "median_mm": "TRE median (mm)",
    "percentile95_mm": "TRE 95th percentile (mm)",
    "max_mm": "TRE max (mm)",
    "folding_percent": "folding (%)",
    "jacobian_min": "Jacobian min",
    "jacobian_max": "Jacobian max",
    "sd_log_jacobian": "SD of log Jacobian",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.description += (
        " Without -t: of the images where their headers put them, such as label maps that are "
        "warped already, or the state before the registration."
    )
    add_chain(parser, required=False)
    for name, more in (("fixed", ""), ("moving", ", in the order of the fixed ones")):
        parser.add_argument(
            f"--{name}-labels", type=Path, metavar="FILE", help=f"label map of the {name} image"
        )
        parser.add_argument(
            f"--{name}-points",
            type=Path,
            metavar="FILE",
            help=f"landmarks of the {name} image in LPS mm (.csv, .vtk, .fcsv, .mrk.json, "
            f".txt, .pts){more}",
        )
    parser.add_argument(
        "--labels",
        nargs="+",
        type=int,
        metavar="N",
        help="the labels to measure; all but 0 if absent",
    )
    parser.add_argument(
        "--grid",
        type=Path,
        metavar="FIXED",
        help="the fixed image, on whose grid folding is counted; if absent that of the fixed "
        "labels, or of the mask. Landmarks as voxel indices need it or the fixed labels, and the "
        "moving labels",
    )
    parser.add_argument(
        "--mask",
        type=Path,
        metavar="FILE",
        help="mask of the fixed image: where folding is counted",
    )
    parser.add_argument(
        "--l2r",
        action="store_true",
        help="as the evaluators of Learn2Reg measure (3-D): to compare with published numbers, "
        "not with the others; landmarks count from the grid of the fixed image to that of the "
        "moving labels, or to the same grid where there are none",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(options: argparse.Namespace) -> None:
    """Measures, and prints a table or JSON."""
    _check(options)
    from tfreg import io

    transform = chain(options) if options.transform else None
    files = {
        name: None if getattr(options, name) is None else io.read(getattr(options, name))
        for name in ("fixed_labels", "moving_labels", "grid", "mask")
    }
    given = [image for image in files.values() if image is not None]
    for image in given:
        if image.geometry.ndim != (transform or given[0].geometry).ndim:
            raise InputError("All images and transforms must be 2-D, or all 3-D.")
    grid = next(
        (files[n].geometry for n in ("grid", "fixed_labels", "mask") if files[n] is not None), None
    )
    try:
        found = (_l2r if options.l2r else _ours)(options, transform, files, grid)
    except ValueError as error:  # a measure says what it cannot take
        raise InputError(str(error)) from error
    if options.json:
        print(json.dumps(_finite(found), indent=2))
    else:
        print(_tables(found))


def _check(options: argparse.Namespace) -> None:
    for what in ("labels", "points"):
        pair = [getattr(options, f"{name}_{what}") for name in ("fixed", "moving")]
        if (pair[0] is None) != (pair[1] is None):
            raise InputError(f"--fixed-{what} and --moving-{what} are needed together.")
    measured = options.fixed_labels or options.fixed_points
    if not measured and not options.transform:
        raise InputError("There is nothing to measure: labels, landmarks or a transform is needed.")
    for name, needed in (("labels", "fixed_labels"), ("inverse", "transform")):
        if getattr(options, name) and not getattr(options, needed):
            raise InputError(f"--{name} has no effect without --{needed.replace('_', '-')}.")
    if options.mask is not None and not options.transform:
        raise InputError(
            "--mask has no effect without --transform: it is where folding is counted."
        )
    # Of landmarks the image says where voxels are, and how many axes the points have.
    told = options.fixed_points is not None and options.fixed_points.suffix.lower() != ".csv"
    if options.grid is not None and not (options.transform or options.l2r or told):
        raise InputError("--grid has no effect without --transform or --l2r.")
    place = options.grid or options.fixed_labels or options.mask
    if place is None and options.transform and not options.fixed_points:
        raise InputError("--grid FIXED is needed: folding is counted on the grid of an image.")
    if place is None and options.l2r:
        raise InputError("--grid FIXED is needed: Learn2Reg measures in voxels of the fixed image.")


def _ours(options: argparse.Namespace, transform: Any, files: dict, grid: Any) -> dict[str, Any]:
    from tfreg.cli import measures

    found: dict[str, Any] = {"protocol": "tfreg"}
    if files["fixed_labels"] is not None:
        fixed, moving = _label_maps(files)
        if transform is None:
            moved = moving.resample(fixed.geometry, "nearest", fill=0)
        else:
            moved = transform.apply(moving, fixed.geometry, "nearest", 0)
        scores = measures.of_labels(
            fixed.array, moved.array, fixed.geometry.spacing[::-1], options.labels
        )
        found["protocol"] = "tfreg: labels of the nearest voxel, label 0 left out, surfaces in mm"
        found |= {"labels": scores, "mean": measures.mean_of(scores)}
    if options.fixed_points is not None:
        found["landmarks"] = measures.of_distances(_distances(options, transform, files))
    if transform is not None and grid is not None:
        field = measures.voxel_displacement(transform, grid, grid)
        found["transform"] = measures.of_field(field, _mask(files, grid))
    return found


def _l2r(options: argparse.Namespace, transform: Any, files: dict, grid: Any) -> dict[str, Any]:
    from tfreg.cli import measures
    from tfreg.metrics import l2r_compatible

    if grid.ndim != 3:
        raise InputError(f"Learn2Reg measures 3-D images. Received: {grid.ndim}-D")
    moving_grid = grid
    if files["moving_labels"] is not None:
        moving_grid = files["moving_labels"].geometry
    field = measures.voxel_displacement(transform, grid, moving_grid)
    found: dict[str, Any] = {"protocol": "Learn2Reg: see tfreg.metrics.l2r_compatible"}
    if files["fixed_labels"] is not None:
        fixed, moving = _label_maps(files)
        if not fixed.geometry.matches(grid):
            raise InputError("--fixed-labels must be on the grid of --grid for --l2r.")
        scores = measures.of_labels_l2r(fixed.array, moving.array, field, options.labels)
        found |= {"labels": scores, "mean": measures.mean_of(scores)}
    if options.fixed_points is not None:
        fixed, moving = _points(options, transform, files)
        distances = l2r_compatible.target_registration_error(
            grid.to_index(fixed), moving_grid.to_index(moving), field, moving_grid.spacing[::-1]
        )
        found["landmarks"] = measures.of_distances(distances)
    if transform is not None:
        own = field if moving_grid == grid else measures.voxel_displacement(transform, grid, grid)
        found["transform"] = measures.of_field_l2r(own, _mask(files, grid))
    return found


def _label_maps(files: dict) -> tuple[Any, Any]:
    from tfreg import Image
    from tfreg.cli.measures import whole_numbers

    fixed, moving = (
        Image(whole_numbers(files[name].array, f"--{name.replace('_', '-')}"), files[name].geometry)
        for name in ("fixed_labels", "moving_labels")
    )
    return fixed, moving


def _distances(options: argparse.Namespace, transform: Any, files: dict) -> Any:
    import numpy as np

    fixed, moving = _points(options, transform, files)
    ends = fixed if transform is None else transform.apply_points(fixed)
    return np.linalg.norm(ends - moving, axis=1)


def _points(options: argparse.Namespace, transform: Any, files: dict) -> tuple[Any, Any]:
    from tfreg import io
    from tfreg.io.points import ALWAYS_3D, points_format

    paths = {"fixed": options.fixed_points, "moving": options.moving_points}
    images = {name: files[f"{name}_labels"] for name in paths}
    images["fixed"] = files["grid"] or images["fixed"]
    known = [transform, *(image.geometry for image in files.values() if image is not None)]
    ndim = next((one.ndim for one in known if one is not None), None)
    found = {}
    # Some formats always have three coordinates: where nothing else tells, the other file is asked.
    for name in sorted(paths, key=lambda name: points_format(paths[name]) in ALWAYS_3D):
        geometry = None if images[name] is None else images[name].geometry
        found[name] = io.read_points(paths[name], geometry, ndim)
        ndim = ndim or found[name].shape[1]
    fixed, moving = found["fixed"], found["moving"]
    if fixed.shape != moving.shape:
        raise InputError(
            "The landmarks must be as many in both images, with as many axes. "
            f"Received: {fixed.shape} and {moving.shape}"
        )
    return fixed, moving


def _mask(files: dict, grid: Any) -> Any:
    if files["mask"] is None:
        return None
    mask = files["mask"].resample(grid, "nearest", fill=0).array > 0
    if not mask.any():
        raise InputError("--mask holds no voxel of the fixed image.")
    return mask


def _tables(found: dict[str, Any]) -> str:
    parts = []
    if "labels" in found:
        names = [*next(iter(found["labels"].values()), {})]
        rows = [
            (str(label), *(_number(score[name]) for name in names))
            for label, score in [*found["labels"].items(), ("mean", found["mean"])]
            if score
        ]
        header = ("label", *(_NAMES[name] for name in names))
        parts.append(aligned(header, rows, numbers=range(len(header))))
    lines = [
        (_NAMES[name], _number(value))
        for part in ("landmarks", "transform")
        for name, value in found.get(part, {}).items()
    ]
    if lines:
        parts.append(aligned(("measure", "value"), lines, numbers=(1,)))
    return "\n\n".join([*parts, f"protocol {found['protocol']}"])


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "-" if math.isnan(value) else f"{value:.4f}"


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: null stands for the one, and the other is a text."""
    if isinstance(value, dict):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
