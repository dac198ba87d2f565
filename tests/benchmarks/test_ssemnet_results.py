"""What the fidelity sheet says of the committed tables of serial sections."""

import json

import pytest

from benchmarks import readme
from benchmarks.sections import GROUPS

RESULTS = readme.ROOT / "benchmarks" / "results"


class Found:
    """The means of a committed table."""

    def __init__(self, name):
        content = json.loads((RESULTS / name / "table.json").read_text(encoding="utf-8"))
        self.rows = {(r["method"], r["group"], r["metric"]): r for r in content["rows"]}
        self.differences = {
            (d["method"], d["reference"], d["metric"]): d for d in content["differences"]
        }

    def __call__(self, method, group, metric, statistic="mean"):
        return self.rows[method, group, metric][statistic]


@pytest.fixture(scope="module")
def pairs():
    return Found("ssem-pairs")


@pytest.fixture(scope="module")
def stacks():
    return Found("ssem-stack")


@pytest.mark.parametrize("group", GROUPS)
def test_features_do_not_beat_intensities_on_the_same_map(pairs, group):
    """A result: it is why sections are registered without a network unless one is asked for."""
    assert pairs("ssemnet", group, "consistency") > pairs("pixel ncc", group, "consistency")
    # Against squared differences clean sections are in the paper's order of consistency, damaged
    # ones are not; of NCC, in which the paper tells it, none are.
    clean = group in ("near", "far", "near, short waves")
    behind = pairs("ssemnet", group, "consistency") - pairs("pixel mse", group, "consistency")
    assert (behind < 0) == clean
    for intensities in ("pixel mse", "pixel ncc"):
        assert pairs("ssemnet", group, "ncc") < pairs(intensities, group, "ncc")
    # What the autoencoder learned is worth something, though.
    assert pairs("ssemnet", group, "ncc") > pairs("random encoder", group, "ncc") + 0.1


@pytest.mark.parametrize("group", GROUPS)
def test_ncc_coarse_to_fine_is_ahead_of_all_that_bends(pairs, group):
    best, names = "ncc coarse to fine", ("elastix", "elastix default", "bidirectional", "ssemnet")
    own = pairs(best, group, "consistency")
    assert all(own < pairs(name, group, "consistency") for name in (*names, "ssemnet plus"))
    assert pairs(best, group, "folding") < 0.06
    for group in ("near", "far"):
        assert own_ncc(pairs, group) >= 0.46
        # The bars were 1.3 and 3 px: the sheet says that they are missed.
        assert pairs(best, group, "consistency") > {"near": 1.3, "far": 3.0}[group]
        assert pairs(best, group, "consistency") < pairs("elastix bending", group, "consistency")


def own_ncc(pairs, group):
    return pairs("ncc coarse to fine", group, "ncc")


def test_a_pair_takes_seconds_with_the_encoder_and_a_fraction_without(pairs):
    for name in ("ssemnet", "ssemnet plus"):
        assert pairs(name, "all", "seconds", "median") < 10
    own = pairs("ncc coarse to fine", "all", "seconds", "median")
    assert own < 0.5
    for name in ("elastix", "elastix bending"):
        assert own < 0.2 * pairs(name, "all", "seconds", "median")


def test_what_is_nearer_than_nothing(pairs):
    def nearer(group):
        methods = {method for method, *_ in pairs.rows} - {"painted truth", "none"}
        before = pairs("none", group, "consistency")
        return {m for m in methods if pairs(m, group, "consistency") < before}

    assert nearer("near") == {"ncc coarse to fine", "elastix bending"}
    assert not nearer("near, short waves")
    assert {"ssemnet plus", "ncc coarse to fine", "elastix", "bidirectional"} < nearer("far")
    short = [pairs(m, "near, short waves", "consistency") for m in ("pixel ncc", "ssemnet plus")]
    assert short == sorted(short)


def test_membranes_agree_more_the_more_alike_sections_are(pairs):
    dice = [pairs(m, "near", "dice") for m in ("none", "ssemnet", "ncc coarse to fine")]
    assert dice == sorted(dice)


def test_the_highest_ncc_is_no_merit(pairs):
    for name in ("tfreg default", "elastix default"):
        assert pairs(name, "near", "ncc") > pairs("ncc coarse to fine", "near", "ncc")
        assert pairs(name, "near", "folding") > 1
        assert pairs(name, "near", "consistency") > pairs("none", "near", "consistency")
    assert pairs("painted truth", "near", "ncc") < 0.25


def test_real_sections_that_nobody_aligned_are_alike_after(stacks):
    best = ("ncc, relaxed", "lung")
    assert stacks("none", "lung", "ncc") < 0.1
    assert stacks(*best, "folding") == 0
    # .92 and .88 were aimed at: the sheet says that they are just missed.
    assert 0.91 < stacks(*best, "ncc") < 0.92
    assert 0.85 < stacks(*best, "ncc2") < 0.88


@pytest.mark.parametrize("method", ["ncc", "ssemnet", "ssemnet plus"])
def test_a_relaxed_stack_without_drift_is_nearer_to_the_truth_than_it_was(stacks, method):
    still, relaxed = f"{method}, relaxed, no drift", f"{method}, relaxed"
    assert stacks(still, "deformed 20", "error") < 3.5
    assert stacks(still, "deformed 20", "error") < stacks("none", "deformed 20", "error")
    assert stacks(still, "undeformed 20", "error") < stacks(still, "deformed 20", "error")
    # A chain adds up what it misses, and so does what keeps the drift.
    for other in ("ncc, chain", "ssemnet, section by section", relaxed):
        assert stacks(other, "deformed 20", "error") > stacks("none", "deformed 20", "error")


def test_no_stack_of_isbi_2012_comes_nearer_to_the_truth(stacks):
    """The sheet says so."""
    before = stacks("none", "deformed 30", "error")
    for method in ("ncc, chain", "ncc, relaxed", "ncc, relaxed, no drift", "tfreg align"):
        assert stacks(method, "deformed 30", "error") > before
    # Where sections lie on each other already, phase correlation takes them away.
    for group in ("deformed 20", "deformed 30"):
        own = [stacks(m, group, "error") for m in ("ncc, relaxed, no drift", "tfreg align")]
        assert own == sorted(own)
