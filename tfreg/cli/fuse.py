"""``tfreg fuse FIRST SECOND -o FOLDER [--register rigid]``."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tfreg.cli.alignment import Source, aligned, read_source
from tfreg.cli.registrar import Files
from tfreg.cli.results import suffix_of
from tfreg.cli.settings import ALIGNMENTS
from tfreg.cli.space import add_nifti_space
from tfreg.errors import InputError

_MEASURES = ("q_mi", "q_g", "q_y", "q_cb")
_WHITE = 255


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument(
        "first",
        type=Path,
        help="the image on whose grid all is fused, in grey, such as CT, or the MRI beside PET: "
        "NIfTI, MetaImage, NRRD, DICOM, PNG, TIFF, .npy, ...; a slice, or a volume",
    )
    parser.add_argument(
        "second",
        type=Path,
        help="the other one, such as MRI, or PET and SPECT, which may be in colour",
    )
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        type=Path,
        help="folder for the fused image, the weight of the first one, report.html and "
        "fusion.json; after --register also for the moved second image and transform.h5",
    )
    parser.add_argument(
        "-m", "--model", default="fusion-cnn", help="a preset that fuses (default: fusion-cnn)"
    )
    parser.add_argument(
        "--register",
        metavar="KIND[,KIND]",
        help="register the second image onto the first one before: rigid, affine, bspline, ..., or "
        "several, see `tfreg register --help`",
    )
    parser.add_argument(
        "--similarity",
        choices=("mi", "ngf"),
        help="of --register: what is alike in two modalities (default: mi)",
    )
    parser.add_argument(
        "--init",
        metavar="geometry|centre|mass|search",
        choices=ALIGNMENTS,
        help="of --register: where the images start (default: geometry, where the headers say)",
    )
    for name in ("first", "second"):
        parser.add_argument(
            f"--{name}-range",
            nargs=2,
            type=float,
            metavar=("LOW", "HIGH"),
            help=f"the intensities of the {name} image that are black and white, such as HU "
            "(default: 0 and 255 of 8 bits, else the darkest and the brightest voxel that is no "
            "outlier)",
        )
    parser.add_argument(
        "--axis",
        type=int,
        choices=(0, 1, 2),
        help="of volumes: the array axis across the slices, which are fused one by one (default: "
        "0, the slices as they are stored)",
    )
    parser.add_argument(
        "--channels-apart",
        action="store_true",
        help="of two images in colour: fuse red, green and blue one by one",
    )
    add_nifti_space(parser)


def run(options: argparse.Namespace) -> None:
    """Fuses and writes the results, all of them or none."""
    if options.register is None:
        for name in ("similarity", "init"):
            if getattr(options, name) is not None:
                raise InputError(
                    f"--{name} has no effect without --register. Received: {getattr(options, name)}"
                )
    import zoo
    from tfreg.io.writing import check_folder

    preset = zoo.describe(options.model, task="fusion")
    check_folder(options.out)
    first, second = (
        read_source(path, options.nifti_space) for path in (options.first, options.second)
    )
    _check(options, first, second)
    ranges = {
        "first_range": _range("first_range", options.first_range, first),
        "second_range": _range("second_range", options.second_range, second),
    }
    axis = _axis(options, first)
    model = zoo.load(options.model, task="fusion")
    model.check_size([n for k, n in enumerate(first.image.geometry.shape) if k != axis])
    values, registration = aligned(first, second, options)
    found = () if registration is None else registration.warnings
    for line in found:
        print(f"tfreg fuse: warning: {line}", file=sys.stderr)
    answer = model.fuse(
        first.values, values, axis=axis, channels_apart=options.channels_apart, **ranges
    )
    _write(options, first, registration, answer, ranges, vars(preset))


def _check(options: argparse.Namespace, first: Source, second: Source) -> None:
    """Refuses what no network would take, before any work."""
    if first.image.geometry.ndim != second.image.geometry.ndim:
        raise InputError(
            "Two slices or two volumes are needed. Received: "
            f"{first.image.geometry.ndim}-D and {second.image.geometry.ndim}-D"
        )
    if options.axis is not None and first.image.geometry.ndim == 2:
        raise InputError(f"--axis is for volumes. Received: --axis {options.axis}, two slices")
    if options.channels_apart and (first.colours is None or second.colours is None):
        raise InputError("--channels-apart is for two images in colour, and one is grey.")
    if first.colours is not None and second.colours is None:
        raise InputError(
            "The image in colour must be the second one. "
            f"Received: {options.first} in colour, {options.second} in grey"
        )
    if first.colours is not None and second.colours is not None and not options.channels_apart:
        raise InputError(
            "Both images are in colour: fuse red, green and blue one by one with --channels-apart. "
            f"Received: {options.first}, {options.second}"
        )


def _axis(options: argparse.Namespace, first: Source) -> int | None:
    return None if first.image.geometry.ndim == 2 else options.axis or 0


def _range(name: str, given: list[float] | None, source: Source) -> tuple[float, float] | None:
    """The intensities that are black and white; ``None``: what the network says."""
    from tfreg.registration.images import range_of

    if given is None and source.dtype == "uint8":
        return 0.0, float(_WHITE)
    return range_of(name, given)


def _write(
    options: argparse.Namespace,
    first: Source,
    registration: Any,
    answer: Any,
    ranges: dict[str, Any],
    preset: dict[str, Any],
) -> None:
    from tfreg import Image, __version__, io, report, transforms

    geometry = first.image.geometry
    picture = answer.fused.ndim > geometry.ndim or not (first.placed or geometry.ndim == 3)
    suffix = suffix_of(options.first)
    shown = {"fused": answer.fused, "weight": answer.weight}
    if registration is not None and picture:
        shown["moved"] = answer.second
    writers = {}
    for name, image in shown.items():
        if picture:
            writers[f"{name}.png"] = lambda path, image=image: io.write_png(path, image, 0, 1)
        else:
            writers[f"{name}{suffix}"] = lambda path, image=image: io.write(
                Image(image, geometry), path
            )
    if registration is not None and not picture:
        writers[f"moved{suffix}"] = lambda path: io.write(registration.stored(), path)
    hashes = Files(options.first, options.second).sha256().values()
    record: dict[str, Any] = {
        "tfreg": __version__,
        "first": str(options.first),
        "second": str(options.second),
        "model": options.model,
        "weights_sha256": preset["sha256"],
        "sha256": dict(zip(("first", "second"), hashes, strict=True)),
        **ranges,
        "seconds": round(answer.seconds, 4),
    }
    if geometry.ndim == 3:
        record["axis"] = options.axis or 0
    if registration is not None:
        record["registration"] = {"transform": options.register, **registration.summary()}
        writers |= transforms.writers(
            registration.transform, options.out / "transform.h5", geometry
        )[0]
    measures = _measures(answer) if geometry.ndim == 2 else {}
    record |= measures
    page = report.fusion_html(
        geometry,
        {"first": answer.first, "second": answer.second, "fused": answer.fused},
        answer.weight,
        figures=[(name.upper().replace("_", " "), f"{v:.4f}") for name, v in measures.items()],
        settings=_settings(options, registration),
        warnings=_problems(registration),
        preset=preset,
        title=f"{options.first.name} and {options.second.name}",
    )
    writers["fusion.json"] = lambda path: path.write_text(json.dumps(record, indent=2) + "\n")
    writers["report.html"] = lambda path: path.write_text(page, encoding="utf-8")
    io.write_together(options.out, writers)
    said = ", ".join(f"{name} {value:.4f}" for name, value in measures.items())
    print(f"fused{f', {said}' if said else ''}, written to {options.out}")


def _problems(registration: Any) -> list[str]:
    """What should be looked at."""
    return [] if registration is None else [*registration.warnings, *registration.check().problems]


def _settings(options: argparse.Namespace, registration: Any) -> list[tuple[str, str]]:
    """How it was done, as the page tells it."""
    found = [("network", options.model)]
    if registration is not None:
        name = registration.similarity
        found += [
            ("registered before by", options.register),
            (f"{name} before", f"{float(registration.similarity_before):.4f}"),
            (f"{name} after", f"{float(registration.similarity_after):.4f}"),
        ]
    return found


def _measures(answer: Any) -> dict[str, float]:
    """How much of two slices is in the fused one; of colours, of their light."""
    from tfreg.colour import rgb_to_yuv
    from tfreg.metrics import fusion

    grey = [
        _WHITE * (image if image.ndim == 2 else rgb_to_yuv(image)[..., 0])
        for image in (answer.first, answer.second, answer.fused)
    ]
    return {name: round(getattr(fusion, name)(*grey), 6) for name in _MEASURES}
