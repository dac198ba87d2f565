"""What the tables beside other tools share: methods, the measurement, the Pareto plot."""

import contextlib
import importlib.util
import os
from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Row, Table
from benchmarks.judge import Labels, judge
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.instance import Instance
from benchmarks.methods.networks import Network
from benchmarks.methods.others import NEEDS, Tool, installed
from benchmarks.methods.worker import WorkerError
from benchmarks.pairs import Pair, confined
from tfreg.registration import forget
from tfreg.viz import new_figure

OURS = {f"tfreg {setting}": {"pyramid": setting} for setting in ("fast", "default", "accurate")}
TOOLS = tuple(NEEDS)
_OURS = ("tfreg", "dirnet", "dlir")
THREADS = os.cpu_count() or 1  # all methods may use all cores
TOOL_SETTINGS = (
    "greedy: NCC of radius 2, 100x100x50 iterations, its own smoothing; ANTs: SyN, CC of radius 2, "
    "100x70x50 iterations (3-D: 100x70x20), its files included in the time"
)
UNITS = {
    "dice": "1",
    "dice LV": "1",
    "dice RV": "1",
    "dice anterior": "1",
    "dice posterior": "1",
    "hd95": "mm",
    "msd": "mm",
    "sd log J": "1",
    "ncc": "1",
    "tre": "mm",
    "tre p95": "mm",
    "error": "mm",
    "error p95": "mm",
    "error voxels": "voxels",
    "error p95 voxels": "voxels",
    "folding": "%",
    "seconds": "s",
    "seconds_batched": "s",
    "compile": "s",
}


