"""What the pages say of the tables of DLIR, on the same pairs in one run each."""

from test_optimise_tables import RESULTS, cells

from benchmarks.methods.stages import stages


def names(preset):
    """Of the rows of a network: its stages, then with the refinement."""
    return [row.name for row in stages(preset, "real")]


class Found:
    """The numbers of a committed table, over all pairs."""

    def __init__(self, name):
        self.rows = cells(RESULTS / name)
        self.elastix = [m for m, metric in self.rows if metric == "seconds" and "elastix" in m]

    def mean(self, method, metric):
        return self.rows[method, metric]["mean"]

    def seconds(self, method):
        return self.rows[method, "seconds"]["median"]


def test_hippocampi():
    found = Found("dlir-hippocampus")
    assert found.rows["none", "dice"]["n"] >= 16 and len(found.elastix) == 4
    best = max(found.elastix, key=lambda method: found.mean(method, "dice"))
    rows = ["none", *names("dlir-hippocampus")[:-1]]
    values = [found.mean(row, "dice") for row in rows]
    assert values == sorted(values)
    assert values[-1] > found.mean(best, "dice")
    assert found.mean("dlir + refine", "dice") > values[-1]
    others = [found.mean(method, "dice") for method in ("greedy", "ANTs SyN")]
    assert min(others) > found.mean("dlir + refine", "dice")
    assert found.seconds(best) > 100 * found.seconds(rows[-1])
    assert all(found.mean(row, "folding") < 0.1 for row in names("dlir-hippocampus"))


def test_hearts():
    found = Found("dlir-cine")
    assert found.rows["none", "dice"]["n"] >= 20 and len(found.elastix) >= 4
    best = max(found.mean(method, "dice") for method in found.elastix)
    rows = ["none", *names("dlir-cine")[:-1]]
    values = [found.mean(row, "dice") for row in rows]
    assert values[1] > values[0] - 0.01 and values[1:] == sorted(values[1:])
    assert values[-1] > best and found.mean("dlir + refine", "dice") > best
    assert all(found.mean(row, "folding") < 0.1 for row in names("dlir-cine"))


def test_lungs():
    found = Found("dlir-chest-ct")
    values = [found.mean(stage, "tre") for stage in names("dlir-chest-ct")[:4]]
    # The network alone was to be below 3.0; the page says that it is not.
    assert values == sorted(values, reverse=True) and values[-1] < 4
    # `tfreg default` was tuned on other data; the rows that do best here were not chosen before.
    assert found.mean("tfreg default", "tre") < found.mean("elastix 10 mm x2000", "tre")
    assert found.seconds("elastix 10 mm x2000") > 10 * found.seconds("tfreg default")
    assert all(found.mean(row, "folding") < 0.1 for row in names("dlir-chest-ct"))


def test_phantoms():
    found = Found("dlir-chest-ct-phantom")
    assert found.rows["none", "error"]["n"] >= 3
    values = [found.mean(stage, "error") for stage in ["none", *names("dlir-chest-ct")[:4]]]
    assert values == sorted(values, reverse=True)
    assert found.mean("dlir + refine", "error p95 voxels") < 1
    assert all(found.mean(row, "folding") < 0.1 for row in names("dlir-chest-ct"))
