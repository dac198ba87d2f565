import numpy as np
import pytest

from tfreg import ops
from tfreg.errors import InputError
from tfreg.geometry import ConeBeam, Geometry, frame_of, matrix_of, pose_of, zone_of

DIRECTION = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
GRID = Geometry((8, 11, 6), (0.7, 1.3, 2.1), (-40.0, 12.0, 300.0), DIRECTION)


def test_zeros_are_a_frontal_view():
    matrix = matrix_of((0, 0, 900, 0, 0, 0), (1, 2, 3))
    points = np.array([[1, 2, 3, 1], [11, 2, 3, 1], [1, 12, 3, 1], [1, 2, 13, 1]], float)
    seen = (points @ matrix.T)[:, :3]
    left, back, head = seen[1:] - seen[0]
    np.testing.assert_allclose(seen[0], [0, 0, 900])
    np.testing.assert_allclose(left, [10, 0, 0])  # the patient's left is on the right
    np.testing.assert_allclose(back, [0, 0, 10])  # his back is away from the source
    np.testing.assert_allclose(head, [0, -10, 0])  # his head is up


def test_in_plane_parameters_move_the_image_alone():
    camera = ConeBeam(1000.0, (101, 101), 0.5)
    points = np.array([[3.0, 1.0, 4.0], [-5.0, 9.0, 2.0]])

    def seen(pose):
        matrix = matrix_of(pose, (0, 0, 0))
        return camera.project(points @ matrix[:3, :3].T + matrix[:3, 3]) - 50

    start = seen((0, 0, 800, 0, 20, -30))
    turned = seen((0, 0, 800, 90, 20, -30))
    np.testing.assert_allclose(turned, np.stack([start[:, 1], -start[:, 0]], axis=1), atol=1e-9)
    nearer = matrix_of((0, 0, 400, 0, 0, 0), (0, 0, 0)) @ [3, 0, 4, 1]
    further = matrix_of((0, 0, 800, 0, 0, 0), (0, 0, 0)) @ [3, 0, 4, 1]
    np.testing.assert_allclose(
        camera.project(nearer[:3]) - 50, 2 * (camera.project(further[:3]) - 50)
    )


def test_pose_and_matrix_are_inverse(rng):
    centre = rng.normal(size=3) * 50
    for _ in range(50):
        pose = np.append(rng.normal(size=3) * 100, rng.uniform((-180, -89, -180), (180, 89, 180)))
        np.testing.assert_allclose(pose_of(matrix_of(pose, centre), centre), pose, atol=1e-6)


@pytest.mark.parametrize("alpha", [-90, 90, 135, -170])
def test_other_angles_of_the_same_rotation(alpha):
    matrix = matrix_of((1, 2, 3, 40, alpha, 25), (5, 6, 7))
    np.testing.assert_allclose(matrix_of(pose_of(matrix, (5, 6, 7)), (5, 6, 7)), matrix, atol=1e-6)


def test_rotation_is_that_of_the_tensors(rng, numpy):
    pose = rng.normal(size=(4, 6)) * 60
    with ops.uncompiled():
        found = numpy(ops.pose_rotation(pose))
    for row, turn in zip(pose, found, strict=True):
        view = matrix_of((0, 0, 0, 0, 0, 0), (0, 0, 0))[:3, :3]
        np.testing.assert_allclose(turn @ view, matrix_of(row, (0, 0, 0))[:3, :3], atol=1e-12)


def test_the_ray_to_a_pixel_meets_the_point_that_is_seen_there(rng, numpy):
    camera = ConeBeam(1100.0, (40, 30), (0.8, 0.6), (17.0, 12.5))
    pose = np.array([12.0, -7.0, 750.0, 20.0, -35.0, 50.0])
    index = rng.uniform(0, GRID.shape, (9, 3))
    matrix = matrix_of(pose, GRID.centre)
    pixels = camera.project(GRID.to_physical(index) @ matrix[:3, :3].T + matrix[:3, 3])
    source, rays = camera.rays_at(pixels)
    with ops.uncompiled():
        start, direction = ops.pose_rays(pose[None], frame_of(GRID), source, rays[None])
    start, direction = numpy(start)[0], numpy(direction)[0]
    off = np.cross(index - start, direction) / np.linalg.norm(direction, axis=1, keepdims=True)
    np.testing.assert_allclose(off, 0, atol=1e-9)
    step = direction @ np.linalg.inv(frame_of(GRID)[:, :3]).T
    np.testing.assert_allclose(np.linalg.norm(step, axis=1), 1)  # of one mm


def test_zones_are_centred_at_multiples_of_their_width():
    angles = [((9.9, -9.9), (0, 0)), ((10.1, -10.1), (1, -1)), ((180, -181), (-9, -9))]
    for (alpha, beta), zone in angles:
        assert zone_of((0, 0, 1, 0, alpha, beta)) == zone
    assert zone_of((0, 0, 1, 0, 40, 20), width=40) == (1, 1)
    every = {zone_of((0, 0, 1, 0, a, b)) for a in range(0, 360, 10) for b in range(0, 360, 10)}
    assert len(every) == 18 * 18


def test_bad_input_is_named():
    with pytest.raises(InputError, match="pose must be 6 finite numbers"):
        matrix_of((0, 0, np.nan, 0, 0, 0), (0, 0, 0))
    with pytest.raises(InputError) as error:
        matrix_of(np.full(7, 1 / 3), (0, 0, 0))
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="centre must be 3 finite numbers"):
        matrix_of((0, 0, 0, 0, 0, 0), (0, 0))
    adrift = np.eye(4)
    adrift[0, 3] = np.nan
    for matrix in (np.diag([1, 1, -1, 1]), np.diag([2, 2, 2, 1]), np.eye(3), np.ones(4), adrift):
        with pytest.raises(InputError, match="rigid 4 x 4"):
            pose_of(matrix, (0, 0, 0))
