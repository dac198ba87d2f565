import numpy as np
import pytest

from tfreg.data import torsos
from tfreg.data.torsos import EXTENT, VERTEBRAE, draw


@pytest.fixture(scope="module")
def torso():
    return draw(np.random.default_rng(0), 5.0)


def test_a_torso_is_made_of_air_fat_muscle_and_bone(torso):
    assert torso.volume.shape == torso.labels.shape == tuple(int(n / 5) for n in EXTENT)
    assert torso.spacing == (5.0,) * 3 and torso.volume.dtype == np.float32
    assert torso.volume[:, 0, 0].max() < -900  # air about it
    bone = torso.volume[torso.labels > 0]
    assert 150 < bone.mean() < 450 and -1024 <= torso.volume.min() < torso.volume.max() < 900


def test_vertebrae_follow_each_other_and_grow_downwards(torso):
    there = [k for k in range(1, VERTEBRAE + 1) if (torso.labels == k).any()]
    assert len(there) >= VERTEBRAE - 1 and there == list(range(there[0], there[-1] + 1))
    middles = np.array([np.argwhere(torso.labels == k).mean(axis=0) for k in there]) * 5.0
    steps = np.diff(middles[1:-1, 0])
    assert (steps > 12).all() and (steps < 45).all() and steps[:5].mean() > 1.3 * steps[-5:].mean()
    sizes = np.array([(torso.labels == k).sum() for k in there])[1:-1]
    assert sizes[:4].mean() > 1.5 * sizes[-4:].mean()
    assert (middles[:, 1] > EXTENT[1] / 2).all()  # in the back
    assert np.abs(middles[:, 2] - EXTENT[2] / 2).max() < 25


def test_lungs_are_above_the_diaphragm(torso):
    inside = np.s_[:, 12:40, 12:60]
    air = (torso.volume[inside] < -600).mean(axis=(1, 2))
    assert air[60:80].mean() > 0.2 and air[10:30].mean() < 0.1


def test_torsos_differ_and_come_again():
    one, other = (draw(np.random.default_rng(k), 8.0) for k in (1, 2))
    assert (one.labels != other.labels).any()
    again = torsos.torsos("validation", 8.0, count=2)
    np.testing.assert_array_equal(again[1].volume, torsos.torsos("validation", 8.0)[1].volume)
    assert (again[0].volume != again[1].volume).any()
    assert (again[0].volume != torsos.torsos("test", 8.0, 1)[0].volume).any()


def test_a_torso_lies_where_it_does_at_any_spacing():
    """Front to back by less: there, thin processes weigh what voxels they happen to fill."""
    fine, coarse = (draw(np.random.default_rng(4), step) for step in (4.0, 5.0))
    for label in (5, 10, 14):
        middles = [
            (np.argwhere(one.labels == label).mean(axis=0) - (np.array(one.labels.shape) - 1) / 2)
            * one.spacing
            for one in (fine, coarse)
        ]
        assert (np.abs(np.subtract(*middles)) < (1.5, 5, 1.5)).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: draw(np.random.default_rng(0), 0.0), "spacing must be positive"),
        (lambda: torsos.torsos("holidays"), "split must be one of"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
