"""From a format and a number to a verdict."""

import contextlib
import importlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .draws import Draft
from .judge import Verdict, judge
from .meaning import Truth

FORMATS = {  # the module that writes, and that of the oracle which reads what it writes
    "nifti": "nifti",
    "nrrd": "nrrd",
    "metaimage": "metaimage",
    "series": "dicom",
    "frames": "dicom",
    "tiff": "tiff",
    "png": "png",
}


@dataclass(frozen=True)
class Finding:
    """A case and what became of it."""

    case: str
    kind: str
    notes: tuple[str, ...]
    verdict: Verdict

    def __str__(self) -> str:
        notes = ", ".join(self.notes) or "as usual"
        return f"{self.case} ({self.kind}: {notes}) {self.verdict.name}: {self.verdict.text}"


def draft(case: str, folder: Path) -> Draft:
    """Writes the file of a case, ``"nifti:17"`` say."""
    form, number = case.split(":")
    rng = np.random.default_rng([int(number), *form.encode()])
    return importlib.import_module(f"{__package__}.headers.{form}").make(rng, folder)


def truth(case: str, path: Path) -> Truth:
    """What the file of a case means to the reader of others."""
    oracle = FORMATS[case.split(":")[0]]
    return importlib.import_module(f"{__package__}.oracles.{oracle}").truth(path)


def examine(case: str) -> Finding:
    """Writes, reads and judges a case."""
    with tempfile.TemporaryDirectory() as name:
        made = draft(case, Path(name))
        return Finding(case, made.kind, made.notes, judge(made, truth(case, made.path)))


def failed(case: str, failure: str) -> Finding:
    """The finding of a case whose process died, hung, printed, or met a bug of these modules."""
    kind, notes = "not written", ()
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(Exception):
        made = draft(case, Path(name))
        kind, notes = made.kind, made.notes
    return Finding(case, kind, notes, Verdict(failure.split()[0].strip(",:"), True, failure))
