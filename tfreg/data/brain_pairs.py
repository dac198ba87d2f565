"""Aligned slices of one brain by two modalities, to fuse and to judge fusion by.

Those of The Whole Brain Atlas: CT with MRI, PET with MRI, SPECT with MRI, 256x256 pixels, PET and
SPECT in colours. They are for evaluation only: nothing is trained on them.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfreg.data import heads
from tfreg.data.slices import SPLITS, read_pack
from tfreg.data.source import Source, phantom
from tfreg.errors import InputError

PACK = "fusion_harvard.npz"
GROUPS = ("ct-mri", "pet-mri", "spect-mri")
SIDE = 256
SOURCES = {
    "harvard": Source(
        "The Whole Brain Atlas",
        "K. A. Johnson and J. A. Becker, Harvard Medical School, "
        "http://www.med.harvard.edu/AANLIB/home.html",
        "copyright of its authors; for research and teaching",
        "pairs",
        {"validation": 50, "test": 194},
    ),
    "phantom": phantom("phantom heads of tfreg.data.heads", "pairs", {"validation": 4, "test": 6}),
}
_NAMES = {"validation": "val", "test": "test"}  # as the file has them


class Pairs(NamedTuple):
    """Pairs of one group, aligned.

    Attributes:
        first: ``(n, 256, 256)`` uint8: CT, or the MRI beside PET and SPECT.
        second: ``(n, 256, 256)`` uint8: the MRI beside CT; or PET and SPECT, ``(n, 256, 256, 3)``.
        names: ``(n,)``: case and slice.
    """

    first: np.ndarray
    second: np.ndarray
    names: np.ndarray


def available() -> bool:
    """Whether :func:`pairs` would find the real ones."""
    return _file() is not None


def pairs(group: str, split: str = "test", source: str = "harvard") -> Pairs:
    """The pairs of one group and split, from the prepared file in the folder of ``TFREG_DATA``.

    Args:
        group: ``"ct-mri"``, ``"pet-mri"`` or ``"spect-mri"``.
        split: ``"test"`` (37, 93 and 64 pairs) or ``"validation"`` (16, none and 34), by case.
        source: ``"harvard"``, or ``"phantom"``: heads of code (6 and 4 pairs of each group).

    Raises:
        ValueError: on an unknown group, split or source.
        InputError: if the file is not there or not what it should be, or has no pair of them.

    Example:

    >>> from tfreg.data import brain_pairs
    >>> found = brain_pairs.pairs("pet-mri", "test", "phantom")
    >>> found.first.shape, found.second.shape
    ((6, 256, 256), (6, 256, 256, 3))
    """
    for name, value, known in (
        ("group", group, GROUPS),
        ("split", split, SPLITS[1:]),
        ("source", source, tuple(SOURCES)),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {known}. Received: {name}={value}")
    if source == "phantom":
        return _phantoms(group, split)
    path = _file()
    if path is None:
        raise InputError(
            f"The pairs of brain images were not found: set TFREG_DATA to a folder with {PACK}, or "
            "use phantom heads, which need no files (--data phantom)."
        )
    modality = group.partition("-")[0]
    keys = [modality, f"{modality}_mri", f"{modality}_name", f"{modality}_split"]
    own, mri, names, splits = read_pack(path, keys).values()
    colours = () if modality == "ct" else (3,)
    if mri.shape != (len(names), SIDE, SIDE) or own.shape != (*mri.shape, *colours):
        raise InputError(
            f"{path} must hold pairs of {SIDE} x {SIDE} pixels. "
            f"Received: {modality} {own.shape}, its MRI {mri.shape}, {len(names)} names"
        )
    chosen = splits == _NAMES[split]
    if not chosen.any():
        raise InputError(f"{PACK} has no {split} pair of {group}.")
    first, second = (own, mri) if modality == "ct" else (mri, own)
    return Pairs(first[chosen], second[chosen], names[chosen].astype(str))


def _file() -> Path | None:
    folder = os.environ.get("TFREG_DATA")
    path = Path(folder) / PACK if folder else None
    return path if path is not None and path.is_file() else None


def _phantoms(group: str, split: str) -> Pairs:
    count = SOURCES["phantom"].splits[split]
    rng = np.random.default_rng([37, GROUPS.index(group), SPLITS.index(split)])
    drawn = [heads.draw(rng) for _ in range(count)]
    mri = np.stack([head.mri for head in drawn])
    names = np.array([f"phantom {group} {split} {number}" for number in range(count)])
    if group == "ct-mri":
        return Pairs(np.stack([head.ct for head in drawn]), mri, names)
    return Pairs(mri, np.stack([head.colours for head in drawn]), names)
