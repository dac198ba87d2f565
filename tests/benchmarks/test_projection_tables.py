import argparse

import numpy as np
import pytest

from benchmarks.methods import projectors, projectors_elsewhere
from benchmarks.methods.worker import WorkerError
from benchmarks.tables import projection
from tfreg.errors import InputError

SMALL = projectors.Case("noise 16^2", (9, 12, 10), (2.0, 1.0, 1.5), 16)


def options(*words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--methods")
    parser.add_argument("--seed", type=int, default=0)
    projection.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.plain
def test_the_projector_is_timed_and_exact(monkeypatch, tmp_path):
    monkeypatch.setattr("benchmarks.tables.projection.missing", lambda name: known.get(name))
    known = dict.fromkeys(projectors.METHODS[3:], "magic")
    table = projection.run(options("--small", "--repeats", "2"))
    cells = {(row.method, row.metric): row.mean for row in table.rows}
    assert cells["siddon", "error"] < 1e-4 < cells["joseph", "error"] < 0.3
    assert cells["joseph", "error_linear"] < 0.5 * cells["siddon", "error_linear"]
    assert cells["plane", "error"] < 0.3 and cells["joseph", "seconds_jacobian"] > 0
    assert ("siddon", "seconds_jacobian") not in cells
    assert {row.n for row in table.rows} == {1, 2}
    skipped = [f"{name}: skipped, magic is not installed." for name in known]
    assert table.notes == skipped and len(skipped) == 4
    table.figures["growth.png"](tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 1000


@pytest.mark.plain
def test_an_image_of_something_else_has_no_row(monkeypatch):
    class Turned(projectors.Projector):
        def view(self):
            found = super().view()
            return found._replace(image=np.roll(found.image, 5, axis=1))

    monkeypatch.setattr("benchmarks.tables.projection.missing", lambda name: None)
    monkeypatch.setattr(
        "benchmarks.tables.projection.projector",
        lambda name: Turned(projectors.OURS["siddon"]),
    )
    table = projection.run(options("--small", "--repeats", "1", "--methods", "nanodrr"))
    assert not table.rows and "nanodrr: left out on noise 16^2" in table.notes[0]


def test_what_a_library_cannot_do_is_noted():
    class Weak:
        prepared = 0

        def __init__(self):
            self.runs = []

        def prepare(self, case, seed):
            self.prepared += 1

        def run(self, metric):
            self.runs.append(metric)
            if metric == "b":
                raise WorkerError("the worker died with exit code -9")

    weak, table = Weak(), projection.Table("projection", "", "", {})
    assert projection._warmed(table, "x", weak, ["a", "b", "c"], (SMALL, 0)) == ["a", "c"]
    assert weak.prepared == 1 and weak.runs == ["a", "b", "a", "c"]  # what was warm is cold again
    assert table.notes == ["x: no b on noise 16^2: the worker died with exit code -9"]


def test_a_crash_in_the_middle_ends_one_row_alone(monkeypatch):
    class Weak(projectors.Projector):
        runs = 0

        def run(self, metric):
            self.runs += 1
            if metric == "seconds_gradient" and self.runs == 4:  # two to warm up, then in turns
                raise WorkerError("no answer within 1200 s")
            return 0.1

    monkeypatch.setattr(projection, "missing", lambda name: None)
    monkeypatch.setattr(projection, "projector", lambda name: Weak(lambda *case: exact(*case)))

    def exact(case, seed):
        found = projectors.ours("siddon", case, seed)
        return {name: found[name] for name in ("seconds", "seconds_gradient")}

    table = projection.run(options("--small", "--repeats", "3", "--methods", "nanodrr"))
    cells = {row.metric: row for row in table.rows}
    assert cells["seconds"].n == 3 and "seconds_gradient" not in cells
    assert table.notes == ["nanodrr: no seconds_gradient on noise 16^2: no answer within 1200 s"]


def test_what_is_installed_beside_this_python_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(projectors_elsewhere.sysconfig, "get_path", lambda name: str(tmp_path))
    assert projectors_elsewhere.program("plastimatch-of-tests") is None
    (tmp_path / "plastimatch-of-tests").write_text("#!/bin/sh")
    (tmp_path / "plastimatch-of-tests").chmod(0o755)
    assert projectors_elsewhere.program("plastimatch-of-tests").startswith(str(tmp_path))


def test_the_rays_of_a_case_are_those_of_the_library(numpy):
    from tfreg import ops
    from tfreg.geometry import frame_of

    source, rays = SMALL.camera.rays()
    frame = frame_of(SMALL.grid)
    with ops.uncompiled():
        expected = ops.pose_rays(SMALL.pose[None], frame, source, rays[None])
    for found, part in zip(SMALL.rays(), expected, strict=True):
        np.testing.assert_allclose(found, numpy(part)[0], atol=1e-9)


@pytest.mark.parametrize("name", projectors.METHODS[3:])
def test_other_libraries_see_the_same(name):
    need = projectors.missing(name)
    if need is not None:
        pytest.skip(f"{need} is not installed")
    other = projectors.projector(name)
    try:
        other.prepare(SMALL, 0)
        alike, error, linear = projection.compared(SMALL, 0, other.view())
    finally:
        other.close()
    assert alike > 0.9
    if name in ("diffdrr siddon", "plastimatch"):
        assert error < 1e-4
    else:
        assert linear < error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--repeats", "0"), "--repeats must be positive"),
        (("--sizes", "x"), "--sizes takes numbers"),
        (("--sizes", "4"), "--sizes must be 8 or more"),
    ],
)
def test_options_are_checked(words, message):
    with pytest.raises(InputError, match=message):
        projection.run(options(*words))