@dataclass
class Measurement:
    """Runs methods on the same pairs and collects the rows of a table.

    Attributes:
        table: where the rows go.
        pairs: what every method registers.
        elastix: settings of elastix by the name of the method.
        ours: options of ``register`` by the name of the method.
        networks: arguments of :class:`benchmarks.methods.networks.Network` by the name of the
            method: preset and refinement, of DLIR also the number of stages, and the similarity of
            the refinement where it is not the preset's.
        labels, surfaces: as :func:`benchmarks.judge.judge` takes them.
        batch: pairs per batch of ours; 0: one at a time only.
        affine: whether the tools that have no settings here begin with an affine registration.
        in_voxels: whether the grid spacings of elastix are in voxels, whatever their size.
        by_pair: whether every pair is a group of the table.
        confined: other tools that see a pair as :func:`benchmarks.pairs.confined` shows it.
        keep: displacements that :meth:`run` returns at most, of large volumes; ``None``: all.
        values: of every method and metric, one per pair; filled by :meth:`run`.
    """

    table: Table
    pairs: list[Pair]
    elastix: dict[str, Settings]
    ours: dict[str, dict[str, Any]] = field(default_factory=lambda: OURS)
    networks: dict[str, tuple] = field(default_factory=dict)
    labels: Labels = field(default_factory=dict)
    surfaces: bool = False
    batch: int = 0
    affine: bool = False
    in_voxels: bool = False
    by_pair: bool = False
    confined: Container[str] = ()
    keep: int | None = None
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def run(self, method: str) -> list[np.ndarray]:
        """Measures one method and returns its displacements, for a figure."""
        if method == "none":
            fields = []
            for pair in self.pairs:
                self._judge(method, pair, _start(pair), fields)
            self._write(method, {})
            return fields
        if method in self.ours:
            return self._ours(method, Instance(**self.ours[method]))
        if method in self.networks:
            return self._network(method, Network(*self.networks[method]))
        if method in TOOLS:
            if not installed(method):
                self.table.notes.append(f"{method}: skipped, {NEEDS[method]} is not installed.")
                return []
            tool = Tool(method, self.affine, THREADS)
            try:
                return self._theirs(method, tool)
            finally:
                tool.close()
        if importlib.util.find_spec("itk") is None:
            self.table.notes.append(f"{method}: skipped, itk-elastix is not installed.")
            return []
        elastix = Elastix(replace(self.elastix[method], threads=THREADS), timeout=1200)

        def call(pair: Pair) -> tuple[np.ndarray, float, float]:
            spacing = None if self.in_voxels else pair.spacing
            return elastix(pair.fixed, pair.moving, spacing, pair.fixed_mask, pair.start)

        try:
            return self._theirs(method, call)
        finally:
            elastix.close()

    def _ours(self, method: str, register: Instance) -> list[np.ndarray]:
        from tqdm import tqdm

        forget()  # what an earlier method compiled is not given to this one
        times = {"seconds": [], "compile": [register(self.pairs[:1])[2]]}
        fields = []
        for pair in tqdm(self.pairs, desc=method, unit="pair"):
            displacement, seconds, _ = register([pair])
            self._judge(method, pair, displacement[0], fields)
            times["seconds"].append(seconds)
        if self.batch:
            chosen = [self.pairs[i % len(self.pairs)] for i in range(self.batch)]
            register(chosen)
            times["seconds_batched"] = [register(chosen)[1] / self.batch for _ in range(3)]
        self._write(method, times)
        return fields

    def _network(self, method: str, network: Network) -> list[np.ndarray]:
        from tqdm import tqdm

        forget()
        fields, times = [], {"seconds": []}
        for pair in tqdm(self.pairs, desc=method, unit="pair"):
            displacement, seconds = network.pair(pair)
            self._judge(method, pair, displacement, fields)
            times["seconds"].append(seconds)
        if self.batch:
            chosen = [self.pairs[i % len(self.pairs)] for i in range(self.batch)]
            sides = (np.stack([getattr(p, name) for p in chosen]) for name in ("fixed", "moving"))
            fixed, moving = sides
            times["seconds_batched"] = [network(fixed, moving)[1] / self.batch for _ in range(3)]
        self._write(method, times)
        return fields

    def _theirs(self, method: str, call: Callable) -> list[np.ndarray]:
        from tqdm import tqdm

        fields, seconds, failures = [], [], []
        with contextlib.suppress(WorkerError):
            call(_small(self.pairs[0]))  # warm: the libraries are loaded
        seen = self._seen(method)
        for index, pair in enumerate(tqdm(self.pairs, desc=method, unit="pair")):
            try:
                displacement, taken, _ = call(seen[index])
            except WorkerError as reason:
                failures.append(f"{method} failed on {pair.name}: {reason}")
                displacement, taken = _start(pair), None
            self._judge(method, pair, displacement, fields)
            if taken is not None:
                seconds.append(taken)
        if not seconds:  # what it was judged by is the start, which `none` shows
            self.table.rows = [row for row in self.table.rows if row.method != method]
            self.values.pop(method, None)
            self.table.notes.append(f"{method}: left out, it failed on every pair. {failures[0]}")
            return []
        self.table.notes += failures
        self._write(method, {"seconds": seconds})
        return fields

    def _seen(self, method: str) -> list[Pair]:
        """The pairs as a method sees them; all are judged on the pairs as they are."""
        return [confined(p) for p in self.pairs] if method in self.confined else self.pairs

    def _judge(
        self, method: str, pair: Pair, displacement: np.ndarray, fields: list[np.ndarray]
    ) -> None:
        """Takes the figures of one registration, and keeps its displacement if it is asked for."""
        values = self.values.setdefault(method, {})
        for metric, value in judge(pair, displacement, self.labels, self.surfaces).items():
            values.setdefault(metric, []).extend(value)
            if self.by_pair:
                self._row(method, pair.name, metric, value)
        if self.keep is None or len(fields) < self.keep:
            fields.append(displacement.astype("float32"))

    def _write(self, method: str, times: dict[str, list]) -> None:
        for metric, found in {**self.values[method], **times}.items():
            known = self._row(method, "all", metric, found)
            if known < len(found) and metric in self.table.columns:
                missing = len(found) - known
                self.table.notes.append(f"{method}: no {metric} in {missing} of {len(found)}.")

    def _row(self, method: str, group: str, metric: str, found: list[float]) -> int:
        """Adds a row of the values that are there, and answers their number."""
        unit = self.pairs[0].unit if UNITS[metric] == "mm" else UNITS[metric]
        known = [value for value in found if not np.isnan(value)]
        if known:
            self.table.rows.append(Row.of(method, group, metric, unit, known))
        return len(known)


