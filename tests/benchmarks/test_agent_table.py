import argparse

import numpy as np
import pytest

from benchmarks.figures.walks import capture, on_the_way, pictures, walks
from benchmarks.methods import walkers
from benchmarks.methods.walkers import Found, InSpace, Walker, elastix
from benchmarks.tables import _agent_cases, agent
from tfreg.errors import InputError
from tfreg.transforms import Affine


def options(*words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--methods")
    parser.add_argument("--seed", type=int, default=0)
    agent.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture(scope="module")
def case():
    return next(_agent_cases.cases("brain 30", 1, 0, "test", "phantom"))


def true_map(case):
    """Fixed to moving points as an affine transform, fitted to the points that are known."""
    ones = np.concatenate([case.points, np.ones((len(case.points), 1))], axis=1)
    found, *_ = np.linalg.lstsq(ones, case.targets, rcond=None)
    return Affine(found[:3].T, found[3])


def test_a_case_is_rigid_and_off_by_its_header(case):
    true = true_map(case)
    np.testing.assert_allclose(true.matrix.T @ true.matrix, np.eye(3), atol=1e-3)
    np.testing.assert_allclose(true.apply_points(case.points), case.targets, atol=1e-2)
    assert np.linalg.det(true.matrix) > 0.9 and 3 < case.start < 80
    assert case.error(case.targets) == 0
    index = np.rint(case.fixed.geometry.to_index(case.points)).astype(int)
    assert case.fixed_mask.array[tuple(index.T)].mean() > 0.95  # what is seen


def test_both_images_show_the_same_where_they_should(case):
    """Tissue lies on tissue under the true map, and not under the header's."""
    inside = case.fixed_mask.array > 0
    index = np.argwhere(inside)[::37]
    points = case.fixed.geometry.to_physical(index)
    fixed = case.fixed.array[tuple(index.T)]

    def moving(places):
        voxels = np.rint(case.moving.geometry.to_index(places)).astype(int)
        there = ((voxels >= 0) & (voxels < case.moving.array.shape)).all(axis=1)
        voxels = np.clip(voxels, 0, np.array(case.moving.array.shape) - 1)
        return np.where(there, case.moving.array[tuple(voxels.T)], 0) > 50

    dark = np.percentile(fixed, 5)
    tissue = fixed > dark + 0.25 * (np.percentile(fixed, 95) - dark)
    right = (tissue == moving(true_map(case).apply_points(points))).mean()
    wrong = (tissue == moving(points)).mean()
    assert right > wrong


def test_groups_share_subjects_and_ways_but_not_sizes():
    one, two = (
        next(_agent_cases.cases(g, 1, 0, "test", "phantom")) for g in ("brain 15", "brain 60")
    )
    np.testing.assert_array_equal(one.fixed.array, two.fixed.array)
    assert two.start > 2 * one.start
    spine = next(_agent_cases.cases("spine 150", 1, 1, "test", "phantom"))
    assert spine.voxel == 3.0 and spine.group == "spine 150"


def test_the_rows_of_what_registers_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    found = agent.run(
        options(
            *("--methods", "none,centre of mass,dqn"),
            *("--cases", "3", "--groups", "brain 15,spine ct 30", "--data", "phantom"),
        )
    )
    rows = {(row.method, row.metric): row for row in found.rows}
    assert {row.group for row in found.rows} == {"brain 15"}
    starts = [c.start for c in _agent_cases.cases("brain 15", 3, 0, "test", "phantom")]
    assert rows["none", "tre"].median == pytest.approx(np.median(starts), rel=1e-3)
    assert rows["none", "success"].mean in (0, pytest.approx(100 / 3), pytest.approx(200 / 3))
    assert rows["centre of mass", "tre"].n == 3
    assert "dqn: brain, left out, there are no weights." in found.notes
    assert any(note.startswith("spine ct 30: left out") for note in found.notes)
    found.write(tmp_path / "out")
    assert (tmp_path / "out" / "capture-brain.png").is_file()


def test_a_method_that_fails_counts_as_a_failure(monkeypatch, tmp_path):
    def fail(self, case):
        raise InputError("no overlap")

    monkeypatch.setattr(InSpace, "register", fail)
    words = ("--methods", "none", "--cases", "2", "--groups", "brain 15", "--data", "phantom")
    found = agent.run(options(*words))
    rows = {row.metric: row for row in found.rows}
    assert rows["success"].mean == rows["success_10mm"].mean == 0 and "tre" not in rows
    assert any("errors on brain 15. no overlap" in note for note in found.notes)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--cases", "0"), "--cases must be positive"),
        (("--groups", "knee 30"), "--groups takes brain 15, .*Received: knee 30"),
        (("--methods", "demons"), "Received: demons"),
    ],
)
def test_wrong_options_are_refused(words, message):
    with pytest.raises(InputError, match=message):
        agent.run(options(*words))


def test_every_method_of_the_table_has_a_line():
    for kind in ("brain", "spine"):
        assert [one.name for one in agent.contenders(kind)] == list(agent.METHODS)


def test_the_optimiser_registers_a_case(case):
    mild = next(_agent_cases.cases("brain 15", 1, 0, "test", "phantom"))
    found = InSpace("tfreg rigid masked", masked=True, pyramid="fast").register(mild)
    assert mild.error(found.points) < 0.7 * mild.start and found.seconds > 0
    start = InSpace("centre of mass", transform=None, initial="mass").register(case)
    assert start.points.shape == case.points.shape


@pytest.mark.long
def test_a_search_finds_a_case(case):
    found = InSpace("tfreg rigid search", masked=True, initial="search").register(case)
    assert case.error(found.points) < case.start and found.seconds > 0


def test_elastix_registers_a_case():
    pytest.importorskip("itk")
    mild = next(_agent_cases.cases("brain 15", 1, 0, "test", "phantom"))
    tool = elastix(masked=True)
    try:
        found = tool.register(mild)
    finally:
        tool.close()
    assert mild.error(found.points) < 0.7 * mild.start and found.seconds > 0
    assert walkers.parameters("mi")["Metric"] == ["AdvancedMattesMutualInformation"]
    assert walkers.parameters("ncc")["Transform"] == ["EulerTransform"]


def test_the_way_of_an_agent_is_told_in_millimetres(case):
    """Its last pose takes the points where the answer does."""
    true = true_map(case)
    back = true.inverse()
    # In the order of array axes, moving onto fixed points, about the origin.
    pose = np.concatenate([back.matrix[::-1, ::-1], back.offset[::-1, None]], axis=1)
    poses = np.stack([np.eye(3, 4), pose, pose])
    found = Found(case.targets, 1.0, 1.0, poses)
    way = on_the_way(case, found)
    assert len(way) == 2
    assert case.error(way[0]) == pytest.approx(case.start, rel=1e-4)
    assert case.error(way[1]) < 0.05


def test_pictures(case, tmp_path):
    starts = np.linspace(5, 60, 40)
    curves = {"none": (starts, starts), "agent plus": (starts, starts / 10)}
    capture(curves, tmp_path / "capture.png")
    poses = np.stack([np.eye(3, 4)] * 3)
    pictures({"brain 30": case}, tmp_path / "cases.png")
    walks({"brain 30": [(case, Found(case.points, 1.0, 2.0, poses))]}, tmp_path / "paths.png")
    assert min(p.stat().st_size for p in tmp_path.glob("*.png")) > 5000


def test_a_walker_without_weights_says_so():
    assert Walker("dqn", None).unavailable() == "left out, there are no weights."
    assert Walker("agent", "agent-brain").unavailable() is None
