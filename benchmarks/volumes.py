"""Pairs of volumes, real where ``TFREG_DATA`` holds them."""

import itertools
import os
from pathlib import Path

import numpy as np

from benchmarks.pairs import Pair, chest, drawn, of_lungs
from tfreg.data import brain_volumes, breathing, dirlab, hippocampus, stacks

MADE = 5
LABELS_OF_HEARTS = {"dice": 2, "dice LV": 3, "dice RV": 1}
LABELS_OF_HIPPOCAMPI = {"dice": (1, 2), "dice anterior": 1, "dice posterior": 2}


def hearts(split: str, data: str, seed: int = 0, limit: int | None = None) -> list[Pair]:
    """Whole short-axis stacks, the ends of diastole and systole, each to the other.

    Slices that were repeated to reach one depth are outside the mask.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``; by patient.
        data: a source of :mod:`tfreg.data.stacks`.
        seed: which registrations to take where there is a limit.
        limit: how many at most.
    """
    found = stacks.hearts(split, data)
    pairs = []
    for index, patient in enumerate(found.names.tolist()):
        ends = (
            ("ED", found.diastole[index], found.diastole_labels[index]),
            ("ES", found.systole[index], found.systole_labels[index]),
        )
        mask = np.broadcast_to(found.mask[index], found.diastole.shape[1:]).copy()
        for (name, fixed, labels), (other, moving, moving_labels) in (ends, ends[::-1]):
            pairs.append(
                Pair(
                    f"{patient} {name} <- {other}",
                    fixed,
                    moving,
                    tuple(map(float, found.spacing[index])),
                    labels,
                    moving_labels,
                    fixed_mask=mask,
                    patient=patient,
                    unit=found.unit,
                )
            )
    return drawn(pairs, seed, limit)


def hippocampi(split: str, data: str, seed: int = 0, limit: int | None = None) -> list[Pair]:
    """Pairs of two volumes, in both directions.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``; by volume.
        data: a source of :mod:`tfreg.data.hippocampus`.
        seed: which pairs to take where there is a limit.
        limit: how many at most.
    """
    found = hippocampus.subjects(split, data)
    couples = drawn(list(itertools.permutations(range(len(found.names)), 2)), seed, limit)
    return [
        Pair(
            f"{found.names[f]} <- {found.names[m]}",
            *(found.images[k].astype("float32") for k in (f, m)),
            found.spacing,
            *(found.labels[k] for k in (f, m)),
            patient=str(found.names[f]),
        )
        for f, m in couples
    ]


def whole_brains(
    split: str, data: str, fine: bool = True, seed: int = 0, limit: int | None = None
) -> list[Pair]:
    """Pairs of the brains of two people, in both directions; each beside its reverse.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``; by person.
        data: a source of :mod:`tfreg.data.brain_volumes`.
        fine: at 1 mm, of the real ones; else 2 mm.
        seed: which couples of people to take where there is a limit.
        limit: how many pairs at most; of an odd number the last has no reverse.
    """
    found = brain_volumes.volumes(split, data, fine=fine and data != "phantom")
    couples = list(itertools.combinations(range(len(found.names)), 2))
    couples = drawn(couples, seed, None if limit is None else (limit + 1) // 2)
    both = [side for one, other in couples for side in ((one, other), (other, one))]
    return [
        Pair(
            f"{found.names[f]} <- {found.names[m]}",
            *(found.images[k] for k in (f, m)),
            found.spacing,
            *(found.labels[k] for k in (f, m)),
            patient=str(found.names[f]),
        )
        for f, m in both[:limit]
    ]


def chests(data: str, seed: int = 0, limit: int | None = None, split: str = "test") -> list[Pair]:
    """Pairs of chest CT that differ by a breath, in HU from -1000 to 400.

    Args:
        data: ``"ct"``, the lung pair; ``"dirlab"``, the cases of DIR-Lab in the folder ``dirlab``
            of the folder that ``TFREG_DATA`` names; with the true displacement ``"phantom"``,
            thoraxes of code, ``"deformed"``, one real CT, or ``"patients"``, that CT moving as the
            lungs of the split's patients do.
        seed: of what is made.
        limit: how many pairs at most; of what is made ``None`` is 5.
        split: of what is made, ``"test"`` or ``"validation"``.
    """
    if data == "ct":
        return chest("ct")
    if data == "dirlab":
        folder = Path(os.environ.get("TFREG_DATA", ".")) / "dirlab"
        cases = list(dirlab.CASES)[:limit]
        return [of_lungs(dirlab.load(folder, case), f"case {case}") for case in cases]
    from zoo.dlir.train_chest_ct import SHAPE, SPACING

    source = "phantom" if data == "phantom" else "ct"
    motion = "copd" if data == "patients" else "drawn"
    made = (
        breathing.make(split, 1000 * seed + number, source, SHAPE, SPACING, motion)
        for number in range(limit or MADE)
    )
    extent = breathing.HIGHEST - breathing.LOWEST
    return [
        Pair(
            one.name,
            *(extent * image + breathing.LOWEST for image in (one.fixed, one.moving)),
            one.spacing,
            fixed_mask=one.fixed_mask,
            moving_mask=one.moving_mask,
            truth=one.displacement,
        )
        for one in made
    ]