def _small(pair: Pair) -> Pair:
    """A quarter of the voxels along each axis, without mask and start."""
    every = (slice(None, None, 4),) * pair.fixed.ndim
    return Pair("small", pair.fixed[every], pair.moving[every], pair.spacing)


def _start(pair: Pair) -> np.ndarray:
    start = np.zeros(pair.fixed.ndim) if pair.start is None else np.array(pair.start)
    return np.broadcast_to(start, (*pair.fixed.shape, pair.fixed.ndim)).copy()


def pareto(table: Table, metric: str, path: Path) -> None:
    """Accuracy against time: every method a point, ours also in batches."""
    from matplotlib.ticker import AutoLocator, LogLocator

    figure, axes = new_figure(1, 1, 5.0)
    figure.set_size_inches(8, 4.6)
    axis = axes[0, 0]
    cells = {(row.method, row.metric): row for row in table.rows if row.group == "all"}
    kinds = (  # marker and colour
        ("seconds", True, "tfreg, one at a time", "o", "tab:blue"),
        ("seconds_batched", True, "tfreg, in batches", "s", "tab:green"),
        ("seconds", False, "others", "o", "tab:orange"),
    )
    labels = []
    for time, ours, kind, marker, colour in kinds:
        methods = dict.fromkeys(row.method for row in table.rows if (row.method, time) in cells)
        chosen = [m for m in methods if m.startswith(_OURS) == ours and (m, metric) in cells]
        points = [(cells[m, time].median, cells[m, metric].mean) for m in chosen]
        if points:
            axis.semilogx(*zip(*points, strict=True), marker, color=colour, label=kind)
        labels += [
            (p, m.removeprefix("tfreg "), colour) for p, m in zip(points, chosen, strict=True)
        ]
    without = cells.get(("none", metric))
    if without is not None:
        axis.plot([], [], " ", label=f"no registration: {without.mean:.3g}")
    axis.set_xlabel("seconds per pair (log)")
    axis.set_ylabel(f"mean {metric} ({UNITS[metric]})".replace(" (1)", ""))
    axis.set_title(table.data, fontsize=9)
    axis.margins(x=0.15, y=0.15)
    axis.xaxis.set_major_locator(LogLocator())
    axis.yaxis.set_major_locator(AutoLocator())
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7, loc="best")
    _annotate(figure, axis, labels)
    figure.savefig(path, dpi=130)


def _annotate(figure: Any, axis: Any, labels: list[tuple]) -> None:
    """Writes each label beside its point where it covers least of what is already there."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    taken = [axis.get_legend().get_window_extent(renderer).padded(2)]
    for point, _, _ in labels:
        x, y = axis.transData.transform(point)
        taken.append(taken[0].from_bounds(x - 4, y - 4, 8, 8))
    sides = [("left", 6), ("right", -6), ("center", 0)]
    places = [(h, dx, dy) for dy in (0, 8, -8, 16, -16) for h, dx in sides if dx or dy]
    for point, text, colour in labels:
        tried = []
        for order, (align, dx, dy) in enumerate(places):
            note = axis.annotate(
                text,
                point,
                xytext=(dx, dy),
                textcoords="offset points",
                ha=align,
                va="center",
                fontsize=7,
                color=colour,
            )
            box = note.get_window_extent(renderer)
            inside = axis.get_window_extent(renderer)
            out = not (inside.x0 < box.x0 and box.x1 < inside.x1)
            covered = sum(box.overlaps(other) for other in taken)
            tried.append(((covered + 3 * out, order), note, box))
            note.remove()
        _, note, box = min(tried, key=lambda one: one[0])
        axis.add_artist(note)
        taken.append(box)
