"""Image pairs of the tables, real where ``TFREG_DATA`` holds them, phantoms where it does not."""

from dataclasses import dataclass, replace

import numpy as np

from tfreg.data import bodies, lung_pair
from tfreg.data import cine as data_of_cine
from tfreg.data.volume_pair import VolumePair
from tfreg.errors import InputError
from tfreg.registration import confine


@dataclass(frozen=True)
class Pair:
    """Two images with what a registration of them is judged by.

    Attributes:
        name: what to call it in a note.
        fixed, moving: ``(*spatial)`` float32.
        spacing: size of a voxel per axis.
        fixed_labels, moving_labels: ``(*spatial)`` uint8, or ``None``.
        fixed_points, moving_points: ``(n, ndim)`` in voxels, or ``None``.
        fixed_mask, moving_mask: ``(*spatial)`` uint8, or ``None``.
        start: translation in voxels, fixed to moving, or ``None``.
        patient: whose images they are.
        unit: that of the spacing: ``"mm"``, or ``"px"`` where the source lost it.
        truth: the true displacement ``(*spatial, ndim)`` in voxels, or ``None``.
    """

    name: str
    fixed: np.ndarray
    moving: np.ndarray
    spacing: tuple[float, ...]
    fixed_labels: np.ndarray | None = None
    moving_labels: np.ndarray | None = None
    fixed_points: np.ndarray | None = None
    moving_points: np.ndarray | None = None
    fixed_mask: np.ndarray | None = None
    moving_mask: np.ndarray | None = None
    start: tuple[float, ...] | None = None
    patient: str = ""
    unit: str = "mm"
    truth: np.ndarray | None = None


def confined(pair: Pair) -> Pair:
    """The pair as :func:`tfreg.registration.confine` shows it; with one mask alone, as it is."""
    if pair.fixed_mask is None or pair.moving_mask is None:
        return pair
    shown = confine(pair.fixed, pair.moving, pair.fixed_mask, pair.moving_mask)
    return replace(pair, fixed=shown.fixed, moving=shown.moving, fixed_mask=shown.fixed_mask)


def cine(
    split: str, data: str, seed: int = 0, limit: int | None = None, label: int = 2
) -> list[Pair]:
    """End diastole and end systole of every slice that shows a label twice, in both directions.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``; by patient.
        data: a source of :mod:`tfreg.data.cine`.
        seed: which pairs to take where there is a limit.
        limit: how many registrations at most.
        label: 2, the myocardium, or 3, the left ventricle's cavity.

    Raises:
        InputError: where there is no such slice.
    """
    pairs = []
    for one in data_of_cine.slices(split, (data,)):
        ends = (("ED", one.diastole), ("ES", one.systole))
        if not all(label in one.labels.get(frame, ()) for _, frame in ends):
            continue
        sides = [(name, one.images[frame], one.labels[frame]) for name, frame in ends]
        for (name, fixed, labels), (other, moving, moving_labels) in (sides, sides[::-1]):
            pairs.append(
                Pair(
                    f"{one.patient} slice {one.number} {name} <- {other}",
                    fixed,
                    moving,
                    one.spacing or (1.0, 1.0),
                    labels,
                    moving_labels,
                    patient=one.patient,
                    unit="px" if one.spacing is None else "mm",
                )
            )
    if not pairs:
        raise InputError(f"No slice shows the label twice. Received: {data}, label {label}")
    return drawn(pairs, seed, limit)


def drawn(items: list, seed: int, limit: int | None) -> list:
    """As many as the limit allows, drawn at random, in their order."""
    if limit is None or limit >= len(items):
        return items
    chosen = np.sort(np.random.default_rng(seed).choice(len(items), limit, replace=False))
    return [items[i] for i in chosen]


def chest(data: str, seed: int = 0) -> list[Pair]:
    """The lung pair of elastix' test data (two CTs of one lung, 26 landmarks), or phantom lungs."""
    if data == "phantom":
        lungs = bodies.lungs(1, seed)
        parts = (lungs.fixed, lungs.moving, lungs.fixed_labels)
        points = (lungs.fixed_points, lungs.moving_points)
        fixed, moving, fixed_mask, p, q = (array[0] for array in (*parts, *points))
        return [
            Pair(
                "phantom lung",
                fixed,
                moving,
                lungs.spacing,
                fixed_points=p,
                moving_points=q,
                fixed_mask=fixed_mask,
            )
        ]
    return [of_lungs(lung_pair.load(), "lung", centred=True)]


def of_lungs(found: VolumePair, name: str, centred: bool = False) -> Pair:
    """A pair of chest CTs, HU from -1000 to 400, within the mask of the fixed lung.

    Args:
        found: as it was read.
        name: what to call it.
        centred: whether methods start where the centroids of both masks coincide.
    """
    return Pair(
        name,
        *(np.clip(image, -1000, 400) for image in (found.fixed, found.moving)),
        found.spacing,
        fixed_points=found.fixed_points,
        moving_points=found.moving_points,
        fixed_mask=found.fixed_mask,
        moving_mask=found.moving_mask,
        start=found.shift if centred else None,
    )
