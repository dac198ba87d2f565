import argparse

import numpy as np
import pytest

from benchmarks.tables import wrist
from tfreg import ops
from tfreg.data import radiographs
from tfreg.errors import InputError
from tfreg.geometry import ConeBeam, Geometry, frame_of, matrix_of
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
    return wrist._Place(Image(array, grid), [np.full(c.shape, 99) for c in CAMERAS], CAMERAS, None)


def test_a_pose_in_the_frame_of_another_camera(place):
    pose = np.array([2.0, -3.0, 800.0, 4.0, 6.0, -5.0])
    (other,) = place.seen_by(pose[None], 1)
    point = [*place.targets[3], 1]
    seen = [np.linalg.inv(c.extrinsic) @ matrix_of(p, place.centre) @ point
            for c, p in zip(CAMERAS, (pose, other), strict=True)]  # fmt: skip
    np.testing.assert_allclose(*seen, atol=1e-9)  # one place of the common frame
    np.testing.assert_allclose(place.seen_by(pose[None], 0)[0], pose, atol=1e-9)


def test_only_what_is_lit_counts():
    rows, columns = np.indices((300, 320)) - 150
    xray = np.where(np.hypot(rows, columns) < 140, 200, 20).astype("uint8")
    xray[140:160, 140:160] = 5  # metal
    mask = wrist.lit(xray)
    assert mask[150, 150] and mask[150, 235] and not mask[150, 245] and not mask[0, 0]


def test_errors_are_over_the_box_about_the_bone(place):
    assert np.ptp(place.targets, axis=0).tolist() == [8, 8, 15]
    poses = np.array([[3.0, 4, 800, 0, 0, 0], [0, 0, 700, 0, 0, 0]])
    assert place.errors(poses, np.array([[0.0, 0, 800, 0, 0, 0]])) == pytest.approx([5, 0])


def test_turns_are_about_the_view(place):
    """With t_alpha near 90 degrees t_beta undoes t_theta: their difference alone means nothing."""
    true = np.array([0.0, 0.0, 800.0, 20.0, 89.9, 0.0])
    steps = np.array([[0.0, 0, 0, 30, 0, -30], [0, 0, 0, 30, 0, 0], [0, 0, 0, -354, 0, 0]])
    assert place.turned(true + steps, true) == pytest.approx([0, 30, 6], abs=0.2)


@pytest.mark.long
@pytest.mark.plain
def test_a_bone_is_found_from_both_sides(monkeypatch):
    """A box with a notch, small enough that few tries find it."""
    monkeypatch.setattr(wrist, "_TRIES", 4)
    monkeypatch.setattr(wrist, "_KEPT", 2)
    monkeypatch.setattr(wrist, "_OFF", 3.0)
    array = np.zeros((24, 20, 18), "uint16")
    array[2:22, 3:17, 2:16] = 1000
    array[12:, 3:9, 8:] = 0
    grid = Geometry((18, 20, 24), (2.0, 2.0, 2.5), (-3.0, 12.0, 10.0), np.eye(3).tolist())
    volume = Image(array, grid)
    true = np.array([3.0, -2.0, 805.0, 8.0, -6.0, 9.0])
    xrays = []
    for camera in CAMERAS:
        source, rays = camera.rays(CAMERAS[0])
        parts = (true[None], frame_of(grid), source, rays[None])
        bundle = ops.pose_rays(*(np.asarray(part, "float32") for part in parts))
        image = ops.project(0.00005 * array[None, ..., None].astype("float32"), *bundle, "siddon")
        xrays.append(np.exp(-np.asarray(image)[0, ..., 0]))
    monkeypatch.setattr(wrist, "lit", lambda xray: np.ones(xray.shape, bool))
    place = wrist._Place(volume, xrays, CAMERAS, None)
    descent = place.descent

    def short(*arguments, steps=4, **options):
        return descent(*arguments, **{"levels": [1], **options, "steps": min(steps, 4)})

    monkeypatch.setattr(place, "descent", short)
    rng = np.random.default_rng(0)
    assert place.best(rng).shape == (6,)
    monkeypatch.setattr(place, "best", lambda rng: true)
    table = wrist.Table("wrist", "", "", wrist.COLUMNS)
    wrist._measure(table, "radius 1", place, wrist.METHODS, rng, 1)
    cells = {(row.method, row.metric): row.median for row in table.rows}
    assert {method for method, _ in cells} == set(wrist.METHODS)
    assert cells["gauss-newton gc", "mtre"] < 0.5 < cells["start", "mtre"]
    assert cells["best", "reprojection"] > 0.95
    assert all(cells[f"camera {k} alone", "apart"] < 1.0 for k in (1, 2))


def test_options_are_checked(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="--starts must be positive"):
        wrist.run(options("--starts", "0"))
    with pytest.raises(InputError, match="--methods takes start, best, gauss-newton gc"):
        wrist.run(options("--methods", "icp"))
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    assert not radiographs.available("wrist")
    with pytest.raises(InputError, match=r"xray_wrist\.npz was not found"):
        wrist.run(options())
