"""Boxes of an overlap, by method and by patient."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfreg.viz import new_figure


def boxes(
    values: Mapping[str, Mapping[str, Sequence[float]]],
    patients: Sequence[str],
    labels: Sequence[str],
    shown: str,
    tissue: str,
    path: Path,
) -> None:
    """Dice per method, and per patient and label for one of them.

    Args:
        values: by method and metric, one per registration.
        patients: whose each registration is.
        labels: the metrics of overlap, the first of them ``"dice"``.
        shown: the method to show by patient.
        tissue: what the first label is.
        path: of the picture.
    """
    figure, axes = new_figure(2, 1, 5.0)
    figure.set_size_inches(10, 9)
    upper, lower = axes[:, 0]
    methods = [m for m, found in values.items() if "dice" in found]
    upper.boxplot([values[m]["dice"] for m in methods], showfliers=True)
    upper.set_xticks(range(1, len(methods) + 1), methods, rotation=35, ha="right", fontsize=7)
    upper.set_title(f"Dice of the {tissue}, all registrations", fontsize=9)
    names = list(dict.fromkeys(patients))
    for offset, metric in enumerate(labels):
        found = [
            [
                value
                for patient, value in zip(patients, values[shown][metric], strict=True)
                if patient == name and not np.isnan(value)
            ]
            for name in names
        ]
        places = np.arange(len(names)) + 0.25 * (offset - 1)
        boxes = lower.boxplot(found, positions=places, widths=0.2, patch_artist=True)
        for box in boxes["boxes"]:
            box.set_facecolor(f"C{offset}")
        lower.plot([], [], color=f"C{offset}", label=metric)
    lower.set_xticks(range(len(names)), names, rotation=35, ha="right", fontsize=7)
    lower.set_title(f"{shown}, by patient and label", fontsize=9)
    lower.legend(fontsize=7)
    for axis in (upper, lower):
        axis.set_yticks(np.arange(0, 1.01, 0.2))
        axis.grid(axis="y", alpha=0.3)
    figure.savefig(path, dpi=110)
