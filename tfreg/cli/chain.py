"""Transforms as commands take them: ``-t FILE [FILE ...] [--inverse]``."""

import argparse
from pathlib import Path
from typing import Any


def add_chain(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Declares the options."""
    parser.add_argument(
        "-t",
        "--transform",
        required=required,
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="transforms from the fixed to the moving image: ITK (.tfm, .txt, .h5, .mat), elastix "
        "(TransformParameters*.txt), ANTs, or a displacement as an image; of several, a point of "
        "the fixed image goes through the first one first",
    )
    parser.add_argument("--inverse", action="store_true", help="the inverse of the whole instead")


def chain(options: argparse.Namespace) -> Any:
    """The transform that the options name.

    Raises:
        InputError: if a file cannot be used, or two have different dimensions.
    """
    from tfreg import transforms

    loaded = [transforms.load(path, options.nifti_space) for path in options.transform]
    whole = loaded[0] if len(loaded) == 1 else transforms.compose(*loaded)
    return whole.inverse() if options.inverse else whole
