import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.harness import Row, Table
from benchmarks.tables import dirnet_cine
from zoo.dirnet.model import VARIANTS
from zoo.dirnet.paper import CINE_NCC


@pytest.mark.long
def test_the_table_on_phantoms(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(dirnet_cine, "BATCH", 2)
    out = tmp_path / "out"
    words = ["run", "dirnet-cine", "--data", "phantom", "--pairs", "6", "--out", str(out)]
    assert main([*words, "--methods", "none,dirnet bl,dirnet bl + refine,dirnet a1"]) == 0
    assert "| dirnet bl + refine |" in capsys.readouterr().out
    content = json.loads((out / "table.json").read_text())
    rows = content["rows"]
    assert [note for note in content["notes"] if "dirnet a1: left out" in note]
    cells = {(row["method"], row["metric"]): row for row in rows}
    assert ("dirnet a1", "dice") not in cells  # there is one network for phantoms
    order = [cells[m, "dice"]["mean"] for m in ("none", "dirnet bl", "dirnet bl + refine")]
    assert order[0] + 0.1 < order[1] < order[2]
    assert cells["dirnet bl + refine", "msd"]["mean"] < cells["none", "msd"]["mean"]
    assert cells["none", "hd95"]["unit"] == "mm" and cells["none", "hd95"]["paper"] is None
    for metric in dirnet_cine.COLUMNS:
        assert cells["dirnet bl", metric]["n"] > 0
    for name in ("pareto.png", "boxes.png", "cases.png"):
        assert (out / name).stat().st_size > 5000


def test_the_papers_values_stand_in_their_rows():
    table = Table("t", "d", "p", dirnet_cine.COLUMNS)
    methods = ("none", "elastix 2x2000", "dirnet b1", "dirnet plus")
    table.rows = [
        Row.of(method, "all", metric, "1", [0.5, 0.6])
        for method in methods
        for metric in ("dice", "hd95", "dice LV")
    ]
    dirnet_cine._add_paper(table)
    found = {(row.method, row.metric): row.paper for row in table.rows}
    deviations = {(row.method, row.metric): row.paper_sd for row in table.rows}
    assert deviations["elastix 2x2000", "hd95"] == 7.25
    assert "| 0.81 ± 0.08 |" in table.markdown()
    assert found["elastix 2x2000", "dice"] == 0.81 and found["dirnet b1", "hd95"] == 6.41
    assert found["dirnet plus", "dice"] is None and found["none", "dice LV"] is None
    assert "| paper: dice | paper: hd95 |" in table.markdown()
    assert set(CINE_NCC) == set(VARIANTS)


@pytest.mark.parametrize(
    ("words", "message"), [(["--pairs", "0"], "--pairs"), (["--methods", "demons"], "demons")]
)
def test_bad_options_exit_with_2(tmp_path, capsys, words, message):
    assert main(["run", "dirnet-cine", *words, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_nothing_that_could_run_is_said(tmp_path, capsys):
    words = ["run", "dirnet-cine", "--data", "phantom", "--methods", "dirnet a1"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    assert "dirnet a1: left out" in capsys.readouterr().err


def test_committed_results():
    """What the pages say of the table, on the same pairs in one run."""
    folder = Path(dirnet_cine.__file__).parent.parent / "results" / "dirnet-cine"
    rows = json.loads((folder / "table.json").read_text())["rows"]
    found = {(row["method"], row["metric"]): row for row in rows}

    def dice(method):
        return found[method, "dice"]["mean"]

    networks = [f"dirnet {name}" for name in (*VARIANTS, "bl cc0", "plus")]
    others = [m for m, metric in found if metric == "dice" and m.startswith(("e", "g", "A"))]
    assert len(others) == 6
    assert found["none", "dice"]["n"] == 156
    assert all(dice("dirnet plus") > dice(method) for method in others)
    assert all(dice("dirnet plus + refine") > dice(method) for method in others)
    assert found["dirnet plus + refine", "folding"]["mean"] < 0.1
    assert found["dirnet plus + refine", "seconds"]["median"] < 0.05
    slow = found["elastix 2x2000", "seconds"]["median"]
    for method in networks:
        assert found[method, "folding"]["mean"] < 0.5
        assert found[method, "dice"]["mean"] > dice("none") + 0.1
    assert slow / found["dirnet bl", "seconds"]["median"] > 100
    assert slow / found["dirnet bl", "seconds_batched"]["median"] > 300
    assert dice("elastix 2x100") - dice("dirnet bl") < 0.02  # the paper's own margin
