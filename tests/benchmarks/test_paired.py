import numpy as np
import pytest

from benchmarks.paired import paired


def test_a_constant_gain_has_no_spread(rng):
    theirs = rng.random(12)
    clusters = [f"patient {k // 3}" for k in range(12)]
    values = {"none": theirs - 0.5, "theirs": theirs, "ours": theirs + 0.25}
    none, ours = paired(values, "theirs", clusters, "dice")
    assert (none.method, none.mean, ours.method) == ("none", -0.5, "ours")
    assert (ours.mean, ours.low, ours.high) == (0.25, 0.25, 0.25)
    assert (ours.reference, ours.metric, ours.n, ours.clusters) == ("theirs", "dice", 12, 4)
    assert ours.resampled == "patient"


def test_two_patients_of_unlike_size_can_be_counted_by_hand():
    """Drawn twice from {a: one gain of 0, b: three of 1}: means 0, 3/4 and 1, as 1 : 2 : 1."""
    values = {"ours": [0.0, 1, 1, 1], "theirs": [0.0, 0, 0, 0]}
    (found,) = paired(values, "theirs", ["a", "b", "b", "b"], "dice")
    assert (found.mean, found.low, found.high) == (0.75, 0.0, 1.0)


def test_the_interval_is_that_of_means_of_patients_not_of_registrations():
    """Ten alike registrations per patient say no more than one: the interval does not shrink."""
    rng = np.random.default_rng(5)
    gains = rng.normal(0.1, 1.0, 40)
    names = [f"patient {k}" for k in range(40)]
    (one,) = paired({"ours": gains, "theirs": 0 * gains}, "theirs", names, "dice")
    tenfold = np.repeat(gains, 10)
    (ten,) = paired(
        {"ours": tenfold, "theirs": 0 * tenfold}, "theirs", np.repeat(names, 10), "dice"
    )
    assert (ten.mean, ten.n, ten.clusters) == (one.mean, 400, 40)
    assert ten.high - ten.low == pytest.approx(one.high - one.low, rel=0.03)
    error = gains.std() / np.sqrt(40)  # what theory says of the mean of 40
    assert one.high - one.low == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_the_draws_are_seeded_and_agree_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    gains = np.random.default_rng(1).gamma(1.0, 1.0, 30)  # skewed
    values, names = {"ours": gains, "theirs": 0 * gains}, [str(k) for k in range(30)]
    (one,), (same,) = (paired(values, "theirs", names, "tre", "mm", seed=4) for _ in range(2))
    (other,) = paired(values, "theirs", names, "tre", "mm", seed=5)
    assert one == same and one.unit == "mm"
    assert (one.low, one.high) != (other.low, other.high)
    oracle = stats.bootstrap(
        (gains,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert (one.low, one.high) == pytest.approx(tuple(oracle), abs=0.02)


def test_what_was_not_measured_does_not_count():
    nan = np.nan
    values = {
        "ours": [1.0, nan, 3.0, 9.0],
        "theirs": [0.0, 0.0, 1.0, nan],
        "short": [1, nan, nan, nan],
    }
    (found,) = paired(values, "theirs", ["a", "a", "b", "c"], "dice")  # one patient is no sample
    assert (found.method, found.n, found.clusters) == ("ours", 2, 2)
    assert found.mean == 1.5 and (found.low, found.high) == (1.0, 2.0)
