"""The option of every command that reads images: ``--nifti-space sform|qform|pixdim``."""

import argparse

_SPACES = ("sform", "qform", "pixdim")


def add_nifti_space(parser: argparse.ArgumentParser) -> None:
    """Declares the option."""
    parser.add_argument(
        "--nifti-space",
        choices=_SPACES,
        help="which statement counts where those of a NIfTI header are more than a tenth of a "
        "voxel apart (default: the sform if it has one, else the qform, with a warning)",
    )
