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
    found = relax(answers_of(maps), len(maps), STEP, smoothness=0)
    inner = (found - maps)[:, 2:-2, 2:-2]
    assert np.abs(inner).max() < 0.3 and np.sqrt((inner**2).mean()) < 0.06
    assert np.abs(found.mean(axis=0)).max() < 1e-3  # the stack stays in the middle


def test_second_neighbours_hold_what_one_pair_misses(maps):
    answers = answers_of(0 * maps)
    answers[3, 4] = answers[3, 4] + 2.0  # one pair is wrong

    def torn(answers):
        found = relax(answers, len(maps), STEP, smoothness=0)
        return float(np.abs(found[4] - found[3]).max())

    chain = {pair: answer for pair, answer in answers.items() if pair[1] == pair[0] + 1}
    assert torn(chain) == pytest.approx(2.0, abs=0.1)
    # Beside the spring of the wrong pair (1) two of half its strength, each over a sound one.
    assert torn(answers) == pytest.approx(2 / (1 + 2 / 3), abs=0.3)


@pytest.mark.parametrize("neighbours", [1, 2])
def test_no_step_is_held_back_however_long_the_stack(neighbours):
    count, shape = 200, (3, 4, 2)
    answers = {
        (k, l): np.full(shape, float(l - k))
        for k in range(count)
        for l in range(k + 1, min(k + neighbours, count - 1) + 1)  # noqa: E741
    }
    found = relax(answers, count, STEP)
    np.testing.assert_allclose(np.diff(found, axis=0), 1, atol=1e-3)


def test_the_prior_holds_back_what_is_rough_and_no_translation():
    """A cosine within the sections: ``w = -+ u / (2 + s lambda)`` of two sections."""
    rows = np.arange(8)
    wave = np.cos(np.pi * 3 * (rows + 0.5) / 8)[:, None, None] * np.ones((8, 5, 2))
    stiff = 2 - 2 * np.cos(np.pi * 3 / 8)
    tiny = 1e-3  # so that where it is looked up does not matter
    for s in (0.0, 1.0, 10.0):
        found = relax({(0, 1): tiny * wave}, 2, STEP, smoothness=s)
        expected = tiny * wave / (2 + s * stiff)
        np.testing.assert_allclose(found, [-expected, expected], atol=2e-6)
    shift = relax({(0, 1): np.full((3, 3, 2), 4.0)}, 2, STEP, smoothness=100)
    np.testing.assert_allclose(shift[:, 1, 1, 0], (-2, 2), atol=1e-6)


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
    with pytest.raises(InputError, match="smoothness=-1"):
        relax({(0, 1): np.zeros((3, 3, 2))}, 2, STEP, smoothness=-1)


def test_slow_changes_stay_and_sudden_ones_are_undone():
    z = np.arange(240.0)[:, None]
    for period, left in ((10.0, 0.5), (100.0, 0.01), (2.5, 0.99)):
        wave = np.sin(2 * np.pi * z / period)
        found = without_drift(wave, 10.0)[60:180]
        assert np.sqrt((found**2).mean() / 0.5) == pytest.approx(left, abs=0.02)
    for period in (0, np.inf):
        with pytest.raises(InputError, match=f"period={period}"):
            without_drift(z, period)
    # Slower than the stack is long: what is left is what is not its mean.
    np.testing.assert_allclose(without_drift(z[:20], 1e9), z[:20] - z[:20].mean(), atol=0.5)


def test_a_lattice_holds_a_smooth_field():
    y, x = np.indices((61, 83), dtype="float64")
    field = np.stack([3 * np.sin(y / 15) + x / 20, np.cos(x / 18)], axis=-1)
    kept = lattice.taken(field, 8)
    assert kept.shape == (9, 12, 2)
    found = lattice.everywhere(kept, (61, 83), 8)
    assert found.shape == (61, 83, 2)
    assert np.abs(found - field)[4:-12, 4:-12].max() < 0.02
