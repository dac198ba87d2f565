"""What the pages say of the tables of LDDMM and Quicksilver, on the same pairs in one run each."""

import json

import pytest

from benchmarks import readme

RESULTS = readme.ROOT / "benchmarks" / "results"


class Found:
    """The numbers of a committed table, by method, metric and group."""

    def __init__(self, name):
        rows = json.loads((RESULTS / name / "table.json").read_text(encoding="utf-8"))["rows"]
        self.rows = {(row["method"], row["metric"], row["group"]): row for row in rows}

    def mean(self, method, metric, group="all"):
        return self.rows[method, metric, group]["mean"]

    def median(self, method, metric, group="all"):
        return self.rows[method, metric, group]["median"]


@pytest.fixture(scope="module")
def slices():
    return Found("lddmm-oasis2d")


@pytest.fixture(scope="module")
def hippocampi():
    return Found("quicksilver-hippocampus")


def test_nothing_folds(slices):
    for method in ("lo", "tfreg lddmm", "lp", "lpc", "lpp", "lp + refine", "lp dense", "lpc dense"):
        assert slices.mean(method, "diffeomorphic") == 100, method


def test_prediction_comes_near_to_lddmm(slices):
    """It was to reach 85 % of its reduction within 0.5 px; the page says that it does not."""
    lo, lp, lpc, dense = (
        1 - slices.mean(method, "mse_ratio") for method in ("lo", "lp", "lpc", "lpc dense")
    )
    assert 0.75 * lo < lp < 0.85 * lo < lpc < dense < lo
    error = [slices.mean(m, "error_to_lo") for m in ("lpc dense", "lpc", "lp", "none")]
    assert error[0] > 0.5 and error == sorted(error)
    assert 30 < slices.mean("lpc", "gap_closed") < 50
    assert slices.mean("lp + refine", "mse_ratio") < slices.mean("lpc", "mse_ratio")
    # Slices of other brains serve nearly as well, and so does another contrast.
    for method in ("lp dkt31", "lp remapped"):
        assert slices.mean(method, "mse_ratio") < slices.mean("lp", "mse_ratio") + 0.03


def test_momenta_keep_a_map_from_folding_and_displacements_do_not(slices):
    found = [slices.mean(method, "mse_ratio") for method in ("displacements", "lp")]
    assert abs(found[0] - found[1]) < 0.03
    assert slices.mean("displacements", "diffeomorphic") < 50


def test_uncertainty_goes_with_the_error(slices):
    assert slices.mean("lpp", "uncertainty") > 0.3


def test_gradients_are_cheap_and_few():
    cost = Found("lddmm-cost")
    for shape in ("128x128", "48x64x48"):
        both = [cost.median(name, "seconds", shape) for name in ("adjoint", "automatic")]
        assert both[0] < 0.75 * both[1]  # it was to be half; the page says that it is not
    assert cost.median("adjoint", "matmuls", "48x64x48") < 150
    assert cost.median("lbfgs", "evaluations", "slices") <= 10
    assert cost.median("lbfgs", "energy", "slices") <= cost.median("descent", "energy", "slices")
    assert cost.mean("lbfgs", "diffeomorphic", "slices") == 100


def test_hippocampi_overlap(hippocampi):
    """LO was to be within 0.03 of B-splines, LP within 0.03 and LPC within 0.015 of LO; the page
    says where they are not."""
    lo, lp, lpc, dense, refined, spline = (
        hippocampi.mean(method, "dice")
        for method in ("lo", "lp", "lpc", "lpc dense", "lp + refine", "tfreg default mse")
    )
    assert hippocampi.mean("none", "dice") < lp
    assert lo - 0.08 < lp < lpc < dense and lo - 0.03 < lpc and lo - 0.015 < dense
    assert refined > lo - 0.01 and spline - 0.08 < lo < spline
    assert abs(hippocampi.mean("lo LNCC", "dice") - spline) < 0.02
    assert hippocampi.mean("lpc", "gap_closed") > 50
    for method in ("lo", "lo LNCC", "lp", "lpc", "lpc dense", "lp + refine"):
        assert hippocampi.mean(method, "diffeomorphic") == 100, method


def test_prediction_takes_seconds(hippocampi):
    lp, refined, lo, fixed_steps = (
        hippocampi.median(method, "seconds")
        for method in ("lp", "lp + refine", "lo", "lo 50 iterations")
    )
    assert lp < 3 and lo > 5 * lp and fixed_steps > 20 * lp
    assert fixed_steps > 5 * refined
