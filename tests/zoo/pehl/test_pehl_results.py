"""What the committed tables of X-rays must show."""

import json
from pathlib import Path

import pytest

from benchmarks.tables import pehl

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"


def rows_of(table):
    rows = json.loads((RESULTS / table / "table.json").read_text(encoding="utf-8"))["rows"]
    return {(row["method"], row["group"], row["metric"]): row for row in rows}


@pytest.fixture(scope="module")
def found():
    return rows_of("pehl")


def test_the_lines_are_those_of_the_table(found):
    assert {method for method, _, _ in found} <= set(pehl.METHODS)


def test_the_descent_finds_what_is_near(found):
    """Of the skull, whose cut below the CT ends in two optima, of five tries."""
    assert found["gauss-newton gc", "implant x1", "success"]["mean"] >= 98
    assert found["gauss-newton gc", "implant x1", "mtre"]["median"] <= 0.11
    assert found["gauss-newton gc 5 tries", "cranium x1", "success"]["mean"] >= 95
    assert found["gauss-newton gc 5 tries", "cranium x1", "mtre"]["median"] <= 0.26


@pytest.mark.parametrize("group", ["cranium x1", "implant x1"])
@pytest.mark.parametrize("method", ["gauss-newton gc", "gauss-newton gc 5 tries"])
def test_powell_asks_for_ten_times_the_renderings(found, method, group):
    ours, theirs = (found[one, group, "renderings"]["median"] for one in (method, "powell gc"))
    assert theirs >= 10 * ours


def test_networks_and_their_parts(found):
    success = {
        m: row["mean"] for (m, g, k), row in found.items() if (g, k) == ("implant x1", "success")
    }
    assert success["pehl 3"] >= 95
    assert found["pehl 3", "implant x1", "mtre"]["median"] <= 0.35
    order = [f"pehl 3 {part}" for part in ("in one zone", "without lir", "without hpr")]
    assert sorted(order, key=success.__getitem__, reverse=True) == order  # as in the paper


def test_a_network_brings_the_descent_further(found):
    assert found["pehl 3 + refine", "implant x2", "success"]["mean"] >= 95
    for name in ("implant", "cranium"):
        ours, alone = (
            found[method, f"{name} x3", "success"]["mean"]
            for method in ("pehl 3 + refine", "gauss-newton gc")
        )
        assert ours > alone
