import argparse

import numpy as np
import pytest

from benchmarks.tables import wrist
from tfreg.data import radiographs
from tfreg.errors import InputError
from tfreg.geometry import ConeBeam, Geometry, matrix_of
from tfreg.image import Image

TURN = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
CAMERAS = [
    ConeBeam(1000.0, (40, 44), 2.5, translation=(5.0, 6.0, 7.0)),
    ConeBeam(1000.0, (44, 40), 2.5, None, TURN, (800.0, 0.0, 800.0)),
]


def options(*words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--methods")
    parser.add_argument("--seed", type=int, default=0)
    wrist.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def place():
    array = np.zeros((12, 10, 8), "uint16")
    array[2:9, 3:8, 1:6] = 1000
    grid = Geometry((8, 10, 12), (2.0, 2.0, 2.5), (-3.0, 12.0, 10.0), np.eye(3).tolist())
    return wrist._Place(Image(array, grid), [np.ones(c.shape) for c in CAMERAS], CAMERAS)


def test_a_pose_in_the_frame_of_another_camera(place):
    pose = np.array([2.0, -3.0, 800.0, 4.0, 6.0, -5.0])
    (other,) = place.seen_by(pose[None], 1)
    point = [*place.targets[3], 1]
    seen = [np.linalg.inv(c.extrinsic) @ matrix_of(p, place.centre) @ point
            for c, p in zip(CAMERAS, (pose, other), strict=True)]  # fmt: skip
    np.testing.assert_allclose(*seen, atol=1e-9)  # one place of the common frame
    np.testing.assert_allclose(place.seen_by(pose[None], 0)[0], pose, atol=1e-9)


def test_errors_are_over_the_box_about_the_bone(place):
    assert np.ptp(place.targets, axis=0).tolist() == [8, 8, 15]
    poses = np.array([[3.0, 4, 800, 0, 0, 0], [0, 0, 700, 0, 0, 0]])
    assert place.errors(poses, np.array([[0.0, 0, 800, 0, 0, 0]])) == pytest.approx([5, 0])


def test_options_are_checked(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="--starts must be positive"):
        wrist.run(options("--starts", "0"))
    with pytest.raises(InputError, match="--methods takes start, best, gauss-newton gc"):
        wrist.run(options("--methods", "icp"))
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    assert not radiographs.available("wrist")
    with pytest.raises(InputError, match=r"xray_wrist\.npz was not found"):
        wrist.run(options())
