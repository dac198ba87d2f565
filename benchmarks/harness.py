"""What all tables share: the machine, the rows, and the files that a run leaves."""

import csv
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cores import THREADS
from benchmarks.paired import DRAWS, Difference
from tfreg import io
from tfreg.errors import InputError


@dataclass(frozen=True)
class Row:
    """One number of a table with its spread."""

    method: str
    group: str
    metric: str
    unit: str
    mean: float
    sd: float
    median: float
    q1: float
    q3: float
    n: int
    paper: float | None = None
    paper_sd: float | None = None

    @classmethod
    def of(
        cls,
        method: str,
        group: str,
        metric: str,
        unit: str,
        values: Sequence[float],
        paper: float | None = None,
    ) -> "Row":
        """Mean, SD over the values (n - 1), median and quartiles."""
        values = np.asarray(values, "float64")
        q1, median, q3 = np.percentile(values, [25, 50, 75])
        sd = values.std(ddof=1) if len(values) > 1 else 0.0
        numbers = (float(f"{v:.6g}") for v in (values.mean(), sd, median, q1, q3))
        return cls(method, group, metric, unit, *numbers, len(values), paper)


@dataclass
class Table:
    """A table as it is written to disk.

    Attributes:
        name: name of the table.
        data: what it ran on.
        protocol: how, in a few sentences.
        columns: metrics to print, with the statistic to print of each.
        rows: all numbers.
        figures: functions that write a figure to a path, by file name.
        settings: seed, pairs and whatever else decides the result.
        notes: what went wrong or must be known.
        differences: of methods to others on the same pairs.
        layout: ``"methods"``: a line per method, a column per metric, over all groups; then the
            first metric by group. ``"groups"``: a block per metric, a line per method, a column per
            group.
    """

    name: str
    data: str
    protocol: str
    columns: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    figures: dict[str, Callable[[Path], Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    layout: str = "methods"

    def markdown(self) -> str:
        """Title, protocol, the numbers in the table's layout, notes, settings and machine."""
        lines = [f"## {self.name}: {self.data}", "", self.protocol, ""]
        lines += self._by_group() if self.layout == "groups" else self._by_method()
        lines += self._differences()
        lines += ["", *(f"- {note}" for note in self.notes)]
        settings = ", ".join(f"{key} {value}" for key, value in self.settings.items())
        about = machine()
        lines += [
            f"- {settings}",
            f"- {about['processor']}, {about['cores']} cores, {about['system']}, Python "
            f"{about['python']}; " + ", ".join(f"{k} {v}" for k, v in about["versions"].items()),
        ]
        return "\n".join(lines) + "\n"

    def _by_group(self) -> list[str]:
        groups = list(dict.fromkeys(row.group for row in self.rows))
        lines = []
        for metric, statistic in self.columns.items():
            rows = [row for row in self.rows if row.metric == metric]
            if not rows:
                continue
            shown = [group for group in groups if any(row.group == group for row in rows)]
            unit = f" ({rows[0].unit})" if rows[0].unit != "1" else ""
            lines += ["", *_line([f"{metric}{unit}", *shown]), *_line(["---"] * (1 + len(shown)))]
            for method in dict.fromkeys(row.method for row in rows):
                cells = {row.group: row for row in rows if row.method == method}
                lines += _line([method, *(_cell(cells.get(g), statistic) for g in shown)])
        return lines

    def _by_method(self) -> list[str]:
        groups: dict[str, dict[str, dict[str, Row]]] = {}
        for row in self.rows:
            groups.setdefault(row.group, {}).setdefault(row.method, {})[row.metric] = row
        lines = []
        shown = [c for c in self.columns if any(r.metric == c for r in self.rows)]
        units = {row.metric: row.unit for row in self.rows}
        header = [f"{c} ({units[c]})" if units[c] != "1" else c for c in shown]
        # The paper's value stands beside ours, metric by metric.
        paper = [c for c in shown if any(r.metric == c and r.paper is not None for r in self.rows)]
        names = [*header, *(f"paper: {metric}" for metric in paper)]
        lines += _line(["method", *names])
        lines += _line(["---"] * (1 + len(names)))
        for method, cells in groups.get("all", {}).items():
            numbers = [_cell(cells.get(c), self.columns[c]) for c in shown]
            numbers += [_paper(cells.get(c)) for c in paper]
            lines += _line([method, *numbers])
        rest = {group: methods for group, methods in groups.items() if group != "all"}
        if rest:
            metric = shown[0]
            names = list(dict.fromkeys(m for methods in rest.values() for m in methods))
            lines += ["", f"{metric} by group, mean ± SD:", ""]
            lines += _line(["group", *names, *(["paper"] if paper else [])])
            lines += _line(["---"] * (1 + len(names) + bool(paper)))
            for group, methods in rest.items():
                cells = [_cell(methods.get(m, {}).get(metric), "mean ± sd") for m in names]
                values = [text for r in methods.values() if (text := _paper(r.get(metric)))]
                lines += _line([group, *cells, *([values[0] if values else ""] * bool(paper))])
        return lines

    def _differences(self) -> list[str]:
        """A block per metric: a line per method, a column per reference."""
        lines = []
        for metric in dict.fromkeys(one.metric for one in self.differences):
            found = [one for one in self.differences if one.metric == metric]
            references = list(dict.fromkeys(one.reference for one in found))
            cells = {(one.method, one.reference): one for one in found}
            unit = f" ({found[0].unit})" if found[0].unit != "1" else ""
            n, clusters = (max(getattr(one, key) for one in found) for key in ("n", "clusters"))
            drawn = f"{found[0].resampled}s"
            over = f"{n} registrations of {clusters} {drawn}" if n > clusters else f"{n} {drawn}"
            lines += [
                "",
                f"paired differences of {metric}{unit}, mean [95 % interval] over {over}; each "
                f"interval from {DRAWS} draws of {drawn}:",
                "",
                *_line(["method", *(f"less {reference}" for reference in references)]),
                *_line(["---"] * (1 + len(references))),
            ]
            for method in dict.fromkeys(one.method for one in found):
                shown = [_difference(cells.get((method, name))) for name in references]
                lines += _line([method, *shown])
        return lines

    def write(self, folder: Path, json_file: Path | None = None) -> None:
        """Writes ``table.md``, ``table.csv``, ``table.json`` and the figures, all or none."""
        if not self.rows:
            raise InputError(f"No method of {self.name} could run. {' '.join(self.notes)}")
        rows = [asdict(row) for row in self.rows]
        content = {
            "table": self.name,
            "data": self.data,
            "protocol": self.protocol,
            "settings": self.settings,
            "notes": self.notes,
            "machine": machine(),
            "rows": rows,
            "differences": [asdict(one) for one in self.differences],
        }
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"

        def write_csv(path: Path) -> None:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, ["data", *rows[0]], lineterminator="\n")
                writer.writeheader()
                writer.writerows({"data": self.data, **row} for row in rows)

        writers = {
            "table.md": lambda path: path.write_text(self.markdown(), encoding="utf-8"),
            "table.json": lambda path: path.write_text(text, encoding="utf-8"),
            "table.csv": write_csv,
        }
        io.write_together(folder, {**writers, **self.figures})
        if json_file is not None:
            io.write_together(
                json_file.parent, {json_file.name: lambda path: path.write_text(text, "utf-8")}
            )


def choose(requested: str | None, known: Sequence[str]) -> list[str]:
    """The methods that ``--methods`` names, in the order of the table."""
    if requested is None:
        return list(known)
    names = _names(requested, known)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise InputError(
            f"--methods takes {', '.join(known)}. Received: {', '.join(unknown) or 'nothing'}"
        )
    return [name for name in known if name in names]


def _names(requested: str, known: Sequence[str]) -> list[str]:
    """What stands between the commas, but for the commas within a known name."""
    parts = [part.strip() for part in requested.split(",") if part.strip()]
    names = []
    while parts:
        ends = range(len(parts), 0, -1)
        end = next((k for k in ends if ", ".join(parts[:k]) in known), 1)
        names.append(", ".join(parts[:end]))
        del parts[:end]
    return names


def machine() -> dict[str, Any]:
    """Processor, cores, system and versions of what takes part."""
    packages = (
        "tfreg",
        "keras",
        "tensorflow",
        "tensorflow-cpu",
        "jax",
        "itk-elastix",
        "numpy",
        "scipy",
        "SimpleITK",
        "torch",
        "picsl-greedy",
        "antspyx",
        "convexAdam",
        "diffdrr",
        "nanodrr",
        "plastimatch",
        "syntx",
        "PyWavelets",
        "pystackreg",
        "distributed",
    )
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": THREADS,
        "system": platform.system(),
        "python": platform.python_version(),
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "versions": versions,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _line(cells: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(cells) + " |"]


def _cell(row: Row | None, statistic: str) -> str:
    if row is None:
        return ""
    if statistic == "mean ± sd":
        return f"{row.mean:.3f} ± {row.sd:.3f}"
    return f"{getattr(row, statistic):.3g}"


def _difference(one: Difference | None) -> str:
    return "" if one is None else f"{one.mean:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"


def _paper(row: Row | None) -> str:
    """The paper's value, with its SD where the paper has one."""
    if row is None or row.paper is None:
        return ""
    return f"{row.paper:g}" if row.paper_sd is None else f"{row.paper:g} ± {row.paper_sd:g}"
