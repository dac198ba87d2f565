"""The page of an aligned stack: cuts across its sections, before and after."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tfreg.report import frame, tables
from tfreg.report.png import data_uri, png
from tfreg.serial import lattice


@dataclass
class Cuts:
    """What a page shows of a stack, taken section by section.

    Attributes:
        names: of the sections.
        xz, yz: a row, or column, of each section, ``"before"`` and ``"after"``.
        ncc: of each section with the one before it, where both show something, likewise; the first
            has none.
        bend: of each section the RMS of its displacement without its mean, px.
        shift: its mean, rows and columns, px.
    """

    names: list[str] = field(default_factory=list)
    xz: dict[str, list[np.ndarray]] = field(default_factory=lambda: {"before": [], "after": []})
    yz: dict[str, list[np.ndarray]] = field(default_factory=lambda: {"before": [], "after": []})
    ncc: dict[str, list[float]] = field(default_factory=lambda: {"before": [], "after": []})
    bend: list[float] = field(default_factory=list)
    shift: list[tuple[float, float]] = field(default_factory=list)
    _last: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def add(
        self, name: str, before: np.ndarray, after: np.ndarray, displacement: np.ndarray
    ) -> None:
        """Takes what is shown of the next section, in order."""
        self.names.append(name)
        shown = lattice.within(lattice.points(before.shape, 1) + displacement, before.shape)
        sides = (("before", before, np.ones_like(shown)), ("after", after, shown))
        for side, image, mask in sides:
            image = image.astype("float32")
            self.xz[side].append(image[len(image) // 2])
            self.yz[side].append(image[:, image.shape[1] // 2])
            if side in self._last:
                other, other_mask = self._last[side]
                both = mask & other_mask
                self.ncc[side].append(_ncc(other[both], image[both]))
            self._last[side] = image, mask
        mean = displacement.mean(axis=(0, 1))
        self.shift.append((float(mean[0]), float(mean[1])))
        self.bend.append(float(np.sqrt(((displacement - mean) ** 2).sum(axis=-1).mean())))


def html(cuts: Cuts, title: str = "Stack", said: Sequence[tuple[str, str]] = ()) -> str:
    """One page with all that it shows inside: it requests nothing.

    Args:
        cuts: of all sections.
        title: heading of the page.
        said: further lines, names and values, such as how it was aligned.

    Returns:
        HTML.
    """
    figures = [
        ("Sections", str(len(cuts.names))),
        *(
            (f"NCC of neighbours {side}", f"{float(np.mean(values)):.4f}")
            for side, values in cuts.ncc.items()
        ),
    ]
    each = zip(cuts.names, cuts.shift, cuts.bend, _lines(cuts), strict=True)
    lines = [
        (name, f"{row:.1f}, {column:.1f}", f"{bend:.2f}", *known)
        for name, (row, column), bend, known in each
    ]
    header = ("section", "shift (px)", "bend (px)", "NCC before", "NCC after")
    body = "".join(
        [
            frame.figures(figures),
            frame.card("Cut along the rows (xz)", _pictures(cuts.xz)),
            frame.card("Cut along the columns (yz)", _pictures(cuts.yz)),
            frame.card("How it was aligned", tables.rows(said)) if said else "",
            frame.card("Sections", tables.columns(header, lines)),
        ]
    )
    return frame.document(title, "stack aligned", body)


def _lines(cuts: Cuts) -> list[tuple[str, str]]:
    """The NCC of each section with the one before it, before and after."""
    pairs = zip(cuts.ncc["before"], cuts.ncc["after"], strict=True)
    return [("", ""), *((f"{one:.4f}", f"{other:.4f}") for one, other in pairs)]


def _pictures(cut: dict[str, list[np.ndarray]]) -> str:
    """Both sides in one window of grey, a section below the other."""
    both = {side: np.stack(rows) for side, rows in cut.items()}
    low, high = np.percentile(np.concatenate(list(both.values())), (0.5, 99.5))
    extent = max(float(high - low), 1e-6)
    found = []
    for side, image in both.items():
        grey = np.rint(255 * np.clip((image - low) / extent, 0, 1)).astype("uint8")
        height = max(6.0, min(40.0, 0.6 * len(grey)))  # rem
        found.append(
            f'<figure><img src="{data_uri(png(grey))}" alt="{side}" style="width:100%;'
            f'height:{height:.3g}rem;image-rendering:pixelated">'
            f"<figcaption>{side}</figcaption></figure>"
        )
    return "".join(found)


def _ncc(one: np.ndarray, other: np.ndarray) -> float:
    if not one.size:
        return 0.0
    one, other = one - one.mean(), other - other.mean()
    scale = np.sqrt(float((one**2).sum()) * float((other**2).sum()))
    return float((one * other).sum()) / scale if scale > 0 else 0.0
