"""Starts of the table, and its rows; the tools that it compares are not asked."""

import json

import numpy as np
import pytest

from benchmarks import placed
from benchmarks.__main__ import main
from benchmarks.methods.rigid import Moved
from benchmarks.tables import wide_capture
from tfreg.geometry import Geometry
from tfreg.image import Image
from tfreg.transforms import Affine


@pytest.fixture
def pair(rng):
    grid = Geometry((9, 8, 7), (2.0, 1.5, 3.0), (5.0, -4.0, 2.0), tuple(map(tuple, np.eye(3))))
    points = grid.to_physical(rng.uniform(0, 6, (12, 3)))
    images = (Image(rng.random(grid.shape), grid) for _ in range(2))
    return placed.Placed("blocks", "brains", *images, points, np.add(points, [1.0, 2.0, -3.0]))


def test_the_header_carries_image_and_points_alike(pair):
    cases = placed.drawn([pair], 40, seed=3)
    again = placed.drawn([pair], 40, seed=3)
    angles, shifts = [], []
    for case, same in zip(cases, again, strict=True):
        np.testing.assert_array_equal(case.moving_points, same.moving_points)
        assert case.moving.array is pair.moving.array
        index = case.moving.geometry.to_index(case.moving_points)
        np.testing.assert_allclose(
            index, pair.moving.geometry.to_index(pair.moving_points), atol=1e-9
        )
        turn = np.array(case.moving.geometry.direction)
        np.testing.assert_allclose(np.linalg.det(turn), 1)
        angles.append(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
        shifts.append(case.moving.geometry.centre - pair.moving.geometry.centre)
        # Points that differ by a translation are fitted exactly, wherever the image stands.
        assert case.error(case.best()) < 1e-9
    assert max(angles) > 150 and min(angles) < 40 and np.abs(shifts).max() > 120
    assert np.abs(shifts).max() <= 150


def test_the_best_fit_is_a_rotation(pair, rng):
    """Of mirrored points too, where the best orthogonal matrix is none."""
    mirrored = placed.Placed(
        *("mirrored", "brains", pair.fixed, pair.moving, pair.fixed_points),
        pair.fixed_points * [-1.0, 1.0, 1.0],
    )
    fixed = pair.fixed_points - pair.fixed_points.mean(axis=0)
    found = mirrored.best() - mirrored.best().mean(axis=0)
    matrix = np.linalg.lstsq(fixed, found, rcond=None)[0]
    np.testing.assert_allclose(np.linalg.det(matrix), 1)


class Right:
    """A method that is right every second time, and fails every third."""

    name, ours = "right", True

    def __init__(self):
        self.calls = 0

    def unavailable(self):
        return None

    def warm(self, case):
        assert self.calls in (0, 6)

    def register(self, case):
        self.calls += 1
        if self.calls % 3 == 0:
            raise wide_capture.WorkerError("too far")
        off = 3.0 if self.calls % 2 else 30.0
        return Moved(np.add(case.moving_points, [off, 0, 0]), 0.5)

    def close(self):
        pass


def test_rows(tmp_path, monkeypatch, pair):
    other = placed.Placed(
        *("more", "CTs", pair.fixed, pair.moving, pair.fixed_points, pair.moving_points)
    )
    monkeypatch.setattr(placed, "brains", lambda data: [pair])
    monkeypatch.setattr(placed, "chests", lambda data: [other])
    starts = wide_capture.CONTENDERS[:2]
    monkeypatch.setattr(wide_capture, "CONTENDERS", [*starts, Right()])
    words = ["run", "wide-capture", "--data", "phantom", "--pairs", "6", "--out", str(tmp_path)]
    assert main(words) == 0
    content = json.loads((tmp_path / "table.json").read_text())
    rows = {(r["method"], r["group"], r["metric"]): r for r in content["rows"]}
    assert rows["right", "brains", "success"]["mean"] == pytest.approx(100 * 2 / 6, rel=1e-4)
    assert rows["right", "CTs", "error of successes"]["mean"] == pytest.approx(3)
    assert rows["right", "brains", "seconds"]["n"] == 4
    assert rows["best fit of the points", "CTs", "success"]["mean"] == 100
    assert rows["none", "brains", "error"]["median"] > 20
    assert any("right failed on 4" in note and "too far" in note for note in content["notes"])


def test_what_takes_minutes_has_few_starts(tmp_path, monkeypatch, pair):
    monkeypatch.setattr(placed, "brains", lambda data: [pair])
    monkeypatch.setattr(placed, "chests", lambda data: [pair])
    monkeypatch.setattr(wide_capture, "CONTENDERS", [*wide_capture.CONTENDERS[:1], Right()])
    monkeypatch.setattr(Right, "most", 2, raising=False)
    words = ["run", "wide-capture", "--data", "phantom", "--out", str(tmp_path), "--pairs"]
    for count, left_out in ((2, False), (3, True)):
        assert main([*words, str(count)]) == 0
        content = json.loads((tmp_path / "table.json").read_text())
        assert any(row["method"] == "right" for row in content["rows"]) != left_out
        assert any(note.startswith("right: left out") for note in content["notes"]) == left_out


@pytest.mark.long
def test_ours_on_phantoms(tmp_path):
    words = ["run", "wide-capture", "--data", "phantom", "--pairs", "1", "--out", str(tmp_path)]
    assert main([*words, "--methods", "none,tfreg rigid search"]) == 0
    content = json.loads((tmp_path / "table.json").read_text())
    rows = {(r["method"], r["group"], r["metric"]): r["mean"] for r in content["rows"]}
    assert rows["tfreg rigid search", "CTs", "success"] == 100
    assert rows["none", "CTs", "success"] == 0


@pytest.mark.long
@pytest.mark.parametrize("index", [4, 5, 6, 7])
def test_the_tools_answer_points_of_the_moving_image(index, rng):
    """Each of the other tools on a picture that only its header turns: the answer is exact."""
    contender = wide_capture.CONTENDERS[index]
    if contender.unavailable():
        pytest.skip(contender.unavailable())
    grid = Geometry((40, 36, 32), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0), tuple(map(tuple, np.eye(3))))
    points = grid.to_physical(np.moveaxis(np.indices(grid.shape), 0, -1))
    array = sum(
        h * np.exp(-((points - p) ** 2).sum(axis=-1) / (2 * w**2))
        for p, w, h in (([60, 50, 45], 18, 1.0), ([80, 60, 40], 10, 0.8), ([45, 65, 60], 8, 0.6))
    )
    picture = Image((100 * array).astype("float32"), grid)
    turn = np.array([[0.97, -0.22, 0.05], [0.22, 0.975, 0.02], [-0.053, -0.008, 0.998]])
    left, _, right = np.linalg.svd(turn)
    whole = Affine(left @ right, [30.0, -20.0, 15.0], grid.centre)
    rows = tuple(map(tuple, whole.matrix.tolist()))
    origin = tuple(whole.apply_points(np.zeros((1, 3)))[0].tolist())
    moving = Image(picture.array, Geometry(grid.size, grid.spacing, origin, rows))
    some = points[8:24:5, 8:24:5, 8:24:5].reshape(-1, 3)
    case = placed.Placed("turned", "CTs", picture, moving, some, whole.apply_points(some))
    try:
        assert case.error(contender.register(case).points) < 1.5
    finally:
        contender.close()
