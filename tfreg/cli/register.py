"""``tfreg register FIXED MOVING -o FOLDER [-m PRESET]``."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tfreg.cli.registrar import Files, Read, Registrar
from tfreg.cli.results import array_summary, physical_of, report_writer, suffix_of
from tfreg.cli.settings import Settings, add_settings
from tfreg.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument(
        "fixed",
        nargs="?",
        type=Path,
        help="the image to register onto: NIfTI, MetaImage, NRRD, a folder of DICOM; or PNG, TIFF, "
        ".npy, ..., which have no place in space and are registered pixel by pixel",
    )
    parser.add_argument("moving", nargs="?", type=Path, help="the image to warp")
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        type=Path,
        help="folder for the moved image, the transform (transform.h5 for ITK and "
        "TransformParameters.txt for elastix) and registration.json; of arrays, for moved.npy, "
        "moved.png (2-D), displacement.npy, figure.png and registration.json",
    )
    parser.add_argument(
        "--pairs", type=Path, metavar="CSV", help="register many, see `tfreg batch --help`"
    )
    parser.add_argument("--shard", metavar="I/N", help="with --pairs: only every Nth pair")
    add_settings(parser)
    for name in ("fixed", "moving"):
        parser.add_argument(
            f"--{name}-mask", type=Path, metavar="FILE", help=f"where to look in the {name} image"
        )
    for name, what in (("fixed", "to take along"), ("moving", "the same ones, to measure with")):
        parser.add_argument(
            f"--{name}-points",
            type=Path,
            metavar="FILE",
            help=f"landmarks of the {name} image in LPS mm, {what} (CSV, VTK, elastix)",
        )
    parser.add_argument(
        "--save-transform",
        action="append",
        default=[],
        metavar="NAME",
        help="write the transform also as this file of the folder, the end of whose name says the "
        "format, see `tfreg convert`",
    )


def run(options: argparse.Namespace) -> int | None:
    """Registers and writes the results, all of them or none."""
    if options.pairs is not None:
        from tfreg.cli.batch import run_pairs

        _refuse(options, ("fixed", "moving", "fixed_mask", "moving_mask"), "beside --pairs")
        _refuse(options, ("fixed_points", "moving_points", "save_transform"), "beside --pairs")
        return run_pairs(options)
    _refuse(options, ("shard",), "without --pairs")
    if options.moving is None:
        raise InputError("Two images are needed, FIXED and MOVING, or --pairs.")
    if options.moving_points is not None and options.fixed_points is None:
        raise InputError("--moving-points are compared with --fixed-points, which are missing.")
    for name in options.save_transform:
        _check_name(name, f"moved{suffix_of(options.fixed)}")
    settings = Settings.of(options)
    files = Files(options.fixed, options.moving, options.fixed_mask, options.moving_mask)
    from tfreg.io.formats import existing
    from tfreg.io.writing import check_folder

    for path in files.named.values():
        existing(path)
    check_folder(options.out)
    registrar = Registrar(settings)
    registrar.check()
    read = registrar.read(files)
    _warn(read.warnings)
    points = _points(options, read)
    found = registrar.register([read])[0]
    _warn(found.warnings)
    answer = read.concluded(found)
    provenance = registrar.provenance(files)
    if not read.physical:
        _write_arrays(options, registrar, answer, provenance)
    else:
        _write(options, registrar, answer, provenance, points)
    return None


def _warn(lines: tuple[str, ...]) -> None:
    for line in lines:
        print(f"tfreg register: warning: {line}", file=sys.stderr)


def _refuse(options: argparse.Namespace, names: tuple[str, ...], where: str) -> None:
    for name in names:
        if getattr(options, name):
            word = name if name in ("fixed", "moving") else f"--{name.replace('_', '-')}"
            raise InputError(
                f"{word} has no effect {where}. Received: {word} {getattr(options, name)}"
            )


def _check_name(name: str, moved: str) -> None:
    """Refuses names that ``--save-transform`` cannot take, before any work."""
    from tfreg import transforms

    if Path(name).name != name:
        raise InputError(f"--save-transform takes the name of a file. Received: {name}")
    if name.lower() == moved:
        raise InputError(
            f"--save-transform needs another name: {moved} is the moved image. Received: {name}"
        )
    transforms.check_path(Path(name))
    if name.lower().endswith(".mat"):
        raise InputError(
            f"A .mat file holds a linear transform, and a registration is a displacement on the "
            f"fixed image's grid; .h5 and .nii.gz can hold it. Received: {name}"
        )


def _points(options: argparse.Namespace, read: Read) -> dict[str, Any]:
    """The landmarks that there are, LPS mm."""
    paths = {"fixed": options.fixed_points, "moving": options.moving_points}
    paths = {name: path for name, path in paths.items() if path is not None}
    if not read.physical and (paths or options.save_transform):
        raise InputError(
            "Landmarks and transforms are in millimetres, and these images have no place in space. "
            f"Received: {', '.join(map(str, [*paths.values(), *options.save_transform]))}"
        )
    from tfreg import io

    found = {
        name: io.read_points(path, getattr(read.job.space, name).geometry)
        for name, path in paths.items()
    }
    if len({points.shape for points in found.values()}) > 1:
        raise InputError(
            "The landmarks must be as many in both images. "
            f"Received: {len(found['fixed'])} and {len(found['moving'])}"
        )
    return found


def _write(
    options: argparse.Namespace,
    registrar: Registrar,
    answer: Any,
    provenance: dict[str, Any],
    points: dict[str, Any],
) -> None:
    """What is left of a registration in physical space."""
    import numpy as np

    from tfreg import io, transforms

    record = _record(options, registrar)
    others = {}
    said = [f"{answer.similarity.upper()} {answer.similarity_before:.4f} -> "]
    said[0] += f"{answer.similarity_after:.4f}, folding {answer.check().folding:.2f} %"
    if points:
        warped = answer.warp_points(points["fixed"])
        others["warped-points.csv"] = lambda path: io.write_points(warped, path)
    if len(points) == 2:
        before, after = (
            float(np.linalg.norm(found - points["moving"], axis=1).mean())
            for found in (points["fixed"], warped)
        )
        record |= {"tre_before": round(before, 4), "tre_after": round(after, 4)}
        said.append(f"landmarks {before:.3f} -> {after:.3f} mm")
    for name in options.save_transform:
        grid = answer.fixed.geometry
        others |= transforms.writers(answer.transform, options.out / name, grid)[0]
    if options.report:
        others["report.html"] = report_writer(options, registrar, answer)
    answer.save(
        options.out,
        suffix_of(options.fixed),
        {**record, "provenance": provenance},
        others,
    )
    print(f"{', '.join(said)}, written to {options.out}")


def _record(options: argparse.Namespace, registrar: Registrar) -> dict[str, Any]:
    files = {name: str(getattr(options, name)) for name in ("fixed", "moving")}
    return {**registrar.settings.record(), **files}


def _write_arrays(
    options: argparse.Namespace, registrar: Registrar, answer: Any, provenance: dict[str, Any]
) -> None:
    """What is left of a registration of arrays."""
    import numpy as np

    from tfreg import io

    summary = array_summary(options, registrar, answer) | {"provenance": provenance}
    writers = {
        "moved.npy": lambda path: np.save(path, answer.moved),
        "displacement.npy": lambda path: np.save(path, answer.displacement),
        "registration.json": lambda path: path.write_text(json.dumps(summary, indent=2) + "\n"),
    }
    from tfreg import viz

    figure = viz.registration_figure(answer)
    writers["figure.png"] = lambda path: figure.savefig(path, dpi=150)
    if answer.moved.ndim == 2:
        low, high = float(np.min(answer.moving)), float(np.max(answer.moving))
        writers["moved.png"] = lambda path: io.write_png(path, answer.moved, low, high)
    if options.report:
        writers["report.html"] = report_writer(options, registrar, physical_of(answer))
    io.write_together(options.out, writers)
    print(
        f"{answer.similarity.upper()} {answer.similarity_before:.4f} -> "
        f"{answer.similarity_after:.4f}, folding {100 * summary['folding']:.2f} %, written to "
        f"{options.out}"
    )
