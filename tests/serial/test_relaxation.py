import numpy as np
import pytest

from tfreg.errors import InputError
from tfreg.serial import lattice, relax, without_drift

STEP = 8


def answers_of(maps, step=STEP, neighbours=2):
    """The exact answers of pairs: ``u_kl(x + w_k(x)) = w_l(x) - w_k(x)``, by iteration."""
    places = step * np.moveaxis(np.indices(maps.shape[1:3], dtype="float64"), 0, -1)
    found = {}
    for k in range(len(maps) - 1):
        for other in range(k + 1, min(k + neighbours + 1, len(maps))):
            x = places.copy()
            for _ in range(50):  # x + w_k(x) = place
                x = places - lattice.at(maps[k], x, step)
            found[k, other] = lattice.at(maps[other] - maps[k], x, step)
    return found


@pytest.fixture
def maps(rng):
    from scipy.ndimage import gaussian_filter

    found = np.stack([gaussian_filter(rng.normal(size=(12, 14, 2)), (3, 3, 0)) for _ in range(9)])
    found -= found.mean(axis=0)  # what all share cannot be told from pairs
    return 3 * found / found.std()


def test_exact_answers_give_the_maps(maps):
    found = relax(answers_of(maps), len(maps), STEP, prior=1e-6)
    inner = (found - maps)[:, 2:-2, 2:-2]
    assert np.abs(inner).max() < 0.3 and np.sqrt((inner**2).mean()) < 0.06
    assert np.abs(found.mean(axis=0)).max() < 1e-3  # the prior holds the stack in the middle


def test_second_neighbours_hold_what_one_pair_misses(maps):
    answers = answers_of(0 * maps)
    answers[3, 4] = answers[3, 4] + 2.0  # one pair is wrong

    def torn(answers):
        found = relax(answers, len(maps), STEP)
        return float(np.abs(found[4] - found[3]).max())

    chain = {pair: answer for pair, answer in answers.items() if pair[1] == pair[0] + 1}
    assert torn(chain) == pytest.approx(2.0, abs=0.1)
    # Beside the spring of the wrong pair (1) two of half its strength, each over a sound one.
    assert torn(answers) == pytest.approx(2 / (1 + 2 / 3), abs=0.3)


def test_a_weak_prior_moves_nothing_and_a_strong_one_holds(maps):
    answers = {(0, 1): np.full((3, 3, 2), 4.0)}
    np.testing.assert_allclose(relax(answers, 2, STEP, prior=1e-9)[:, 1, 1, 0], (-2, 2), atol=1e-6)
    # (1 + p) w = u / ... : of two sections w = -+ u / (2 + p)
    np.testing.assert_allclose(relax(answers, 2, STEP, prior=2)[:, 1, 1, 0], (-1, 1), atol=1e-9)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({}, "Received: 0 answers"),
        ({(0, 1): np.zeros((3, 3, 2)), (1, 2): np.zeros((3, 4, 2))}, "2 answers of shapes"),
        ({(1, 0): np.zeros((3, 3, 2))}, r"k < l < 3.*Received: \[\(1, 0\)\]"),
        ({(1, 3): np.zeros((3, 3, 2))}, r"Received: \[\(1, 3\)\]"),
    ],
)
def test_answers_that_do_not_fit_are_refused(answers, message):
    with pytest.raises(InputError, match=message):
        relax(answers, 3, STEP)


def test_slow_changes_stay_and_sudden_ones_are_undone():
    z = np.arange(240.0)[:, None]
    for period, left in ((10.0, 0.5), (100.0, 0.01), (2.5, 0.99)):
        wave = np.sin(2 * np.pi * z / period)
        found = without_drift(wave, 10.0)[60:180]
        assert np.sqrt((found**2).mean() / 0.5) == pytest.approx(left, abs=0.02)
    with pytest.raises(InputError, match="period=0"):
        without_drift(z, 0)


def test_a_lattice_holds_a_smooth_field():
    y, x = np.indices((61, 83), dtype="float64")
    field = np.stack([3 * np.sin(y / 15) + x / 20, np.cos(x / 18)], axis=-1)
    kept = lattice.taken(field, 8)
    assert kept.shape == (9, 12, 2)
    found = lattice.everywhere(kept, (61, 83), 8)
    assert found.shape == (61, 83, 2)
    assert np.abs(found - field)[4:-12, 4:-12].max() < 0.02
