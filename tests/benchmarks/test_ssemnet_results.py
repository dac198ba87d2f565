"""What the committed tables of serial sections must show.

Bars that the tables miss are not lowered here but told in the fidelity sheet; what is asserted is
what they reach.
"""

import json

import pytest

from benchmarks import readme

RESULTS = readme.ROOT / "benchmarks" / "results"


def found(name, metric):
    """A metric of a table, by method and group."""
    rows = json.loads((RESULTS / name / "table.json").read_text(encoding="utf-8"))["rows"]
    return {(row["method"], row["group"]): row["mean"] for row in rows if row["metric"] == metric}


@pytest.mark.parametrize("group", ["near", "far", "near, short waves"])
def test_features_do_not_beat_ncc_where_contrast_is_the_same(group):
    """A result: it is why sections are registered without a network unless one is asked for."""
    consistency = found("ssem-pairs", "consistency")
    best = consistency["ncc coarse to fine", group]
    assert best < consistency["none", group]
    assert best <= consistency["ssemnet", group]


def test_pairs_are_alike_after_ncc_and_do_not_fold():
    ncc, folding = found("ssem-pairs", "ncc"), found("ssem-pairs", "folding")
    for group in ("near", "far"):
        assert ncc["ncc coarse to fine", group] >= 0.44
        assert folding["ncc coarse to fine", group] < 0.01


def test_real_sections_that_nobody_aligned_are_alike_after():
    ncc, second = found("ssem-stack", "ncc"), found("ssem-stack", "ncc2")
    folding = found("ssem-stack", "folding")
    best = ("ncc 16 px, relaxed", "lung")
    assert ncc["none", "lung"] < 0.25
    assert ncc[best] >= 0.92 and second[best] >= 0.86 and folding[best] < 0.01


def test_a_relaxed_stack_without_drift_is_nearer_to_the_truth_than_it_was():
    error = found("ssem-stack", "error")
    method = "ncc, relaxed, no drift"
    assert error[method, "deformed 20"] <= 3.5
    assert error[method, "deformed 20"] < error["none", "deformed 20"]
    assert error[method, "undeformed 20"] < error[method, "deformed 20"]
    # A plain chain adds up what it misses.
    assert error["ncc, chain", "deformed 20"] > error["none", "deformed 20"]
