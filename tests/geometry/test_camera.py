import json

import numpy as np
import pytest

from tfreg.errors import InputError
from tfreg.geometry import ConeBeam, meeting

TURN = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
TURN = TURN * np.sign(np.linalg.det(TURN))
CAMERA = ConeBeam(1000.0, (40, 60), (0.4, 0.5), (18.0, 33.5), TURN, (10.0, -20.0, 900.0))


def test_rays_go_through_what_is_seen(rng):
    points = rng.uniform((-20, -20, 500), (20, 20, 900), (7, 3))
    pixels = CAMERA.project(points)
    source, rays = CAMERA.rays_at(pixels)
    np.testing.assert_allclose(source, 0)
    np.testing.assert_allclose(rays, points / np.linalg.norm(points, axis=1, keepdims=True))


def test_rays_of_the_pixels(rng):
    _, rays = CAMERA.rays()
    assert rays.shape == (40, 60, 3)
    np.testing.assert_allclose(CAMERA.project(rays[3, 5] * 700), [3, 5], atol=1e-9)


def test_rays_in_the_frame_of_another_camera(rng):
    other = ConeBeam(800.0, (10, 10), 1.0, rotation=TURN @ TURN, translation=(5.0, 6.0, 700.0))
    point = np.array([3.0, -4.0, 5.0])  # of the common frame
    own = CAMERA.extrinsic @ [*point, 1]
    source, ray = CAMERA.rays_at(CAMERA.project(own[:3]), other)
    seen = (other.extrinsic @ [*point, 1])[:3]
    np.testing.assert_allclose(np.cross(seen - source, ray), 0, atol=1e-9)


def test_matrix_of_opencv():
    matrix = [[2500.0, 0, 33.5], [0, 2000.0, 18.0], [0, 0, 1]]
    camera = ConeBeam.from_matrix(matrix, (40, 60), pixel=0.4)
    assert camera.source_detector == 1000.0 and camera.pixel == (0.5, 0.4)
    seen = np.array(matrix) @ [10.0, -5.0, 700.0]
    np.testing.assert_allclose(
        camera.project([10.0, -5.0, 700.0]), [seen[1] / seen[2], seen[0] / seen[2]]
    )


def test_binned_pixels_are_the_means_of_pixels():
    small = CAMERA.binned(4)
    assert small.shape == (10, 15)
    point = np.array([13.0, -8.0, 640.0])
    np.testing.assert_allclose(small.project(point), (CAMERA.project(point) + 0.5) / 4 - 0.5)


def test_a_part_of_the_image():
    part = CAMERA.cropped((5, 7), (8, 9))
    _, rays = part.rays()
    np.testing.assert_allclose(rays, CAMERA.rays()[1][5:13, 7:16], atol=1e-12)


def test_json_and_back():
    assert ConeBeam.from_dict(json.loads(json.dumps(CAMERA.to_dict()))) == CAMERA


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source_detector": -1.0}, "must be positive"),
        ({"pixel": 0.0}, "must be positive"),
        ({"pixel": (1.0, 2.0, 3.0)}, r"pixel must be numbers of shape"),
        ({"shape": (0, 4)}, "shape must be two positive integers"),
        ({"shape": (4,)}, "shape must be two positive integers"),
        ({"shape": 4}, "shape must be two positive integers"),
        ({"shape": (4.5, 4)}, "shape must be two positive integers"),
        ({"shape": ("a", 4)}, "shape must be two positive integers"),
        ({"principal": (np.nan, 0.0)}, "principal must be finite"),
        ({"rotation": np.diag([1.0, 1.0, -1.0])}, "rotation must be a rotation"),
        ({"source_detector": "far"}, "source_detector must be numbers of shape"),
        ({"rotation": [[1, 2], [3]]}, "rotation must be numbers of shape"),
        ({"rotation": np.ones((2, 2))}, r"rotation=\[\[1.0, 1.0\], \[1.0, 1.0\]\]"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"source_detector": 1000.0, "shape": (4, 5), "pixel": 1.0, **change}
    with pytest.raises(InputError, match=message) as error:
        ConeBeam(**arguments)
    assert "\n" not in str(error.value)


def test_what_is_no_camera():
    with pytest.raises(InputError, match="A camera matrix is"):
        ConeBeam.from_matrix([[1, 2, 3], [0, 1, 3], [0, 0, 1]], (4, 4))
    with pytest.raises(InputError, match="A camera matrix is"):
        ConeBeam.from_matrix([["a", 0, 0]], (4, 4))
    with pytest.raises(InputError, match=r"Received: \[\[nan, 0.0, 0.0\], "):
        ConeBeam.from_matrix(np.diag([np.nan, 1.0, 1.0]), (4, 4))
    with pytest.raises(InputError, match="This is not a camera"):
        ConeBeam.from_dict({"focal": 3})
    with pytest.raises(InputError, match="must lie before the source"):
        CAMERA.project([0.0, 0.0, -1.0])
    with pytest.raises(InputError, match=r"points must be \(..., 3\)"):
        CAMERA.project([0.0, 1.0])


def test_where_views_meet():
    """Off the principal points, in the frame of a first camera that is not the common one."""
    point, cameras = np.array([40.0, -30.0, 20.0]), []
    for turn in (np.eye(3), TURN):
        seen = turn @ point + (10.0, -20.0, 900.0)
        place = ConeBeam(1000.0, (40, 60), 1.0).project(seen)
        principal = (19.5, 29.5) - (place - (19.5, 29.5))
        cameras.append(ConeBeam(1000.0, (40, 60), 1.0, principal, turn, (10.0, -20.0, 900.0)))
    expected = cameras[0].extrinsic @ [*point, 1]
    np.testing.assert_allclose(meeting(cameras), expected[:3], atol=1e-9)
    other = np.array([35.0, -28.0, 33.0])
    pixels = [c.project(c.extrinsic[:3] @ [*other, 1]) for c in cameras]
    expected = cameras[0].extrinsic @ [*other, 1]
    np.testing.assert_allclose(meeting(cameras, pixels), expected[:3], atol=1e-9)
    with pytest.raises(
        InputError, match=r"\(row, column\) of each camera. Received: shape=\(1, 2\)"
    ):
        meeting(cameras, pixels[:1])
    with pytest.raises(InputError, match="parallel"):
        meeting(cameras[:1] * 2)
