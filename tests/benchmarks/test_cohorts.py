import csv
import json

import numpy as np
import pytest

from benchmarks import cohorts


def test_pairs_and_what_is_bad_about_some(tmp_path):
    bad = cohorts.make(tmp_path, 100, seed=3, bad=0.08)
    assert sorted(bad.values()) == sorted(cohorts.BAD * 2)
    assert bad == cohorts.make(tmp_path / "again", 100, seed=3, bad=0.08)
    assert bad != cohorts.make(tmp_path / "other", 100, seed=4, bad=0.08)
    with open(tmp_path / "pairs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 100
    shapes = set()
    for row in rows:
        path, kind = tmp_path / row["moving"], bad.get(row["name"])
        if kind == "missing":
            assert not path.exists()
        elif kind == "truncated":
            with pytest.raises(ValueError, match=r"reshape|data"):
                np.load(path)
        else:
            image = np.load(path)
            assert np.isnan(image).all() == (kind == "nan")
            assert (image.ndim != np.load(tmp_path / row["fixed"]).ndim) == (kind == "sizes")
            shapes |= {image.shape} if kind is None else set()
    assert shapes == {(64, 64), (32, 32, 32)}


@pytest.fixture
def left(tmp_path):
    """The results of three pairs, the last of which is bad."""
    out = tmp_path / "out"
    rows = []
    for name, status in (("a", "done"), ("b", "done"), ("c", "failed")):
        rows.append({"name": name, "status": status, "error": "bad" * (status == "failed")})
        if status == "done":
            (out / name).mkdir(parents=True)
            for file in ("moved.npy", "displacement.npy"):
                np.save(out / name / file, np.ones(3))
            (out / name / "registration.json").write_text("{}")
    for path in (out / "summary.csv", tmp_path / "pairs.csv"):
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, ["name", "status", "error"])
            writer.writeheader()
            writer.writerows(rows)
    lines = [{"event": "begin", "run": "x"}, *rows, {"event": "end", "run": "x"}]
    (out / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def look():
        outcome = cohorts.Outcome()
        cohorts.look(out, tmp_path / "pairs.csv", {"c": "nan"}, outcome)
        return outcome

    look.out = out
    return look


def test_what_is_whole(left):
    outcome = left()
    assert outcome.whole and outcome.done == 2 and outcome.listed == 1


@pytest.mark.parametrize("damage", ["file", "left over", "twice", "again", "failed", "half"])
def test_nothing_that_is_lost_goes_unseen(left, damage):
    out = left.out
    ledger = (out / "ledger.jsonl").read_text()
    if damage == "file":
        (out / "b" / "moved.npy").unlink()
    if damage == "half":
        (out / "b" / "moved.npy").write_bytes(b"\x93NUMPY")
    if damage == "left over":
        (out / ".partial-x-b").mkdir()
    if damage == "failed":
        (out / "c").mkdir()
    if damage == "twice":
        line = json.dumps({"name": "a", "status": "done"})
        (out / "ledger.jsonl").write_text(
            ledger.replace('{"event": "end"', f'{line}\n{{"event": "end"')
        )
    if damage == "again":
        (out / "ledger.jsonl").write_text(ledger + ledger)
    outcome = left()
    assert not outcome.whole
    assert bool(outcome.twice) == (damage in ("twice", "again"))


@pytest.mark.long
def test_some_hundred_pairs_and_workers_that_are_killed(tmp_path):
    """What ``python -m benchmarks.cohorts`` does with ten thousand."""
    pytest.importorskip("distributed", reason="needs tfreg[cluster]")
    bad = cohorts.make(tmp_path / "pairs", 300, bad=0.04)
    pairs = tmp_path / "pairs" / "pairs.csv"
    outcome = cohorts.run(pairs, tmp_path / "out", bad, kills=2, timeout=900)
    assert outcome.whole, outcome
    assert (outcome.done, outcome.listed) == (288, 12) and outcome.killed


@pytest.mark.long
def test_a_scheduler_that_is_killed_and_started_again(tmp_path):
    pytest.importorskip("distributed", reason="needs tfreg[cluster]")
    bad = cohorts.make(tmp_path / "pairs", 200, bad=0.02)
    pairs = tmp_path / "pairs" / "pairs.csv"
    outcome = cohorts.run(pairs, tmp_path / "out", bad, scheduler=True, timeout=900)
    assert outcome.whole, outcome
    assert (outcome.done, outcome.listed) == (196, 4)
    assert len(outcome.codes) == 2 and outcome.codes[-1] == 3
