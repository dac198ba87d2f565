"""Image pairs of the tables, real where ``TFREG_DATA`` holds them, phantoms where it does not."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfreg.data import bodies
from tfreg.errors import InputError


@dataclass(frozen=True)
class Pair:
    """Two images with what a registration of them is judged by.

    Attributes:
        name: what to call it in a note.
        fixed, moving: ``(*spatial)`` float32.
        spacing: mm per axis.
        fixed_labels, moving_labels: ``(*spatial)`` uint8, or ``None``.
        fixed_points, moving_points: ``(n, ndim)`` in voxels, or ``None``.
        fixed_mask: ``(*spatial)`` uint8, or ``None``.
        start: translation in voxels, fixed to moving, or ``None``.
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
    start: tuple[float, ...] | None = None


def file(name: str) -> Path | None:
    """A file in the folder of real data, or ``None`` where it is not there."""
    folder = os.environ.get("TFREG_DATA")
    path = Path(folder) / name if folder else None
    return path if path is not None and path.is_file() else None


def cine(split: str, data: str, seed: int = 0, limit: int | None = None) -> list[Pair]:
    """End diastole and end systole of every slice that shows myocardium twice, in both directions.

    ACDC (Bernard et al., IEEE TMI 37(11), 2018), split by patient. The phantoms of the three splits
    are drawn from different seeds.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        data: ``"acdc"`` or ``"phantom"``.
        seed: which pairs to take where there is a limit.
        limit: how many registrations at most.
    """
    if data == "phantom":
        count = (limit or 60) // 2 + 1
        hearts = bodies.hearts(count, seed=("train", "validation", "test").index(split) + 10 * seed)
        ed, es = hearts.fixed, hearts.moving
        seg_ed, seg_es = hearts.fixed_labels, hearts.moving_labels
        names, spacing = [f"phantom {i}" for i in range(count)], hearts.spacing
    else:
        path = file("cine_acdc_edes.npz")
        if path is None:
            raise InputError(
                "ACDC was not found: set TFREG_DATA to a folder with cine_acdc_edes.npz, or use "
                "the phantom hearts, which need no files (--data phantom)."
            )
        with np.load(path, allow_pickle=False) as pack:
            keep = pack["split"] == {"validation": "val"}.get(split, split)
            keep &= (pack["seg_ed"] == 2).any(axis=(1, 2)) & (pack["seg_es"] == 2).any(axis=(1, 2))
            ed, es = (pack[k][keep].astype("float32") / 1023 for k in ("ed", "es"))
            seg_ed, seg_es = pack["seg_ed"][keep], pack["seg_es"][keep]
            patients, slices = pack["patient"][keep], pack["slice"][keep]
        names = [f"patient {p} slice {s}" for p, s in zip(patients, slices, strict=True)]
        spacing = (1.0, 1.0)  # the pack has lost the voxel size: voxels count as mm
    pairs = []
    for index, name in enumerate(names):
        one, other = (ed[index], seg_ed[index]), (es[index], seg_es[index])
        for (f, fl), (m, ml), order in ((one, other, "ED <- ES"), (other, one, "ES <- ED")):
            pairs.append(Pair(f"{name} {order}", f, m, spacing, fl, ml))
    if limit is not None and limit < len(pairs):
        chosen = np.sort(np.random.default_rng(seed).choice(len(pairs), limit, replace=False))
        pairs = [pairs[i] for i in chosen]
    return pairs


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
    path = file("ct_lung_pair.npz")
    if path is None:
        raise InputError(
            "The lung pair was not found: set TFREG_DATA to a folder with ct_lung_pair.npz, or use "
            "the phantom lungs, which need no files (--data phantom)."
        )
    with np.load(path, allow_pickle=False) as pack:
        # -2048 is what the scanner did not reconstruct.
        fixed, moving = (
            np.clip(pack[k], -1000, 400).astype("float32") for k in ("fixed", "moving")
        )
        fixed_mask, moving_mask = pack["fixed_mask"], pack["moving_mask"]
        spacing = pack["spacing_xyz"][::-1]
        p, q = (
            (pack[f"landmarks_{k}_xyz"] - pack[f"origin_{k}_xyz"])[:, ::-1] / spacing
            for k in ("fixed", "moving")
        )
    centres = [np.argwhere(mask).mean(axis=0) for mask in (fixed_mask, moving_mask)]
    return [
        Pair(
            "lung",
            fixed,
            moving,
            tuple(map(float, spacing)),
            fixed_points=p,
            moving_points=q,
            fixed_mask=fixed_mask,
            start=tuple(map(float, centres[1] - centres[0])),  # the mask centroids, for all methods
        )
    ]
