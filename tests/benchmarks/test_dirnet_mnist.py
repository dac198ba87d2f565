import json
from pathlib import Path

import pytest

from benchmarks import readme
from benchmarks.__main__ import main
from benchmarks.cores import THREADS
from benchmarks.harness import Row, Table
from benchmarks.tables import dirnet_mnist
from zoo.dirnet.paper import MNIST_NCC


@pytest.mark.long
def test_table_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("TFREG_DATA", raising=False)
    monkeypatch.setattr("benchmarks.tables.dirnet_mnist.BATCH", 8)
    out, extra, method = tmp_path / "out", tmp_path / "deep" / "table.json", "dirnet + refine"
    words = ["run", "dirnet-mnist", "--pairs", "2", "--data", "phantom"]
    words += ["--methods", f"none,{method}", "--out", str(out), "--json", str(extra)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "phantom digits" in printed and f"| {method} |" in printed
    table = json.loads(extra.read_text())
    assert table == json.loads((out / "table.json").read_text())
    assert table["data"] == "phantom digits" and table["machine"]["cores"] == THREADS
    keys = {
        "method",
        "group",
        "metric",
        "unit",
        "mean",
        "sd",
        "median",
        "q1",
        "q3",
        "n",
        "paper",
        "paper_sd",
    }
    assert all(row.keys() == keys for row in table["rows"])
    cells = {(r["method"], r["group"], r["metric"]): r for r in table["rows"]}
    ncc = [cells[m, "all", "ncc"]["mean"] for m in ("none", method)]
    assert ncc[0] < 0.9 < 0.97 < ncc[1]
    assert cells[method, "all", "ncc"]["n"] == 20 and cells[method, "7", "ncc"]["n"] == 2
    assert all(cells[method, "all", m]["median"] > 0 for m in ("seconds", "seconds_batched"))
    assert cells[method, "all", "ncc"]["paper"] is None  # the paper has no phantoms
    assert len((out / "table.csv").read_text().splitlines()) == 1 + len(table["rows"])
    assert {p.name for p in out.glob("*.png")} == {"mean-images.png", "speed.png"}


def test_the_papers_values_stand_in_their_rows():
    table = Table("t", "d", "p", dirnet_mnist.COLUMNS)
    table.rows = [
        Row.of(method, group, metric, "1", [0.9])
        for method in ("dirnet", "dirnet + refine")
        for group in ("all", "7")
        for metric in ("ncc", "folding")
    ]
    dirnet_mnist._add_paper(table)
    found = {(row.method, row.group, row.metric): row.paper for row in table.rows}
    assert found.pop(("dirnet", "7", "ncc")) == MNIST_NCC[7][-1] == 0.929
    assert found.pop(("dirnet", "all", "ncc")) == 0.9038 and set(found.values()) == {None}


def committed(name):
    path = Path(readme.ROOT, "benchmarks", "results", name, "table.json")
    return json.loads(path.read_text())["rows"]


def test_committed_results_clear_the_papers_bar():
    """The networks on 500 test pairs per digit against the paper's validation values."""
    rows = committed("dirnet-mnist-500")
    found = {r["group"]: r for r in rows if (r["method"], r["metric"]) == ("dirnet", "ncc")}
    assert all(found[str(d)]["mean"] >= found[str(d)]["paper"] - 0.01 for d in range(10))
    assert all(found[str(d)]["n"] >= 500 for d in range(10)) and found["all"]["mean"] > 0.904
