"""What the tables of fusion share: how fused images are judged, and the figure of cases."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from benchmarks.harness import Row
from tfreg.colour import rgb_to_yuv, yuv_to_rgb
from tfreg.metrics import fusion
from tfreg.viz import new_figure

WHITE = 255
UNITS = {
    "q_mi": "1",
    "q_g": "1",
    "q_y": "1",
    "q_cb": "1",
    "ssim": "1",
    "entropy": "bit",
    "spatial_frequency": "grey",
}
RANKED = ("q_mi", "q_g", "q_y", "q_cb")
Fuser = Callable[[np.ndarray, np.ndarray], np.ndarray]


def light(image: np.ndarray) -> np.ndarray:
    """The light of an image of 8 bits, ``(rows, columns)`` in [0, 1]."""
    unit = image / WHITE
    return unit if unit.ndim == 2 else rgb_to_yuv(unit)[..., 0]


def by_light(rule: Fuser) -> Fuser:
    """A rule for grey images as one that leaves the colours of the second image."""

    def fused(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        if second.ndim == 2:
            return np.clip(rule(first / WHITE, second / WHITE), 0, 1)
        yuv = rgb_to_yuv(second / WHITE)
        yuv[..., 0] = rule(first / WHITE, yuv[..., 0])
        return np.clip(yuv_to_rgb(yuv), 0, 1)

    return fused


def judge(first: np.ndarray, second: np.ndarray, fused: np.ndarray) -> dict[str, float]:
    """All measures of one fused image, rounded to 8 bits; of colours, of their light.

    Args:
        first, second: of 8 bits, the second perhaps in colour.
        fused: in [0, 1].
    """
    result = np.rint(WHITE * light(np.rint(WHITE * fused)))
    one, other = (np.rint(WHITE * light(image)) for image in (first, second))
    found = {name: getattr(fusion, name)(one, other, result) for name in (*RANKED, "ssim")}
    alone = {name: getattr(fusion, name)(result) for name in ("entropy", "spatial_frequency")}
    return {**found, **alone}


def rows(method: str, group: str, found: Sequence[Mapping[str, float]]) -> list[Row]:
    """The rows of one method: a value per pair, those left out that cannot be told."""
    made = []
    for metric, unit in UNITS.items():
        values = [one[metric] for one in found if not np.isnan(one[metric])]
        made.append(Row.of(method, group, metric, unit, values))
    return made


def ranks(found: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, np.ndarray]:
    """The place of each method on each pair, the mean of its places by four measures; 1 is best.

    Args:
        found: of each method the measures of each pair.
    """
    values = np.array([[[one[m] for m in RANKED] for one in pairs] for pairs in found.values()])
    places = rankdata(-np.nan_to_num(values, nan=0.0), axis=0).mean(axis=-1)
    return dict(zip(found, places, strict=True))


def cases(columns: Sequence[str], lines: Mapping[str, Sequence[np.ndarray]], path: Path) -> None:
    """A line of images per case.

    Args:
        columns: what they are called.
        lines: images in [0, 1], grey or in colour, by case.
        path: where the figure goes.
    """
    figure, axes = new_figure(len(lines), len(columns), 1.3)
    for line, (name, images) in zip(axes, lines.items(), strict=True):
        line[0].set_ylabel(name, fontsize=7)
        for axis, image in zip(line, images, strict=True):
            axis.imshow(image, cmap="gray", vmin=0, vmax=1)
    for axis, title in zip(axes[0], columns, strict=True):
        axis.set_title(title, fontsize=7, pad=2)
    figure.savefig(path, dpi=200)
