"""What the pages say of the tables of DLIR, on the same pairs in one run each."""

import json
from pathlib import Path

from benchmarks import readme
from benchmarks.tables import dlir_chest_ct, dlir_cine, dlir_hippocampus

RESULTS = Path(readme.ROOT, "benchmarks", "results")


class Found:
    """The numbers of a committed table, over all pairs."""

    def __init__(self, name):
        rows = json.loads((RESULTS / name / "table.json").read_text())["rows"]
        self.rows = {(r["method"], r["metric"]): r for r in rows if r["group"] == "all"}
        self.elastix = [m for m, metric in self.rows if metric == "seconds" and "elastix" in m]

    def mean(self, method, metric):
        return self.rows[method, metric]["mean"]

    def seconds(self, method):
        return self.rows[method, "seconds"]["median"]


def test_hippocampi():
    found = Found("dlir-hippocampus")
    assert found.rows["none", "dice"]["n"] >= 24 and len(found.elastix) == 4
    best = max(found.elastix, key=lambda method: found.mean(method, "dice"))
    stages = ["none", *list(dlir_hippocampus.ROWS)[:-1]]
    values = [found.mean(stage, "dice") for stage in stages]
    assert values == sorted(values)
    assert values[-1] > found.mean(best, "dice")
    assert found.seconds(best) > 100 * found.seconds(stages[-1])
    assert all(found.mean(row, "folding") < 0.1 for row in dlir_hippocampus.ROWS)


def test_hearts():
    found = Found("dlir-cine")
    assert found.rows["none", "dice"]["n"] >= 20 and len(found.elastix) == 5
    best = max(found.mean(method, "dice") for method in found.elastix)
    stages = ["none", *list(dlir_cine.ROWS)[:-1]]
    values = [found.mean(stage, "dice") for stage in stages]
    assert values[1] > values[0] - 0.01 and values[1:] == sorted(values[1:])
    assert values[-1] > best and found.mean("dlir + refine", "dice") > best
    assert all(found.mean(row, "folding") < 0.1 for row in dlir_cine.ROWS)


def test_lungs():
    found = Found("dlir-chest-ct")
    stages = ["none", *list(dlir_chest_ct.ROWS)[:4]]
    values = [found.mean(stage, "tre") for stage in stages]
    assert values[1:] == sorted(values[1:], reverse=True)
    assert values[-1] < 3.0
    tuned = "elastix 10 mm x2000"
    for ours in ("dlir + refine", "tfreg default"):
        assert found.mean(ours, "tre") < found.mean(tuned, "tre")
        assert found.seconds(tuned) > 10 * found.seconds(ours)
    assert all(found.mean(row, "folding") < 0.1 for row in dlir_chest_ct.ROWS)


def test_phantoms_that_breathe():
    found = Found("dlir-chest-ct-phantom")
    assert found.mean("dlir + refine", "error p95 voxels") < 1
    assert all(found.mean(row, "folding") < 0.1 for row in dlir_chest_ct.ROWS)
