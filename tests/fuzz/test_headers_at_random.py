"""Headers at random, and that the judge and the workers see what they are there for.

Some hundreds of cases here; ``TFREG_FUZZ_CASES=10000`` or ``python -m tests.fuzz`` read more.
"""

import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from tfreg.errors import InputError, InputWarning
from tfreg.geometry import Geometry
from tfreg.image import Image

from . import judge as judging
from .cases import FORMATS, draft, examine, failed
from .draws import Draft
from .meaning import Meaning, Truth
from .workers import run

CASES = int(os.environ.get("TFREG_FUZZ_CASES", 350))
needs_processes = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="limits memory as Linux does"
)


@needs_processes
def test_every_header_is_read_as_others_read_it_or_refused():
    for package in ("nibabel", "pydicom", "tifffile"):
        pytest.importorskip(package)
    each = -(-CASES // len(FORMATS))
    cases = [f"{form}:{number}" for number in range(each) for form in FORMATS]
    findings = [
        failed(case, failure) if failure else finding
        for case, finding, failure in run(examine, cases)
    ]
    assert len(findings) == len(cases)
    faults = [str(finding) for finding in findings if finding.verdict.fault]
    assert not faults, "\n".join(faults)
    for form in FORMATS:  # nor is everything refused
        names = [item.verdict.name for item in findings if item.case.startswith(form)]
        assert names.count("right") >= 0.2 * each, (form, names)


@pytest.mark.parametrize("form", FORMATS)
def test_a_case_is_the_same_file_again(tmp_path, form):
    def content(path):
        return [(p.name, p.read_bytes()) for p in sorted(path.rglob("*")) if p.is_file()]

    for number in range(3):
        one, two = (tmp_path / f"{name}-{number}" for name in ("one", "two"))
        for folder in (one, two):
            folder.mkdir()
            draft(f"{form}:{number}", folder)
        assert content(one) == content(two) != []


def _misbehave(job):
    if job == "die":
        os.abort()
    if job == "hang":
        time.sleep(60)
    if job == "print":
        os.write(2, b"a library speaks")
    if job == "raise":
        raise ValueError("a bug")
    return job


@needs_processes
def test_workers_outlive_what_they_run():
    jobs = ["well", "die", "hang", "print", "raise", "well again"]
    found = {job: (answer, failure) for job, answer, failure in run(_misbehave, jobs, seconds=1)}
    assert found["well"] == ("well", "") and found["well again"] == ("well again", "")
    assert found["die"] == (None, "died, exit code -6")
    assert found["hang"] == (None, "hung for 1 s")
    assert found["print"] == ("print", "printed 'a library speaks'")
    assert "ValueError: a bug" in found["raise"][1]


IMAGE = Image(np.arange(24).reshape(2, 3, 4), Geometry.of_shape((2, 3, 4), (3.0, 1.0, 2.0)))
PLACE = np.diag([2.0, 1.0, 3.0, 1.0])
MOVED = np.array([[2.0, 0, 0, 0.3], *PLACE[1:]])
RIGHT = Meaning((IMAGE.array,), PLACE)


def _answer(image=IMAGE, error=None, warning=None):
    def read(path):
        if error:
            raise error
        if warning:
            warnings.warn(warning, InputWarning, stacklevel=1)
        return image

    return read


@pytest.mark.parametrize(
    ("kind", "truth", "answer", "name", "fault"),
    [
        ("ordinary", Truth((RIGHT,)), {}, "right", False),
        ("ordinary", Truth((RIGHT,)), {"warning": "hm"}, "warns of the ordinary", True),
        ("odd", Truth((RIGHT,)), {"warning": "hm"}, "right, with a warning", False),
        ("odd", Truth((RIGHT,), "qform"), {}, "silent about a contradiction", True),
        ("odd", Truth((RIGHT,), "qform"), {"warning": "hm"}, "silent about a contradiction", True),
        ("odd", Truth((RIGHT,), "qform"), {"warning": "its qform"}, "right, with a warning", False),
        ("odd", Truth(), {}, "answers what means nothing", True),
        ("odd", Truth((Meaning((IMAGE.array + 1,)),)), {}, "differs in silence", True),
        ("odd", Truth((Meaning((IMAGE.array[::-1],)),)), {}, "differs in silence", True),
        ("odd", Truth((Meaning((IMAGE.array,) * 2),)), {}, "differs in silence", True),
        ("odd", Truth((Meaning((IMAGE.array,), MOVED),)), {}, "differs in silence", True),
        ("odd", Truth((Meaning((IMAGE.array,), MOVED, slack=0.4),)), {}, "right", False),
        ("odd", Truth((Meaning((IMAGE.array,), MOVED, framed=False),)), {}, "right", False),
        ("odd", Truth((Meaning((IMAGE.array,), MOVED), RIGHT)), {}, "right", False),
        (
            "odd",
            Truth((Meaning((IMAGE.array,), MOVED),)),
            {"warning": "hm"},
            "differs and says so",
            False,
        ),
        ("odd", Truth((RIGHT,)), {"error": InputError("a.nii is odd")}, "refused", False),
        (
            "ordinary",
            Truth((RIGHT,)),
            {"error": InputError("a.nii")},
            "refuses the ordinary",
            True,
        ),
        (
            "damaged",
            Truth(),
            {"error": InputError("it is\nodd")},
            "refused without its name, or in several lines",
            True,
        ),
        (
            "damaged",
            Truth(),
            {"error": KeyError("dim")},
            "unexpected exception or warning",
            True,
        ),
    ],
)
def test_the_judge_sees(monkeypatch, kind, truth, answer, name, fault):
    monkeypatch.setattr(judging.io, "read", _answer(**answer))
    verdict = judging.judge(Draft(Path("a.nii"), kind), truth)
    assert (verdict.name, verdict.fault) == (name, fault)
