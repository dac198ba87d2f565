"""DIR-Lab COPDgene: ten patients' chest CTs with breath held in and out, 300 landmarks each.

On request from its publisher.
"""

from pathlib import Path

from tfreg.data.dirlab import paired
from tfreg.data.source import Source
from tfreg.data.volume_pair import VolumePair, read_points, read_stored
from tfreg.errors import InputError

SOURCE = Source(
    "DIR-Lab COPDgene",
    "R. Castillo et al., A reference dataset for deformable image registration spatial accuracy "
    "evaluation using the COPDgene study archive, Phys Med Biol 58:2861, 2013",
    "on request from its publisher",
    "patients",
    {"test": 10},
)
# Voxels (x, y, z) and their size in mm. Several public readers agree on these, but for one that has
# 0.644 mm for the ninth case.
CASES = {
    1: ((512, 512, 121), (0.625, 0.625, 2.5)),
    2: ((512, 512, 102), (0.645, 0.645, 2.5)),
    3: ((512, 512, 126), (0.652, 0.652, 2.5)),
    4: ((512, 512, 126), (0.590, 0.590, 2.5)),
    5: ((512, 512, 131), (0.647, 0.647, 2.5)),
    6: ((512, 512, 119), (0.633, 0.633, 2.5)),
    7: ((512, 512, 112), (0.625, 0.625, 2.5)),
    8: ((512, 512, 115), (0.586, 0.586, 2.5)),
    9: ((512, 512, 116), (0.664, 0.664, 2.5)),
    10: ((512, 512, 135), (0.742, 0.742, 2.5)),
}
BREATHS = ("iBH", "eBH")


def available(root: Path | str) -> bool:
    """Whether a folder holds a case in its publisher's layout."""
    return any(_folder(Path(root), case) is not None for case in CASES)


def load(root: Path | str, case: int, fixed: str = "iBH", masks: bool = True) -> VolumePair:
    """One case: breath held in (iBH) and out (eBH).

    Args:
        root: folder with ``copd1/copd1_iBHCT.img``, ``copd1/copd1_300_iBH_xyz_r1.txt`` and so on,
            or with a further folder of that name in between.
        case: 1 to 10.
        fixed: the breath of the fixed image; the other one moves.
        masks: whether to find the lungs, by :func:`tfreg.data.volume_pair.lungs_of`; the publisher
            gives no masks.

    Raises:
        ValueError: on an unknown case or breath.
        InputError: where a file is missing, short, or not what it should be.
    """
    if case not in CASES:
        raise ValueError(f"case must be 1 to 10. Received: case={case}")
    if fixed not in BREATHS:
        raise ValueError(f"fixed must be one of {BREATHS}. Received: fixed={fixed}")
    folder = _folder(Path(root), case)
    if folder is None:
        raise InputError(f"{root} must hold copd{case}/copd{case}_iBHCT.img of COPDgene.")
    size, spacing = CASES[case]
    breaths = (fixed, *(breath for breath in BREATHS if breath != fixed))
    images = [read_stored(folder / f"copd{case}_{one}CT.img", size[::-1]) for one in breaths]
    points = [
        read_points(folder / f"copd{case}_300_{one}_xyz_r1.txt", size[::-1]) for one in breaths
    ]
    return paired(f"COPDgene case {case}", images, points, spacing[::-1], masks)


def _folder(root: Path, case: int) -> Path | None:
    name = f"copd{case}"
    for folder in (root / name / name, root / name, root):
        if (folder / f"{name}_iBHCT.img").is_file():
            return folder
    return None
