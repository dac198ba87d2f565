"""``tfreg batch PAIRS.csv -o FOLDER``: many pairs, started once."""

import argparse
import csv
import json
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfreg.cli.pairs import Pair, read_pairs, shard_of
from tfreg.cli.pipeline import run_all
from tfreg.cli.registrar import Read, Registrar
from tfreg.cli.results import array_summary, physical_of, report_writer, suffix_of
from tfreg.cli.settings import Settings, add_settings
from tfreg.errors import InputError

SOME_FAILED = 3
_RECORD = "registration.json"
_COLUMNS = (
    *("name", "fixed", "moving", "status", "similarity", "before", "after", "folding"),
    *("seconds", "error"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument(
        "pairs",
        type=Path,
        help="CSV file with the columns fixed and moving, and name, fixed_mask and moving_mask "
        "where there are any; paths are relative to it",
    )
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        type=Path,
        help="folder for summary.csv and a folder per pair, which holds the moved image, the "
        "displacement and registration.json. Pairs that are there from the same files and "
        "settings are not registered again",
    )
    parser.add_argument(
        "--shard", metavar="I/N", help="only every Nth pair, from the Ith: for N machines"
    )
    add_settings(parser)


def run(options: argparse.Namespace) -> int:
    """Registers all pairs; answers the exit code."""
    return run_pairs(options)


def run_pairs(options: argparse.Namespace) -> int:
    """Registers the pairs of ``options.pairs``; one that fails does not stop the others.

    Returns:
        The exit code: 3 where a pair failed.

    Raises:
        InputError: if there is no pair to begin with, or the folder cannot be written to.
    """
    settings = Settings.of(options)
    part, parts = shard_of(options.shard)
    pairs = read_pairs(options.pairs)[part - 1 :: parts]
    name = "summary.csv" if parts == 1 else f"summary-{part}-of-{parts}.csv"
    _check_writable(options.out)
    registrar = Registrar(settings)
    registrar.check()
    batch = _Batch(registrar, options)
    progress = _Progress(options.command, len(pairs))
    rows = {pair.name: _row(pair, "not done") for pair in pairs}
    try:
        for pair, outcome in run_all(pairs, batch, registrar.model is not None):
            if isinstance(outcome, Exception):
                outcome = _row(pair, "failed", error=_reason(outcome, options.verbose))
            rows[pair.name] = outcome
            progress.add(outcome)
    finally:
        _write_summary(options.out, name, list(rows.values()))
    progress.close(options.out / name)
    return SOME_FAILED if progress.counts["failed"] else 0


@dataclass(frozen=True)
class Loaded:
    """A pair that is to be registered."""

    read: Read
    provenance: dict[str, Any]


class _Batch:
    """What happens to each pair, as :func:`tfreg.cli.pipeline.run_all` calls it."""

    def __init__(self, registrar: Registrar, options: argparse.Namespace) -> None:
        self.registrar = registrar
        self.out, self.report = options.out, options.report

    def load(self, pair: Pair) -> Loaded | dict[str, Any]:
        """A pair ready to register, or its row where it is done already."""
        from tfreg.io.formats import existing

        for path in pair.files.named.values():
            existing(path)
        provenance = self.registrar.provenance(pair.files)
        done = self._done(pair, provenance)
        return done or Loaded(self.registrar.read(pair.files), provenance)

    def kind(self, loaded: Loaded) -> tuple:
        return loaded.read.job.kind

    def voxels(self, loaded: Loaded) -> int:
        return loaded.read.job.pair.fixed.size

    def register(self, group: Sequence[Loaded]) -> list[Any]:
        return self.registrar.register([loaded.read for loaded in group])

    def write(self, pair: Pair, loaded: Loaded, answer: Any) -> dict[str, Any]:
        """Writes a pair's folder; its row."""
        from tfreg import io

        folder = self.out / pair.name
        answer = loaded.read.concluded(answer)
        physical = loaded.read.physical
        record, files = (self._physical if physical else self._arrays)(pair, answer, folder)
        record["provenance"] = loaded.provenance
        if self.report:
            page = answer if physical else physical_of(answer)
            files["report.html"] = report_writer(pair.files, self.registrar, page)
        files[_RECORD] = lambda path: path.write_text(json.dumps(record, indent=2) + "\n")
        io.write_together(folder, files)
        return _row(pair, "done", record)

    def _arrays(self, pair: Pair, answer: Any, folder: Path) -> tuple[dict, dict]:
        import numpy as np

        return array_summary(pair.files, self.registrar, answer), {
            "moved.npy": lambda path: np.save(path, answer.moved),
            "displacement.npy": lambda path: np.save(path, answer.displacement),
        }

    def _physical(self, pair: Pair, answer: Any, folder: Path) -> tuple[dict, dict]:
        from tfreg import io, transforms

        files, _ = transforms.writers(answer.displacement, folder / "displacement.nii")
        files[f"moved{suffix_of(pair.files.fixed)}"] = lambda path: io.write(answer.stored(), path)
        record = {
            **self.registrar.settings.record(),
            "fixed": str(pair.files.fixed),
            "moving": str(pair.files.moving),
            "displacement": "displacement.nii: LPS mm on the grid of the fixed image; "
            "moved(x) = moving(x + u(x))",
            **answer.summary(),
        }
        return record, files

    def _done(self, pair: Pair, provenance: dict[str, Any]) -> dict[str, Any] | None:
        """The row of a pair that is there, from the same files and settings."""
        try:
            record = json.loads((self.out / pair.name / _RECORD).read_text())
            if record["provenance"] == provenance:
                return _row(pair, "there", record)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None


def _row(
    pair: Pair, status: str, record: dict[str, Any] | None = None, error: str = ""
) -> dict[str, Any]:
    row = dict.fromkeys(_COLUMNS, "")
    row |= {"name": pair.name, "fixed": pair.files.fixed, "moving": pair.files.moving}
    if record is not None:
        name = record["similarity"]
        for when in ("before", "after"):
            row[when] = record.get(f"similarity_{when}", record.get(f"{name}_{when}"))
        row |= {key: record[key] for key in ("similarity", "folding", "seconds")}
    return row | {"status": status, "error": error}


def _reason(error: Exception, verbose: bool) -> str:
    if verbose:
        traceback.print_exception(error)
    text = " ".join(str(error).split())
    if isinstance(error, InputError):
        return text
    return f"unexpected failure: {type(error).__name__}: {text}"


def _check_writable(folder: Path) -> None:
    """Raises ``InputError`` before any work where nothing could be written."""
    import tempfile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{folder} cannot be written to: {error.strerror or error}") from error


def _write_summary(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    from tfreg import io

    def write(path: Path) -> None:
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, _COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    io.write_together(folder, {name: write})


class _Progress:
    """Says on stderr how far it is, at most twice a second on a terminal, else every ten."""

    def __init__(self, command: str, total: int) -> None:
        self.command, self.total = command, total
        self.counts = {"done": 0, "there": 0, "failed": 0}
        self._terminal = sys.stderr.isatty()
        self._begin = self._last = time.monotonic()

    def add(self, row: dict[str, Any]) -> None:
        self.counts[row["status"]] += 1
        if row["status"] == "failed":
            self._say(f"{row['name']}: {row['error']}", "\n")
        now = time.monotonic()
        if now - self._last >= (0.5 if self._terminal else 10.0):
            self._last = now
            self._say(self._line(), "" if self._terminal else "\n")

    def close(self, summary: Path) -> None:
        if self._terminal:
            self._say("", "")
        print(f"{self._line()}; {summary}")

    def _line(self) -> str:
        counts, seconds = self.counts, time.monotonic() - self._begin
        rate = counts["done"] / seconds if seconds > 0 else 0.0
        return (
            f"{sum(counts.values())} of {self.total} pairs: {counts['done']} done, "
            f"{counts['there']} there before, {counts['failed']} failed, {rate:.3g} a second"
        )

    def _say(self, text: str, end: str) -> None:
        clear = "\r\x1b[K" if self._terminal else ""
        text = f"tfreg {self.command}: {text}" if text else ""
        print(f"{clear}{text}", end=end, file=sys.stderr, flush=True)
