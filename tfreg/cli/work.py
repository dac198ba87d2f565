"""What ``tfreg batch`` does with a pair of files, in whatever process does it."""

import csv
import json
import tempfile
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tfreg.cli.pairs import pairs_from, read_pairs
from tfreg.cli.registrar import Files, Read, Registrar
from tfreg.cli.results import array_summary, physical_of, report_writer, suffix_of
from tfreg.cli.settings import Settings
from tfreg.cohort.work import Pair
from tfreg.errors import InputError

RECORD = "registration.json"
COLUMNS = (
    "name",
    "fixed",
    "moving",
    "status",
    "similarity",
    "before",
    "after",
    "folding",
    "seconds",
    "error",
)


@dataclass(frozen=True)
class Loaded:
    """A pair that is to be registered."""

    read: Read
    provenance: dict[str, Any]


class Batch:
    """The work on pairs of files.

    Args:
        registrar: how they are registered.
        out: a folder per pair goes there.
        report: whether to write ``report.html``.
        run: what tells this run from others: what it did is not there before it.
        verbose: whether to print the traceback of a failure.
    """

    def __init__(
        self,
        registrar: Registrar,
        out: Path,
        report: bool = False,
        run: str = "",
        verbose: bool = False,
    ) -> None:
        self.registrar = registrar
        self.out, self.report, self.run, self.verbose = Path(out), report, run, verbose

    @property
    def together(self) -> bool:
        """Whether several at a time are sooner than one by one."""
        return self.registrar.model is not None

    def check(self) -> None:
        """Raises ``InputError`` where no pair could be registered or nothing written."""
        check_writable(self.out)
        self.registrar.check()

    def pair(self, name: str, files: Mapping[str, str]) -> Pair:
        return Pair(name, Files(**{key: Path(path) for key, path in files.items()}))

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
        # Two workers may have a pair, of which one was thought lost: the first folder stays.
        if self.run and (done := self._done(pair, loaded.provenance)):
            return done
        answer = loaded.read.concluded(answer)
        physical = loaded.read.physical
        record, files = (self._physical if physical else self._arrays)(pair, answer, folder)
        record["provenance"] = loaded.provenance
        if self.run:
            record["run"] = self.run
        if self.report:
            page = answer if physical else physical_of(answer)
            files["report.html"] = report_writer(pair.files, self.registrar, page)
        files[RECORD] = lambda path: path.write_text(json.dumps(record, indent=2) + "\n")
        io.write_folder(folder, files, last=RECORD, mark=self.run)
        return row_of(pair, "done", record)

    def failed(self, pair: Pair, error: Exception | str) -> dict[str, Any]:
        """The row of a pair that failed."""
        if isinstance(error, Exception):
            if self.verbose:
                traceback.print_exception(error)
            text = " ".join(str(error).split())
            if not isinstance(error, InputError):
                text = f"unexpected failure: {type(error).__name__}: {text}"
            error = text
        return row_of(pair, "failed", error=error)

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
            record = json.loads((self.out / pair.name / RECORD).read_text())
            if record["provenance"] == provenance:
                # A worker of this run may have written it and died before it could say so.
                ours = self.run and record.get("run") == self.run
                return row_of(pair, "done" if ours else "there", record)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None


def options_of(settings: Mapping[str, Any], out: Path, report: bool, run: str) -> str:
    """What :func:`of` takes.

    Raises:
        InputError: on settings that there are not, or that would have no effect.
    """
    given = {"model": None, "refine": 0, "initial": "geometry", **settings}
    if "task" in given:  # which users call settings
        given["settings"] = given.pop("task")
    without, task = given["model"] is None, given.get("settings")
    others = ("transform", "pyramid", "settings", "symmetric")
    for name in ("refine", "network") if without else others:
        if given.get(name):
            kind = "with a network; name a model" if without else "without a network"
            raise InputError(f"{name} has an effect only {kind}. Received: {given[name]!r}")
    if without:
        kinds = given.get("transform") or (None if task else "bspline")
        kinds = kinds.split(",") if isinstance(kinds, str) else kinds
        given["transform"] = kinds and [kind.strip() for kind in kinds]
        given["similarity"] = given.get("similarity") or (None if task else "ncc")
        given["pyramid"] = given.get("pyramid") or "default"
    if isinstance(given.get("similarity"), Mapping):
        weights = given["similarity"].items()
        given["similarity"] = ",".join(f"{name}={weight}" for name, weight in weights)
    names = ["settings" if name == "task" else name for name in Settings.__dataclass_fields__]
    unknown = [name for name in given if name not in names]
    if unknown:
        raise InputError(
            f"The settings are {', '.join(names)}. Received: {', '.join(map(str, unknown))}"
        )
    given["task"] = given.pop("settings", None)
    content = {"settings": given, "out": str(out), "report": report, "run": run}
    content["anchor"] = str(Path.cwd())
    return json.dumps(content, sort_keys=True, default=str)


def of(options: str) -> Batch:
    """The work that some options describe; a worker makes it once.

    Args:
        options: of :func:`options_of`.
    """
    from tfreg import startup

    startup.prepare()
    given = json.loads(options)
    settings = dict.fromkeys(("transform", "similarity", "pyramid")) | given["settings"]
    registrar = _registrar(json.dumps(settings), given["anchor"])
    return Batch(registrar, Path(given["out"]), given["report"], given["run"])


@lru_cache(maxsize=1)
def _registrar(settings: str, anchor: str) -> Registrar:
    """The same for runs one after the other: what a worker has compiled stays."""
    given = json.loads(settings)
    if given["transform"] is not None:
        given["transform"] = tuple(given["transform"])
    return Registrar(Settings(**given), Path(anchor))


def pairs_of(pairs: Any) -> list[Pair]:
    """Pairs of a CSV file, or of mappings.

    Raises:
        InputError: if they cannot be used.
    """
    if isinstance(pairs, (str, Path)):
        return read_pairs(Path(pairs))
    return pairs_from(enumerate((dict(pair) for pair in pairs), 1), Path(), "pairs, number")


def row_of(
    pair: Pair, status: str, record: dict[str, Any] | None = None, error: str = ""
) -> dict[str, Any]:
    """A pair's line in the summary."""
    row = dict.fromkeys(COLUMNS, "")
    row |= {"name": pair.name, "fixed": str(pair.files.fixed), "moving": str(pair.files.moving)}
    if record is not None:
        name = record["similarity"]
        for when in ("before", "after"):
            row[when] = record.get(f"similarity_{when}", record.get(f"{name}_{when}"))
        row |= {key: record[key] for key in ("similarity", "folding", "seconds")}
    return row | {"status": status, "error": error}


def check_writable(folder: Path) -> None:
    """Raises ``InputError`` before any work where nothing could be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{folder} cannot be written to: {error.strerror or error}") from error


def write_summary(folder: Path, name: str, rows: Iterable[dict[str, Any]]) -> None:
    """Writes the summary, whole or not at all."""
    from tfreg import io

    def write(path: Path) -> None:
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    io.write_together(folder, {name: write})
