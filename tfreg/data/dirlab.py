"""DIR-Lab 4DCT: ten patients' chest CTs at the extremes of breathing, 300 landmarks each.

On request from its publisher.
"""

import re
from pathlib import Path

import numpy as np

from tfreg.data.source import Source
from tfreg.data.volume_pair import VolumePair, lungs_of, read_points, read_stored
from tfreg.errors import InputError

SOURCE = Source(
    "DIR-Lab 4DCT",
    "R. Castillo et al., A framework for evaluation of deformable image registration spatial "
    "accuracy using large landmark point sets, Phys Med Biol 54:1849, 2009",
    "on request from its publisher",
    "patients",
    {"test": 10},
)
# Voxels (x, y, z) and their size in mm.
CASES = {
    1: ((256, 256, 94), (0.97, 0.97, 2.5)),
    2: ((256, 256, 112), (1.16, 1.16, 2.5)),
    3: ((256, 256, 104), (1.15, 1.15, 2.5)),
    4: ((256, 256, 99), (1.13, 1.13, 2.5)),
    5: ((256, 256, 106), (1.10, 1.10, 2.5)),
    6: ((512, 512, 128), (0.97, 0.97, 2.5)),
    7: ((512, 512, 136), (0.97, 0.97, 2.5)),
    8: ((512, 512, 128), (0.97, 0.97, 2.5)),
    9: ((512, 512, 128), (0.97, 0.97, 2.5)),
    10: ((512, 512, 120), (0.97, 0.97, 2.5)),
}
PHASES = ("T00", "T50")


def available(root: Path | str) -> bool:
    """Whether a folder holds a case in its publisher's layout."""
    return any(_folder(Path(root), case) is not None for case in CASES)


def load(root: Path | str, case: int, fixed: str = "T00", masks: bool = True) -> VolumePair:
    """One case: the end of inspiration (T00) and the end of expiration (T50).

    Args:
        root: folder with ``Case1Pack/Images/case1_T00_s.img`` (or ``case6_T00.img``,
            ``case2_T00-ssm.img``) and ``Case1Pack/ExtremePhases/Case1_300_T00_xyz.txt`` and so on,
            in whichever case of letters; the eighth is ``Case8Deploy``.
        case: 1 to 10.
        fixed: the phase of the fixed image; the other one moves.
        masks: whether to find the lungs, by :func:`tfreg.data.volume_pair.lungs_of`; the publisher
            gives no masks.

    Raises:
        ValueError: on an unknown case or phase.
        InputError: where a file is missing, short, or not what it should be.
    """
    if case not in CASES:
        raise ValueError(f"case must be 1 to 10. Received: case={case}")
    if fixed not in PHASES:
        raise ValueError(f"fixed must be one of {PHASES}. Received: fixed={fixed}")
    folder = _folder(Path(root), case)
    if folder is None:
        raise InputError(f"{root} must hold Case{case}Pack of DIR-Lab 4DCT.")
    size, spacing = CASES[case]
    phases = (fixed, *(phase for phase in PHASES if phase != fixed))
    images = [
        read_stored(_one(folder, rf"case{case}_{phase}(_s|-ssm)?\.img"), size[::-1])
        for phase in phases
    ]
    points = [
        read_points(_one(folder, rf"case{case}_(dirlab)?300_{phase}_xyz\.txt"), size[::-1])
        for phase in phases
    ]
    return paired(f"DIR-Lab 4DCT case {case}", images, points, spacing[::-1], masks)


def paired(
    name: str,
    images: list[np.ndarray],
    points: list[np.ndarray],
    spacing: tuple[float, float, float],
    masks: bool,
) -> VolumePair:
    """Two volumes and their landmarks as a pair.

    Raises:
        InputError: where the landmarks do not correspond, or masks are asked for and no lung is
            found.
    """
    if points[0].shape != points[1].shape:
        raise InputError(
            f"{name} must have as many fixed as moving landmarks. "
            f"Received: {len(points[0])} and {len(points[1])}"
        )
    lungs = [lungs_of(image) for image in images] if masks else [None, None]
    if masks and not all(mask.any() for mask in lungs):
        raise InputError(f"{name}: no lungs were found; are the volumes HU + 1024?")
    return VolumePair(name, *images, spacing, *lungs, *points)


def _folder(root: Path, case: int) -> Path | None:
    names = (f"case{case}pack", f"case{case}deploy")
    found = [path for path in sorted(root.glob("[Cc]ase*/")) if path.name.lower() in names]
    return found[0] if found else None


def _one(folder: Path, pattern: str) -> Path:
    """The only file of a name, at any depth: archives of the cases are packed differently."""
    found = sorted(
        path for path in folder.rglob("*") if re.fullmatch(pattern, path.name, re.IGNORECASE)
    )
    if len(found) != 1:
        raise InputError(f"{folder} must hold one file {pattern}. Received: {len(found)}")
    return found[0]
