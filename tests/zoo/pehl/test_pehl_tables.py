import argparse
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.methods import poses
from benchmarks.methods.nanodrr_descent import NanoDRR
from benchmarks.methods.powell import powell
from benchmarks.tables import pehl
from tfreg.data import implants
from tfreg.data.xrays import rendered
from tfreg.errors import InputError
from tfreg.geometry import ConeBeam
from tfreg.image import Image
from tfreg.metrics import corners_of, projected_tre
from zoo.pehl import objects


def options(*words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--methods")
    parser.add_argument("--seed", type=int, default=0)
    pehl.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def thing(monkeypatch):
    """The phantom in place of the implant, before a small camera."""
    made = replace(objects.load("phantom"), camera=ConeBeam(1000.0, (40, 40), 5.0))
    monkeypatch.setattr(objects, "load", lambda name: made)
    return made


def test_capture_range():
    initial = np.arange(60.0)
    right = np.ones(60, bool)
    right[[40, 41, 45]] = False  # 40 of 40, 40 of 42, 43 of 46, ...
    assert pehl.captured(initial, right) == 59  # 57 of 60 are 95 %
    right[50:] = False
    assert pehl.captured(initial, right) == 44  # 43 of 45
    assert pehl.captured(initial[:15], right[:15]) is None  # too few


def test_powell_finds_a_pose_with_many_renderings():
    volume = implants.knee()
    small = volume.resample(volume.geometry.resampled(spacing=3.0))
    camera = ConeBeam(1000.0, (40, 40), 5.0)
    true = np.array([1.0, 2.0, 800.0, 3.0, -4.0, 5.0])
    xray = rendered(small, camera, true[None])[0]
    initial = np.add(true, (1.0, -1.0, 5.0, 2.0, 4.0, -4.0))
    found = powell(small, xray, camera, initial)
    corners, centre = corners_of(small.geometry), small.geometry.centre
    before, after = (projected_tre(p, true, corners, centre) for p in (initial, found.pose))
    assert after < 0.5 * before and found.renderings > 100


def test_the_registration_of_nanodrr():
    if NanoDRR.missing():
        pytest.skip("nanodrr is not installed")
    volume = implants.knee()
    turned = replace(volume.geometry, direction=np.diag([-1.0, 1.0, -1.0]), origin=(3.0, 4.0, 5.0))
    small = Image(volume.array, turned)
    camera = ConeBeam(1000.0, (64, 64), 3.0)
    true = np.array([1.0, 2.0, 800.0, 3.0, -4.0, 5.0])
    xray = rendered(small, camera, true[None])[0]
    initial = np.add(true, (1.0, -1.0, 5.0, 2.0, 4.0, -4.0))
    other = NanoDRR()
    try:
        found = other.register(small, xray, camera, initial)
    finally:
        other.close()
    corners, centre = corners_of(small.geometry), small.geometry.centre
    before, after = (projected_tre(p, true, corners, centre) for p in (initial, found.pose))
    assert after < 0.5 * before and found.renderings == 100


@pytest.mark.plain
def test_what_is_not_there_is_noted(thing):
    table = pehl.run(
        options(
            "--objects", "implant", "--cases", "5", "--scales", "1,2", "--methods", "start,pehl 3"
        )
    )
    assert table.notes == ["pehl 3: left out of the phantom, there are no weights."]
    errors = {row.group: row.median for row in table.rows if row.metric == "mtre"}
    assert set(errors) == {"implant x1", "implant x2"} and errors["implant x1"] > 3
    success = [row for row in table.rows if row.metric == "success"]
    assert [row.mean for row in success] == [0, 0]
    rmse = {row.group: row.mean for row in table.rows if row.metric == "rmse"}
    assert set(rmse) == {f"phantom {name}" for name in pehl.PARAMETERS}  # of the start, as asked
    assert not [row for row in table.rows if row.metric in ("spread", "capture")]


def test_presets_of_ones_own(thing, tmp_path, monkeypatch):
    """Those of the object, in families; a name that the zoo has as well is that of the folder."""
    names = (
        "phantom-0-0",
        "phantom-0-m1",
        "phantom-0-0-paper",
        "phantom-0-0-without-lir",
        "cranium-0-0",
    )
    for name in names:
        path = tmp_path / name / "presets" / f"pehl-{name}.json"
        path.parent.mkdir(parents=True)
        path.write_text("")
    monkeypatch.setattr(poses.zoo, "list_presets", lambda task: ["pehl-phantom-0-0", "other-x"])
    monkeypatch.setattr(poses.zoo, "load", lambda path, task: path.parent.parent.name)
    presets = poses._presets("phantom", tmp_path)
    assert poses._family(presets) == ["phantom-0-0", "phantom-0-m1"]
    assert poses._family(presets, "paper schedule") == ["phantom-0-0-paper"]
    assert poses._family(presets, "without lir") == ["phantom-0-0-without-lir"]
    assert poses._family(presets, "without psp") == []


def test_spread_errors_and_failures(thing):
    methods = poses.Methods(thing)
    assert {"pehl 3", "pehl 3 without psp"} <= set(methods.absent) - set(methods.known)

    def found(case):  # half of the way, or nothing at all
        if case.initial[0] > case.true[0] + 1:
            raise InputError("lost")
        return poses.Answer((case.initial + case.true) / 2, 9, 0.1)

    methods.known = {"start": methods.known["start"], "pehl 3": found}
    methods.same = {}
    table = pehl.Table("pehl", "", "", pehl.COLUMNS)
    true = np.array([0.0, 0.0, 800.0, 0.0, 0.0, 0.0])
    steps = np.array([1.0, -1.0, 2.0])[:, None] * [1.0, 0, 0, 0, 0, 4.0]
    cases = [poses.Case(np.zeros((40, 40)), true, true + step) for step in steps]
    before, after = pehl._measure(table, "pehl 3", "implant x1", methods, cases, 1)
    assert (before[[0, 2]] / after[[0, 2]] == pytest.approx([2, 1], rel=0.2)) and len(after) == 3
    pehl._measure_spread(table, methods, cases[:2], ["pehl 3"], 50)
    pehl._measure_rmse(table, methods, cases, ["start", "pehl 3"])
    assert table.notes[0] == "pehl 3: 1 errors on implant x1. lost"
    cells = {(r.method, r.group, r.metric): r for r in table.rows}
    assert cells["pehl 3", "implant x1", "success_paper"].mean == 94.8
    assert cells["pehl 3", "implant x1", "mtre"].n == 3
    first, last = (projected_tre(c.initial, true, thing.corners, np.zeros(3)) for c in cases[::2])
    assert cells["pehl 3", "implant x1", "mtre"].median < first < last
    assert 0.4 < cells["pehl 3", "phantom x1", "spread"].mean < 4
    rmse = {k: r for k, r in cells.items() if k[2] == "rmse"}
    assert rmse["start", "phantom t_x", "rmse"].mean == pytest.approx(np.sqrt(2), abs=1e-5)
    expected = np.sqrt((0.5**2 + 0.5**2 + 2**2) / 3)  # the last case was lost
    assert rmse["pehl 3", "phantom t_x", "rmse"].mean == pytest.approx(expected, abs=1e-5)
    assert cells["pehl 3", "phantom t_z", "rmse_paper"].mean == 0.32


def test_slow_methods_are_compared_on_the_cases_that_they_share(thing):
    table = pehl.Table("pehl", "", "", pehl.COLUMNS)
    errors = {
        "powell gc": np.array([0.5, 2.5, 0.5]),
        "gauss-newton gc": np.array([0.5, 0.5, 0.5, 9.0, 9.0]),
        "start": np.full(5, 9.0),
    }
    pehl._compare(table, "implant x2", errors, 110.0, options("--cases", "5", "--slow", "3"))
    found = {one.metric: one for one in table.differences}
    assert set(found) == {"mtre, implant x2", "success, implant x2"}
    one = found["mtre, implant x2"]
    assert (one.method, one.reference, one.n) == ("powell gc", "gauss-newton gc", 3)
    assert one.mean == pytest.approx(2 / 3, abs=1e-4)
    assert found["success, implant x2"].mean == pytest.approx(-100 / 3, abs=1e-3)


@pytest.mark.plain
def test_the_table_asks_what_a_user_asks(thing, monkeypatch, tmp_path):
    """Networks of two zones through their public call, each warm before the clock starts."""
    calls = []

    class Zone:
        groups = ((0,), (1,))

        def __init__(self, zone):
            self.zone = zone

        def beside(self, *others):
            calls.append(("beside", [one.zone for one in (self, *others)]))
            return Zone(None)

        def register(self, volume, xray, camera, initial, iterations):
            calls.append((self.zone, iterations))
            return poses.Answer(initial, 0, 0.25)

    methods = poses.Methods(thing)
    case = poses.Case(np.ones((40, 40)), np.zeros(6), objects.middle_of((0, 0)))
    register = methods.networks([Zone((0, 0)), Zone((1, 0))], 3)
    for _ in range(2):
        answer = register(case)
    assert (answer.renderings, answer.seconds) == (6, 0.25)
    assert calls == [("beside", [(0, 0), (1, 0)]), ((1, 0), 1), ((0, 0), 1), (None, 3), (None, 3)]
    assert methods.networks([], 3) is None

    class Walking:
        groups = ((0,), (1,))

        def register(self, volume, xray, camera, initial, iterations):
            calls.append(iterations)
            walked = initial + np.arange(iterations + 1)[:, None]
            return argparse.Namespace(steps=walked, pose=walked[-1])

    calls.clear()
    same = methods._on_the_way([Walking()])
    for count in (1, 3, 9):
        answer = same[f"pehl {count}"](case)
        np.testing.assert_array_equal(answer.pose, case.initial + count)
        assert answer.renderings == 2 * count and np.isnan(answer.seconds)
    assert calls == [9] and methods._on_the_way([]) == {}

    def twice(case):
        return poses.Answer(case.initial + 1, 6, 0.25)

    refined = methods._refined(twice)
    true = np.array([1.0, 2.0, 800.0, 3.0, -4.0, 5.0])
    xray = rendered(thing.fine, thing.camera, true[None])[0]
    answer = refined(poses.Case(xray, true, true - 0.5))
    off = projected_tre(answer.pose, true, thing.corners, thing.volume.geometry.centre)
    assert off < 1 and answer.renderings > 9 and answer.seconds > 0.25


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--cases", "0"), "--cases must be positive"),
        (("--slow", "0"), "--slow must be positive"),
        (("--objects", "foot"), "--objects takes implant, cranium"),
        (("--scales", "a"), "--scales takes numbers"),
        (("--methods", "icp"), "--methods takes start, powell gc"),
    ],
)
def test_options_are_checked(words, message):
    with pytest.raises(InputError, match=message):
        pehl.run(options(*words))
