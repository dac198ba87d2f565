"""The uncertainty that a network states beside the error that it makes, on one pair."""

from pathlib import Path

import numpy as np

from benchmarks.pairs import Pair
from tfreg.viz import new_figure


def uncertainty(pair: Pair, variance: np.ndarray, error: np.ndarray, path: Path) -> None:
    """Fixed image, predicted standard deviation, distance, and one against the other.

    Args:
        pair: that was registered; of a volume the middle slice along the first axis is shown.
        variance: ``(*spatial)``, voxels squared.
        error: ``(*spatial)``, in the unit of the pair.
        path: of the picture.
    """
    middle = () if pair.fixed.ndim == 2 else (pair.fixed.shape[0] // 2,)
    deviation = np.sqrt(variance)
    shown = (pair.fixed > 0) | (pair.moving > 0)
    figure, axes = new_figure(1, 4, 2.4)
    (image, predicted, missed, against), *_ = axes
    image.imshow(pair.fixed[middle], cmap="gray")
    for axis, values in ((predicted, deviation), (missed, error)):
        highest = float(np.percentile(values[shown], 99))
        axis.imshow(np.where(shown, values, 0)[middle], cmap="magma", vmin=0, vmax=highest)
    order = np.argsort(deviation[shown])
    parts = np.array_split(order, 20)
    means = [[values[shown][part].mean() for part in parts] for values in (deviation, error)]
    against.plot(*means, "o-", markersize=3)
    against.set(xlabel="predicted, voxels", ylabel=f"distance, {pair.unit}")
    against.set_box_aspect(1)
    titles = ("fixed", "predicted deviation", "distance to lo", "twentieths of the voxels")
    for axis, title in zip((image, predicted, missed, against), titles, strict=True):
        axis.set_title(title, fontsize=8)
    figure.suptitle(pair.name, fontsize=9)
    figure.savefig(path, dpi=130)
