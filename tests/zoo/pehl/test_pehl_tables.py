import argparse

import numpy as np
import pytest

from benchmarks.methods.powell import powell
from benchmarks.tables import pehl
from tfreg.data import implants
from tfreg.errors import InputError
from tfreg.geometry import ConeBeam
from tfreg.metrics import corners_of, projected_tre
from zoo.pehl.xrays import rendered


def test_capture_range():
    initial = np.arange(60.0)
    right = np.ones(60, bool)
    right[[40, 41, 45]] = False  # 40 of 40, 40 of 42, 43 of 46, ...
    assert pehl.captured(initial, right) == 59  # 57 of 60 are 95 %
    right[50:] = False
    assert pehl.captured(initial, right) == 44  # 43 of 45
    assert pehl.captured(initial[:15], right[:15]) is None  # too few


def test_powell_finds_a_pose_with_many_renderings():
    volume = implants.knee()
    small = volume.resample(volume.geometry.resampled(spacing=3.0))
    camera = ConeBeam(1000.0, (40, 40), 5.0)
    true = np.array([1.0, 2.0, 800.0, 3.0, -4.0, 5.0])
    xray = rendered(small, camera, true[None])[0]
    initial = np.add(true, (1.0, -1.0, 5.0, 2.0, 4.0, -4.0))
    found = powell(small, xray, camera, initial)
    corners, centre = corners_of(small.geometry), small.geometry.centre
    before, after = (projected_tre(p, true, corners, centre) for p in (initial, found.pose))
    assert after < 0.5 * before and found.renderings > 100


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--cases", "0"), "--cases must be positive"),
        (("--objects", "foot"), "--objects takes implant, cranium"),
        (("--scales", "a"), "--scales takes numbers"),
    ],
)
def test_options_are_checked(words, message):
    parser = argparse.ArgumentParser()
    parser.add_argument("--methods")
    parser.add_argument("--seed", type=int, default=0)
    pehl.add_arguments(parser)
    with pytest.raises(InputError, match=message):
        pehl.run(parser.parse_args(words))
