import json
import os

import pytest

from benchmarks import scaling
from benchmarks.__main__ import main
from benchmarks.tables import bfloat16, cohort
from benchmarks.tables import scaling as scaling_table
from tfreg.errors import InputError


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cohort", "--pairs", "1"], "--pairs must be 48 or more"),
        (["cohort", "--many", "1"], "--many must be 100 or more"),
        (["cohort", "--kills", "-1"], "--kills must be 0 or more"),
        (["scaling", "--share", "0"], "--share must be above 0"),
        (["bfloat16", "--iterations", "150"], "multiple of 100"),
        (["bfloat16", "--seeds", "0"], "--seeds must be positive"),
        (["bfloat16", "--methods", "none"], "--methods takes"),
    ],
)
def test_unusable_options_are_named(words, message, capsys, tmp_path):
    assert main(["run", *words, "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_the_rate_of_a_ledger_leaves_out_its_start(tmp_path):
    """Compiling takes 100 s, and pairs end in bursts of four, two seconds apart."""
    lines = [{"event": "begin", "run": "x"}]
    for number in range(40):  # all of which the driver hears of at the end
        lines.append({"time": 200.0, "name": str(number), "status": "done"})
        record = tmp_path / str(number) / "registration.json"
        record.parent.mkdir()
        record.write_text("{}")
        os.utime(record, (100.0 + 2 * (number // 4),) * 2)
    lines += [{"time": 111.0, "name": "bad", "status": "failed"}]
    path = tmp_path / "ledger.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert cohort.warm_rate(path) == pytest.approx(2.0)
    path.write_text(json.dumps(lines[1]) + "\n")
    with pytest.raises(InputError, match="too few pairs"):
        cohort.warm_rate(path)


@pytest.fixture
def made(tmp_path):
    """Tables as they are written, of a machine whose pair of 128^3 takes 8 s and 40 MB."""
    tables = {"scaling": {}, "cohort": {}}
    for case in scaling_table.CASES:
        values = {"seconds": 8.0, "bytes read": 2.4e7, "bytes written": 1.6e7}
        values |= {"microseconds per voxel": 3.8}
        tables["scaling"] |= {(case, metric): value for metric, value in values.items()}
    tables["cohort"] |= {("local:1", "overhead"): 2.0, ("local:2", "overhead"): 25.0}
    tables["cohort"] |= {("local:2", "speed-up"): 1.9}
    tables["cohort"] |= {(cohort.SMALL, "driver at most"): 700.0}
    tables["cohort"] |= {(cohort.TOUCHED, "driver at most"): 701.0}
    for name, cells in tables.items():
        rows = [{"method": m, "metric": k, "median": value} for (m, k), value in cells.items()]
        folder = tmp_path / "benchmarks/results" / name
        folder.mkdir(parents=True)
        (folder / "table.json").write_text(json.dumps({"rows": rows}))
    return tmp_path


def test_the_page_says_what_follows_from_the_figures(made):
    assert scaling.there(made) and not scaling.there(made / "benchmarks")
    text = scaling.page(made)
    # 1e6 pairs of 10 s on a core; 4e7 bytes each.
    assert "| 1 | 116 days | 116 days | 116 days |" in text
    assert "| 64 | 3.09 days (file system) | 43.4 hours | 43.4 hours |" in text
    assert "| 4,096 | 3.09 days (file system) | 11.1 hours (file system) | 40.7 minutes |" in text
    assert "40 TB are read and written" in text and "250 cores on an NFS server" in text
    assert "takes +2.0 % of the time" in text and "1.90 times" in text


def test_the_committed_page_is_that_of_the_committed_tables():
    from benchmarks import readme

    path = readme.ROOT / scaling.PAGE
    assert path.is_file() == scaling.there(readme.ROOT)
    if path.is_file():
        assert path.read_text(encoding="utf-8") == scaling.page(readme.ROOT)


def committed(name):
    from benchmarks import readme

    path = readme.ROOT / "benchmarks/results" / name / "table.json"
    if not path.is_file():
        pytest.skip(f"the table {name} was not made yet")
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return {(row["method"], row["metric"]): row for row in rows}


def test_committed_cohorts():
    """Below 5 % overhead, two workers at least 1.8 times one, nothing lost, memory flat."""
    found = {key: row["median"] for key, row in committed("cohort").items()}
    assert found["local:1", "overhead"] < 5 and found["local:2", "overhead"] < 5
    assert found["local:2", "speed-up"] >= 1.8
    for method in (cohort.TOUCHED, cohort.LOST):
        assert found[method, "done"] == 9900 and found[method, "listed"] == 100
        assert found[method, "twice"] == found[method, "half-written"] == 0
    assert found[cohort.TOUCHED, "killed"] == 10
    grown = found[cohort.TOUCHED, "driver at most"] - found[cohort.SMALL, "driver at most"]
    assert grown < 0.1 * found[cohort.SMALL, "driver at most"]


def test_committed_scaling():
    found = committed("scaling")
    assert {method for method, _ in found} == set(scaling_table.CASES)
    for case, (edge, ndim, _, _) in scaling_table.CASES.items():
        seconds, voxel = (
            found[case, metric]["median"] for metric in ("seconds", "microseconds per voxel")
        )
        assert voxel == pytest.approx(1e6 * seconds / edge**ndim, rel=1e-3)
        assert found[case, "bytes read"]["median"] >= 2 * 4 * edge**ndim


def test_committed_precision():
    found = committed("bfloat16")
    for recipe in bfloat16.RECIPES:
        full, half = (found[f"{recipe} {policy}", "score"] for policy in bfloat16.POLICIES)
        assert full["n"] == half["n"] >= 3
        assert abs(full["mean"] - half["mean"]) < 0.05


@pytest.mark.long
def test_a_small_table_of_cohorts(tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="needs tfreg[cluster]")
    monkeypatch.setattr(cohort, "REPEATS", 1)
    methods = f"{cohort.METHODS[0]},local:1,{cohort.SMALL}"
    words = ["--methods", methods, "--pairs", "144", "--many", "1000", "--out", str(tmp_path)]
    assert main(["run", "cohort", *words]) == 0
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    found = {(row["method"], row["metric"]): row["median"] for row in rows}
    assert found["local:1", "pairs per second"] > 1 and -90 < found["local:1", "overhead"] < 900
    assert found[cohort.SMALL, "done"] == 99 and found[cohort.SMALL, "listed"] == 1
    assert found[cohort.SMALL, "driver at most"] > 50


@pytest.mark.long
def test_a_small_table_of_scaling(tmp_path):
    case = next(iter(scaling_table.CASES))
    words = ["--methods", case, "--share", "0.1", "--out", str(tmp_path)]
    assert main(["run", "scaling", *words]) == 0
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    found = {row["metric"]: row["median"] for row in rows}
    assert found["bytes read"] > 2 * 4 * 64 * 64 and found["bytes written"] > 3 * 4 * 64 * 64
    assert 0 < found["reading"] < 5 and 0 < found["seconds"] < 60


@pytest.mark.long
def test_a_small_table_of_precision(tmp_path):
    methods = ",".join(bfloat16.METHODS[:2])
    words = ["--methods", methods, "--iterations", "200", "--seeds", "1", "--batch", "8"]
    assert main(["run", "bfloat16", *words, "--out", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "table.json").read_text())
    found = {(row["method"], row["metric"]): row["median"] for row in content["rows"]}
    scores = [found[method, "score"] for method in bfloat16.METHODS[:2]]
    assert scores[0] != scores[1] and abs(scores[0] - scores[1]) < 0.2
    assert all(found[method, "step"] > 0 for method in bfloat16.METHODS[:2])
    assert any("float32 minus bfloat16" in note for note in content["notes"])
