"""``tfreg convert TRANSFORM ... -o OUT``."""

import argparse
from pathlib import Path

from tfreg.cli.chain import chain
from tfreg.cli.space import add_nifti_space
from tfreg.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument(
        "transform",
        nargs="+",
        type=Path,
        help="transforms from the fixed to the moving image, as for `tfreg warp -t`; several are "
        "written as one, of which a point of the fixed image goes through the first one first",
    )
    parser.add_argument("--inverse", action="store_true", help="write the inverse of the whole")
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        type=Path,
        help="file to write: .tfm, .txt, .h5 or .mat for ITK, TransformParameters*.txt for "
        "elastix, .nii.gz, .mha or .nrrd for a displacement",
    )
    parser.add_argument(
        "--format",
        choices=("itk", "elastix", "ants", "image"),
        help="where the name of the file alone does not tell",
    )
    parser.add_argument(
        "--grid",
        type=Path,
        metavar="FIXED",
        help="the fixed image, on whose grid a displacement lives: needed for elastix, and where "
        "the format has no words for the transform",
    )
    add_nifti_space(parser)


def run(options: argparse.Namespace) -> None:
    """Reads, and writes in the other format."""
    from tfreg import io, transforms

    grid = None
    if options.grid is not None:
        grid = io.read(options.grid, nifti_space=options.nifti_space).geometry
    try:
        saved = transforms.save(chain(options), options.out, grid, options.format)
    except InputError as error:  # in the words of a command
        raise InputError(
            str(error).replace("grid=None", "none").replace("grid=", "--grid FIXED")
        ) from error
    files = ", ".join(str(path) for path in saved.paths)
    loss = "exact" if saved.loss == 0 else f"to within {saved.loss:.2g} mm inside the grid"
    print(f"written to {files}, {loss}")
