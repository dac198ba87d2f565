"""What the committed tables of spatial transformer networks must show."""

import json

import pytest

from benchmarks import readme
from zoo.stn import METHOD

RESULTS = readme.ROOT / "benchmarks" / "results"
PAPER = METHOD.numbers["stn-mnist"]


def found(name, metric, statistic="mean"):
    """A metric of a table, by method and group."""
    rows = json.loads((RESULTS / name / "table.json").read_text(encoding="utf-8"))["rows"]
    return {
        (row["method"], row["group"]): row[statistic] for row in rows if row["metric"] == metric
    }


@pytest.mark.parametrize("metric", ["error", "error_seeds"])
def test_networks_reach_the_paper(metric):
    errors = found("stn-mnist", metric)
    for method, cells in PAPER.items():
        for kind, paper in cells.items():
            slack = {"st-cnn": 0.3, "st-fcn": 0.5}.get(method.split()[0])
            if slack is not None:
                assert errors[method, kind.upper()] <= paper + slack + 1e-6, (method, kind)


def test_a_transformer_helps_in_every_column():
    errors = found("stn-mnist", "error")
    for method, group in errors:
        if method.startswith("st-"):
            assert errors[method, group] < errors[method.split()[0][3:], group], (method, group)


def test_all_test_digits_were_classified():
    for name in ("stn-mnist", "stn-mnist-clutter", "stn-mnist-addition"):
        assert {*found(name, "error", "n").values()} == {10_000}


def test_clutter_and_addition_reach_the_paper():
    clutter = found("stn-mnist-clutter", "error")
    assert clutter["st-cnn attention", "all"] < min(1.7, clutter["cnn", "all"])
    addition = found("stn-mnist-addition", "error")
    for transform in ("affine", "projective", "tps"):
        paper = METHOD.numbers["stn-mnist-addition"][f"2xst-fcn {transform}"]
        assert addition[f"2xst-fcn {transform}", "all"] < min(5.8, paper)


def test_the_warp_is_a_small_part_of_a_step():
    steps, warps = (found("stn-mnist", metric, "median") for metric in ("step", "warp"))
    for line, seconds in warps.items():
        assert seconds < 0.25 * steps[line]
