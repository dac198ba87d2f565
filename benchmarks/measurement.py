"""Runs contenders on the same pairs, judges them alike, and collects the rows of a table."""

import fnmatch
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from benchmarks.harness import Row, Table
from benchmarks.judge import Labels, judge, unit_of
from benchmarks.methods.contender import Batched, ColdStart, Contender, Weighed
from benchmarks.methods.worker import WorkerError
from benchmarks.paired import paired
from benchmarks.pairs import Pair

BATCHES = 3  # timed ones
REPEATS = 7  # of what is timed without a contender

Figures = dict[str, list[float]]


@dataclass
class Measurement:
    """What contenders are measured on, and what was found.

    Attributes:
        table: where rows, notes and figures go.
        pairs: what every contender registers. Those of one group have rows of their own beside
            those of all.
        labels, surfaces: as :func:`benchmarks.judge.judge` takes them.
        batch: pairs per batch, of contenders that have batches; 0: one at a time only.
        cold: whether cold starts are timed, of contenders that have them.
        memory: whether the peak of memory is taken, of contenders in processes of their own.
        keep: displacements that :meth:`run` returns at most, of large volumes; ``None``: all.
        values: of every method and metric, one per pair (of landmarks: one for each); filled by
            :meth:`run`.
        ours: the methods of this library among them; filled by :meth:`run`.
    """

    table: Table
    pairs: list[Pair]
    labels: Labels = field(default_factory=dict)
    surfaces: bool = False
    batch: int = 0
    cold: bool = False
    memory: bool = False
    keep: int | None = None
    values: dict[str, Figures] = field(default_factory=dict)
    ours: list[str] = field(default_factory=list)

    def run_all(self, contenders: Sequence[Contender]) -> dict[str, list[np.ndarray]]:
        """:meth:`run` of each; the displacements of those that could."""
        fields = {contender.name: self.run(contender) for contender in contenders}
        return {method: found for method, found in fields.items() if found}

    def run(self, contender: Contender) -> list[np.ndarray]:
        """Measures one contender and returns its displacements, for a figure.

        One that cannot run is noted and has no row.
        """
        reason = contender.unavailable()
        if reason is not None:
            self.table.notes.append(f"{contender.name}: {reason}")
            return []
        try:
            return self._measured(contender)
        finally:
            contender.close()

    def pareto(self, metric: str, name: str = "pareto.png") -> None:
        """Adds the figure of accuracy against time, where there is more than one method."""
        if sum(metric in found for found in self.values.values()) > 1:
            from benchmarks.figures import pareto

            self.table.figures[name] = partial(pareto, self.table, metric, self.ours)

    def outlines(self, fields: dict[str, list[np.ndarray]], labels: Sequence[int]) -> None:
        """Adds the figure of outlines, of some of what :meth:`run_all` answered."""
        if fields:
            from benchmarks.figures import outlines

            dice = {method: self.values[method]["dice"] for method in fields}
            self.table.figures["outlines.png"] = partial(outlines, self.pairs, labels, fields, dice)

    def compare(self, metric: str, references: Sequence[str]) -> None:
        """Adds the paired differences to each of some methods, where it was measured.

        Args:
            metric: of which there is one value per pair, of overlaps; or ``"tre"``, of one pair,
                with one value per landmark.
            references: names of methods; of all that a pattern such as ``"elastix *"`` fits, the
                one whose mean is best.
        """
        known = {method: found[metric] for method, found in self.values.items() if metric in found}
        compared = {method: found for method, found in known.items() if method != "none"}
        clusters, resampled, better = [pair.patient for pair in self.pairs], "patient", max
        if metric == "tre":
            count = len(self.pairs[0].fixed_points)
            clusters, resampled, better = list(map(str, range(count))), "landmark", min
        unit, seed = unit_of(metric, self.pairs[0].unit), self.table.settings["seed"]
        for pattern in references:
            fitting = fnmatch.filter(compared, pattern)
            if fitting:
                best = better(fitting, key=lambda method: np.nanmean(known[method]))
                self.table.differences += paired(
                    compared, best, clusters, metric, unit, resampled, seed
                )

    def _measured(self, contender: Contender) -> list[np.ndarray]:
        from tqdm import tqdm

        method, fields, failures = contender.name, [], []
        found: dict[str, Figures] = {"": {}}  # by group, and by "" of all pairs
        compiling = contender.warm(self.pairs[0])
        for pair in tqdm(self.pairs, desc=method, unit="pair"):
            try:
                displacement, seconds = contender.register(pair)
            except WorkerError as reason:
                failures.append(f"{method} failed on {pair.name}: {reason}")
                displacement, seconds = pair.at_start(), None
            figures = judge(pair, displacement, self.labels, self.surfaces)
            if seconds is not None:
                figures["seconds"] = [seconds]
            for group in {"", pair.group}:
                for metric, values in figures.items():
                    found.setdefault(group, {}).setdefault(metric, []).extend(values)
            if self.keep is None or len(fields) < self.keep:
                fields.append(displacement.astype("float32"))
        if len(failures) == len(self.pairs):  # what it was judged by is the start: that is `none`
            self.table.notes.append(f"{method}: left out, it failed on every pair. {failures[0]}")
            return []
        self.table.notes += failures
        everything = found.pop("")
        self.values[method] = {m: v for m, v in everything.items() if m != "seconds"}
        everything |= {} if compiling is None else {"compile": [compiling]}
        if self.memory and isinstance(contender, Weighed):
            peak = contender.peak_mib()
            everything |= {} if peak is None else {"peak_mib": [peak]}
        everything |= self._batches(contender) | self._cold(contender)
        for metric, values in everything.items():
            missing = len(values) - self._row(method, "all", metric, values)
            if missing and metric in self.table.columns:
                self.table.notes.append(f"{method}: no {metric} in {missing} of {len(values)}.")
        for group, figures in found.items():
            for metric, values in figures.items():
                self._row(method, group, metric, values)
        if contender.ours:
            self.ours.append(method)
        return fields

    def _batches(self, contender: Contender) -> Figures:
        """Seconds per pair in batches of one group each, its pairs repeated until they are full."""
        if not self.batch or not isinstance(contender, Batched):
            return {}
        seconds = []
        for group in dict.fromkeys(pair.group for pair in self.pairs):
            members = [pair for pair in self.pairs if pair.group == group]
            chosen = [members[i % len(members)] for i in range(self.batch)]
            contender.batch(chosen)
            seconds += [contender.batch(chosen) / self.batch for _ in range(BATCHES)]
        return {"seconds_batched": seconds}

    def _cold(self, contender: Contender) -> Figures:
        if not self.cold or not isinstance(contender, ColdStart):
            return {}
        seconds, peak = contender.cold(self.pairs[0])
        return {"seconds_cold": [seconds], "peak_mib": [peak]}

    def _row(self, method: str, group: str, metric: str, found: list[float]) -> int:
        """Adds a row of the values that are there, and answers their number."""
        known = [value for value in found if not np.isnan(value)]
        if known:
            unit = unit_of(metric, self.pairs[0].unit)
            self.table.rows.append(Row.of(method, group, metric, unit, known))
        return len(known)


def timed(run: Callable[[], Any]) -> list[float]:
    """Seconds of warm runs."""
    seconds = []
    for _ in range(1 + REPEATS):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return seconds[1:]
