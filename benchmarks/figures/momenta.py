"""The initial momenta of several methods on one pair."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.pairs import Pair
from tfreg.viz import new_figure


def momenta(pair: Pair, found: Mapping[str, np.ndarray], path: Path) -> None:
    """Both images, then the magnitude of each momentum, in one scale.

    Args:
        pair: that was registered; of a volume the middle slice along the first axis is shown.
        found: by method, ``(*spatial, ndim)``.
        path: of the picture.
    """
    middle = () if pair.fixed.ndim == 2 else (pair.fixed.shape[0] // 2,)
    sizes = {method: np.linalg.norm(one, axis=-1)[middle] for method, one in found.items()}
    highest = float(np.percentile(np.stack(list(sizes.values())), 99.5))
    figure, axes = new_figure(1, 2 + len(sizes), 2.2)
    for axis, name in zip(axes[0], ("moving", "fixed"), strict=False):
        axis.imshow(getattr(pair, name)[middle], cmap="gray")
        axis.set_title(name, fontsize=8)
    for axis, (method, size) in zip(axes[0][2:], sizes.items(), strict=True):
        axis.imshow(size, cmap="magma", vmin=0, vmax=max(highest, 1e-9))
        axis.set_title(method, fontsize=8)
    figure.suptitle(f"{pair.name}; initial momentum, up to {highest:.2g}", fontsize=9)
    figure.savefig(path, dpi=130)
