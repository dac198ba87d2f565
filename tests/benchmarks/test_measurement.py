import numpy as np
import pytest

from benchmarks.harness import Table
from benchmarks.measurement import Measurement
from benchmarks.methods.contender import Answer, Batched, ColdStart, pick
from benchmarks.methods.instance import Instance
from benchmarks.methods.nothing import Nothing
from benchmarks.methods.per_group import PerGroup
from benchmarks.methods.preset import Preset
from benchmarks.methods.worker import WorkerError
from benchmarks.pairs import Pair
from tfreg.errors import InputError


class Shift:
    """A contender that shifts, and takes as many seconds; it fails on the pairs it is told."""

    def __init__(self, name, shift, fails=(), ours=False, compiles=None, missing=None):
        self.name, self.ours = name, ours
        self.shift, self.fails, self.compiles, self.missing = shift, fails, compiles, missing
        self.calls = []

    def unavailable(self):
        return self.missing

    def warm(self, pair):
        self.calls.append(f"warm {pair.name}")
        return self.compiles

    def register(self, pair):
        self.calls.append(pair.name)
        if pair.name in self.fails:
            raise WorkerError("too many samples")
        return Answer(pair.at_start() + np.array([0.0, self.shift]), float(self.shift))

    def batch(self, pairs):
        self.calls.append([pair.name for pair in pairs])
        return 6.0

    def cold(self, pair):
        self.calls.append(f"cold {pair.name}")
        return 9.0, 100.0

    def close(self):
        self.calls.append("close")


@pytest.fixture
def pairs():
    """Bright columns, in the moving images one to the right; of three patients."""
    fixed = np.zeros((6, 9), "float32")
    fixed[:, 3] = 1
    labels = fixed.astype("uint8")
    return [
        Pair(
            *(f"pair {k}", fixed, np.roll(fixed, 1, 1), (2.0, 1.5)),
            *(labels, np.roll(labels, 1, 1)),
            patient=patient,
            group=group,
        )
        for k, (patient, group) in enumerate((("x", "0"), ("y", "1"), ("z", "1")))
    ]


def measured(pairs, **options):
    table = Table("t", "d", "p", {"dice": "mean ± sd", "seconds": "median"}, settings={"seed": 0})
    return Measurement(table, pairs, labels={"dice": 1}, **options)


def rows(measurement, group="all"):
    found = measurement.table.rows
    return {(row.method, row.metric): row for row in found if row.group == group}


def test_all_are_judged_alike_and_timed(pairs):
    measurement = measured(pairs)
    right = Shift("right", 1, ours=True, compiles=5.0)
    fields = measurement.run_all([Nothing(), right, Shift("gone", 1, missing="skipped, not here.")])
    assert right.calls == ["warm pair 0", "pair 0", "pair 1", "pair 2", "close"]
    assert list(fields) == ["none", "right"] and fields["right"][0].dtype == np.float32
    found = rows(measurement)
    assert found["none", "dice"].mean == 0 and found["right", "dice"].mean == 1
    assert found["right", "seconds"].median == 1 and found["right", "compile"].median == 5
    assert ("none", "seconds") not in found and found["right", "seconds"].unit == "s"
    assert measurement.ours == ["right"] and measurement.values["right"]["dice"] == [1, 1, 1]
    assert measurement.table.notes == ["gone: skipped, not here."]


def test_groups_have_rows_of_their_own_and_batches(pairs):
    measurement = measured(pairs, batch=3, cold=True, keep=1)
    right = Shift("right", 1)
    assert len(measurement.run(right)) == 1
    assert [rows(measurement, group)["right", "dice"].n for group in ("all", "0", "1")] == [3, 1, 2]
    assert rows(measurement, "1")["right", "seconds"].n == 2
    batches = [call for call in right.calls if isinstance(call, list)]
    assert batches == 4 * [3 * ["pair 0"]] + 4 * [["pair 1", "pair 2", "pair 1"]]  # one warms
    found = rows(measurement)
    assert (
        found["right", "seconds_batched"].median == 2 and found["right", "seconds_batched"].n == 6
    )
    assert found["right", "seconds_cold"].median == 9 and found["right", "peak_mib"].unit == "MiB"


def test_what_has_no_batches_and_no_cold_start_is_not_asked_for_them(pairs):
    assert isinstance(Instance("tfreg"), Batched) and not isinstance(Instance("tfreg"), ColdStart)
    assert isinstance(Preset("a", "b"), ColdStart) and not isinstance(Nothing(), Batched)
    measurement = measured(pairs, batch=3, cold=True)
    measurement.run(Nothing())
    assert {metric for _, metric in rows(measurement)} == {"dice", "ncc", "folding"}


def test_a_method_that_fails_counts_as_its_start_and_is_noted(pairs):
    measurement = measured(pairs)
    fields = measurement.run(Shift("broken", 1, fails=["pair 1"]))
    np.testing.assert_array_equal(fields[1], pairs[1].at_start())
    assert measurement.table.notes == ["broken failed on pair 1: too many samples"]
    assert rows(measurement)["broken", "seconds"].n == 2
    assert measurement.values["broken"]["dice"] == [1, 0, 1]


def test_a_method_that_always_fails_has_no_row(pairs):
    measurement = measured(pairs)
    broken = Shift("broken", 1, fails=[pair.name for pair in pairs])
    assert measurement.run(broken) == [] and broken.calls[-1] == "close"
    assert not measurement.table.rows and not measurement.values
    (note,) = measurement.table.notes
    assert note.startswith("broken: left out, it failed on every pair. broken failed on pair 0")


def test_methods_are_compared_to_the_best_of_a_kind(pairs):
    measurement = measured(pairs)
    tools = [Shift("elastix far", 4), Shift("elastix near", 1, fails=["pair 2"]), Shift("ours", 1)]
    measurement.run_all([Nothing(), *tools])
    measurement.compare("dice", ("elastix *", "greedy"))  # there is no greedy
    found = measurement.table.differences
    assert [(one.method, one.reference) for one in found] == [
        ("elastix far", "elastix near"),
        ("ours", "elastix near"),
    ]
    assert found[1].mean == pytest.approx(1 / 3, abs=1e-5) and (found[1].low, found[1].high) == (
        0,
        1,
    )
    assert (found[1].n, found[1].clusters) == (3, 3)


def test_a_line_may_be_of_a_contender_for_each_group(pairs):
    both = PerGroup("digits", {"0": Shift("a", 1), "1": Shift("b", 2)})
    measurement = measured(pairs, batch=2, cold=True)
    measurement.run(both)
    assert measurement.values["digits"]["dice"] == [1, 0, 0]
    one, other = both.contenders.values()
    assert one.calls[:2] == ["warm pair 0", "pair 0"] and "cold pair 0" in one.calls
    assert other.calls[:2] == ["pair 1", "pair 2"]
    assert one.calls[-1] == other.calls[-1] == "close"
    lost = PerGroup("digits", {"0": Shift("a", 1), "1": Shift("b", 2, missing="left out, lost.")})
    assert lost.unavailable() == "left out, lost." and not lost.ours


def test_contenders_are_picked_in_the_order_of_the_table():
    known = [Shift(name, 1) for name in ("a", "b", "c")]
    assert pick("c,a", known) == [known[0], known[2]] and pick(None, known) == known
    with pytest.raises(InputError, match=r"^--methods takes a, b, c\. Received: d$"):
        pick("a,d", known)
