"""``tfreg align SECTION... -o FOLDER [-m PRESET]``."""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.description += (
        " Neighbours are brought onto each other by phase correlation, the next sections are "
        "registered onto each, and all answers together say where each belongs. What is "
        "interrupted goes on where it was when the command is given again. The stack is as large "
        "as a section: what a start takes out of it is lost."
    )
    parser.add_argument(
        "sections",
        nargs="+",
        type=Path,
        help="2-D images of one size in the order of the stack: PNG, TIFF, .npy, ...",
    )
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        type=Path,
        help="folder for sections/ (each as it lies in the stack), transforms/ (from the stack to "
        "each section, a pixel a millimetre), alignment.json, report.html, and pairs/, from which "
        "an interrupted alignment goes on",
    )
    parser.add_argument(
        "-m", "--model", help="a preset, see `tfreg models`; without one B-splines on NCC"
    )
    parser.add_argument(
        "--finest",
        type=float,
        metavar="PX",
        help="without a preset: px between control points at last, 128, 64, 32 or 16; the "
        "finer, the more alike, and the more tissue that changed is bent to what it was "
        "(default: 16)",
    )
    parser.add_argument(
        "--neighbours",
        type=int,
        default=2,
        metavar="N",
        help="how many of the next sections are registered onto each (default: 2)",
    )
    parser.add_argument(
        "--start",
        choices=("none", "translation", "rigid"),
        default="translation",
        help="phase correlation of neighbours before that; none where they lie on each other "
        "already (default: translation)",
    )
    parser.add_argument(
        "--degrees",
        type=float,
        help="with --start rigid: the largest rotation between neighbours (default: 20)",
    )
    parser.add_argument(
        "--drift",
        default="12",
        metavar="SECTIONS|keep",
        help="what of the bending changes more slowly than over so many sections is the tissue's "
        "and stays; a start is undone whole (default: 12); keep: whatever the pairs say is undone",
    )


def run(options: argparse.Namespace) -> None:
    """Aligns the stack and writes what comes of it."""
    period = _period(options.drift)
    names = _names(options.sections)
    from tfreg.io.formats import existing
    from tfreg.io.writing import check_folder

    for path in options.sections:
        existing(path)
        if path.resolve().parent == (options.out / "sections").resolve():
            raise InputError(f"Results would be written over the sections. Received: {path}")
    check_folder(options.out)
    register, identity = _method(options.model, options.finest)
    from tfreg import serial

    found = serial.align(
        _Files(options.sections),
        register,
        neighbours=options.neighbours,
        start=options.start,
        degrees=options.degrees,
        drift=period,
        folder=options.out / "pairs",
        identity=identity,
        progress=lambda line: print(line, file=sys.stderr),
    )
    _write(options, names, found)


def _period(text: str) -> float | None:
    if text == "keep":
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"--drift must be a number of sections, or keep. Received: {text}"
        ) from None


def _names(paths: list[Path]) -> list[str]:
    """What the results of each section are called: the names of the files, all different."""
    names = [path.name.removesuffix(".gz").rpartition(".")[0] or path.name for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"Sections must have names of their own. Received twice: {twice[0]}")
    return names


def _method(model: str | None, finest: float | None) -> tuple[Any, dict[str, Any]]:
    """What registers a pair of sections, and what decides its answers."""
    from tfreg import __version__
    from tfreg.serial import pyramid_for, register_sections, sections_by

    identity: dict[str, Any] = {"tfreg": __version__, "model": model}
    if model is None:
        if finest is None:
            return register_sections, identity
        pyramid_for((1, 1), finest)  # refuses what it does not take
        return partial(register_sections, finest=finest), {**identity, "finest": finest}
    if finest is not None:
        raise InputError(f"--finest has no effect with a preset. Received: {finest:g} and {model}")
    import zoo

    preset = zoo.describe(model, task="registration")
    network = zoo.load(model, task="registration")
    if network.ndim != 2:
        raise InputError(f"Sections are 2-D, and this network is not. Received: {model}")
    decides = {"weights_sha256": preset.sha256, "architecture": preset.architecture}
    return sections_by(network), {**identity, **decides}


class _Files:
    """The sections of files, each read when it is needed."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        from tfreg import io

        image = io.read_image(self.paths[index])
        if image.dtype == np.float64:  # the brightness of colours
            image = image.astype("float32")
        if image.ndim != 2:
            raise InputError(
                f"{self.paths[index]} must be one section. Received: shape={image.shape}"
            )
        return image


def _write(options: argparse.Namespace, names: list[str], found: Any) -> None:
    """Section by section, so that the stack need not fit into memory."""
    from tfreg import io, transforms
    from tfreg.geometry import Geometry
    from tfreg.image import Image
    from tfreg.report import stack

    cuts, geometry = stack.Cuts(), Geometry.of_shape(found.shape)
    for k, (name, image) in enumerate(zip(names, _Files(options.sections), strict=True)):
        moved = found.apply(k, image)
        cuts.add(name, image, moved, found.displacement(k))
        io.write(Image(moved, geometry), options.out / "sections" / f"{name}{_suffix(moved)}")
        transforms.save(found.transform(k), options.out / "transforms" / f"{name}.nii.gz")
    before, after = (sum(values) / len(values) for values in cuts.ncc.values())
    record = {
        **{"model": options.model, "neighbours": options.neighbours, "start": options.start},
        **({} if options.finest is None else {"finest": options.finest}),
        **({"degrees": options.degrees} if options.start == "rigid" else {}),
        **{"drift": options.drift, "sections": names, "shift": cuts.shift, "bend": cuts.bend},
        **{"ncc_before": cuts.ncc["before"], "ncc_after": cuts.ncc["after"]},
    }
    shown = [(name, str(value)) for name, value in record.items() if not isinstance(value, list)]
    page = stack.html(cuts, f"{len(names)} sections", shown)
    io.write_together(
        options.out,
        {
            "alignment.json": lambda path: path.write_text(json.dumps(record, indent=2) + "\n"),
            "report.html": lambda path: path.write_text(page, encoding="utf-8"),
        },
    )
    print(
        f"NCC of neighbours {before:.4f} -> {after:.4f}, {len(names)} sections written to "
        f"{options.out}"
    )


def _suffix(image: Any) -> str:
    """The first format that can hold the intensities."""
    if image.dtype.name in ("uint8", "uint16"):
        return ".png"
    return ".tiff" if image.dtype.name in ("int16", "float32") else ".npy"
