import keras
import numpy as np
import pytest

from tfreg import Image, metrics, ops
from tfreg.errors import InputError, InputWarning
from tfreg.geometry import ConeBeam, Geometry, frame_of, matrix_of
from tfreg.registration import register_projection
from tfreg.registration.projection.register import _descent
from tfreg.registration.projection.views import scene_of, usual_levels

pytestmark = pytest.mark.plain  # but for one

GRID = Geometry((22, 18, 20), (2.0, 2.5, 2.2), (-30.0, 12.0, 100.0), np.eye(3))
CAMERA = ConeBeam(1000.0, (40, 44), 2.5)
TURN = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
SIDE = ConeBeam(1000.0, (44, 40), 2.5, None, TURN, (800.0, 0.0, 800.0))  # at a right angle
TRUE = np.array([2.0, -3.0, 800.0, 4.0, 6.0, -5.0])
OFF = np.array([1.0, -1.5, 8.0, 3.0, -8.0, 7.0])


def balls(grid):
    """Five balls of different sizes, in HU."""
    rng = np.random.default_rng(5)
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    places = grid.to_physical(index) - grid.centre
    hounsfield = np.full(grid.shape, -1000.0)
    for radius in (5, 6, 7, 8, 10):
        middle = rng.uniform(-11, 11, 3)
        distance = np.linalg.norm(places - middle, axis=-1)
        hounsfield = np.maximum(hounsfield, 1200 - 2200 * np.clip((distance - radius) / 2, 0, 1))
    return Image(hounsfield, grid)


@pytest.fixture(scope="module")
def volume():
    return balls(GRID)


def seen(pose, camera=CAMERA):
    """By Siddon's sum and of smaller voxels, which the registration does not use."""
    grid = GRID.resampled(size=[2 * n for n in GRID.size])
    source, rays = camera.rays(CAMERA)
    voxels = ops.attenuation(balls(grid).array[None, ..., None])
    with ops.uncompiled():
        rays = ops.pose_rays(np.atleast_2d(pose), frame_of(grid), source, rays[None])
        return np.asarray(ops.project(voxels, *rays, "siddon"))[..., 0].astype("float32")


def error(pose, true=TRUE):
    return metrics.projected_tre(pose, true, metrics.corners_of(GRID), GRID.centre)


@pytest.mark.compiled
def test_one_camera_finds_the_pose(volume):
    xray = seen(TRUE)[0]
    answer = register_projection(volume, xray, CAMERA, TRUE + OFF, levels=(2, 1))
    assert error(TRUE + OFF) > 3 and error(answer.pose) < 0.5
    assert answer.pose.shape == (6,) and 4 < answer.renderings < 50
    np.testing.assert_allclose(answer.matrix, matrix_of(answer.pose, GRID.centre))
    assert answer.similarity_before < 0.9 < 0.97 < answer.similarity_after
    off = [np.abs(image - answer.xrays[0]).mean() for image in (answer.before[0], answer.after[0])]
    assert off[1] < 0.2 * off[0]


def test_two_cameras_find_the_depth_as_well(volume):
    xrays = [seen(TRUE)[0], seen(TRUE, SIDE)[0]]
    answer = register_projection(volume, xrays, [CAMERA, SIDE], TRUE + OFF, levels=[1])
    np.testing.assert_allclose(answer.pose, TRUE, atol=1.0)
    assert len(answer.xrays) == len(answer.after) == 2


def test_a_batch_is_what_each_is_alone(volume):
    poses = TRUE + np.array([[0], [1], [-1]]) * OFF * 0.5
    xrays = seen(poses)
    start = poses + OFF * 0.5
    together = register_projection(volume, xrays, CAMERA, start, levels=[1], similarity="ncc")
    assert together.pose.shape == (3, 6) and together.renderings.shape == (3,)
    assert all(error(*pair) < 0.6 for pair in zip(together.pose, poses, strict=True))
    assert together.matrix.shape == (3, 4, 4)
    one = register_projection(volume, xrays[2], CAMERA, start[2], levels=[1], similarity="ncc")
    assert error(one.pose, together.pose[2]) < 0.05  # in the region of all three


def test_several_tries_reach_further(volume):
    far = TRUE + np.array([[0, 0, 0, 0, 45, -40], [1, 0, 0, 0, 0, 0]])
    xrays = seen(np.stack([TRUE, TRUE + OFF / 2]))
    once = register_projection(volume, xrays, CAMERA, far, levels=(2,))
    often = register_projection(volume, xrays, CAMERA, far, levels=(2,), tries=9)
    assert error(once.pose[0]) > 5 and error(often.pose[0]) < 0.5
    assert error(often.pose[1], TRUE + OFF / 2) < 0.6
    assert (often.similarity_after >= once.similarity_after - 1e-6).all()
    np.testing.assert_allclose(often.similarity_before, once.similarity_before, atol=1e-5)
    assert (often.renderings > 3 * once.renderings).all() and often.pose.shape == (2, 6)


def test_never_worse_than_the_start(volume):
    rng = np.random.default_rng(1)
    noise = rng.uniform(size=CAMERA.shape)
    answer = register_projection(volume, noise, CAMERA, TRUE, levels=(2, 1))
    assert answer.similarity_after >= answer.similarity_before


def test_what_is_hidden_does_not_count(volume):
    xray = seen(TRUE)[0]
    mask = np.ones(CAMERA.shape)
    mask[:14] = 0
    spoiled = np.where(mask > 0, xray, 20 * np.random.default_rng(0).uniform(size=xray.shape))
    answer = register_projection(volume, spoiled, CAMERA, TRUE + 0.5 * OFF, mask=mask, levels=[1])
    assert error(answer.pose) < 0.8


def test_what_reached_the_detector_is_turned_into_integrals(volume):
    xray = seen(TRUE)[0]
    settings = {"levels": [1], "steps": 0}
    integrals = register_projection(volume, xray, CAMERA, TRUE, **settings)
    for most in (60000, 1.0):  # counts, and shares of what there is without an object
        counts = register_projection(
            volume, most * np.exp(-xray), CAMERA, TRUE, exposure=True, **settings
        )
        assert counts.similarity_after == pytest.approx(integrals.similarity_after, abs=1e-3)
        np.testing.assert_allclose(counts.xrays[0], integrals.xrays[0], atol=1e-3)


def test_an_xray_of_the_other_sign_is_noticed(volume):
    xray = seen(TRUE)[0]
    settings = {"levels": [1], "steps": 0}
    with pytest.warns(InputWarning, match=r"similarity -0\.\d+\): if it holds .* state exposure"):
        register_projection(volume, xray.max() - xray, CAMERA, TRUE + OFF, **settings)


def test_a_volume_behind_the_source_is_never_an_answer(volume):
    """Its image, upside down, would be as good as any."""
    behind = TRUE * [-1, -1, -1, 1, 1, 1]
    scene = scene_of(volume, [seen(TRUE)], [CAMERA], [None], TRUE[None], False)
    run = _descent(1, "gc", keras.config.backend())
    pose = np.array([behind, TRUE], "float32")
    values = run(np.int32(0), np.float32(0), pose, *scene.tensors())[1]
    assert np.isinf(values[0]) and values[1] < 0.1


def test_the_finest_pixel_is_as_wide_as_a_voxel():
    camera = ConeBeam(1000.0, (900, 900), 0.25)  # 0.2 mm at 800 mm
    some = Image(np.zeros(GRID.shape), GRID)  # voxels of 11 mm^3
    assert usual_levels(some, camera, 800.0) == (44, 22, 11)
    assert usual_levels(some, CAMERA, 800.0) == (4, 2, 1)


def test_neither_units_of_the_xray_nor_values_of_the_mask_count(volume):
    xray, mask = seen(TRUE)[0], np.ones(CAMERA.shape)
    mask[:14] = 0
    settings = {"levels": (2, 1), "steps": 0}
    one = register_projection(volume, xray, CAMERA, TRUE, mask=mask, **settings)
    other = register_projection(volume, 1e-7 * xray, CAMERA, TRUE, mask=255 * mask, **settings)
    assert other.similarity_after == pytest.approx(one.similarity_after, abs=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"camera": None}, "camera must be a ConeBeam"),
        ({"xray": np.eye(7)}, "same rows and columns"),
        ({"xray": np.ones(CAMERA.shape)}, "empty: all its pixels about the volume are 1"),
        ({"initial": (0, 0, 5, 0, 0, 0)}, "reaches behind the source"),
        ({"initial": (900, 0, 800, 0, 0, 0)}, "is not seen in The X-ray: are all lengths in mm"),
        ({"initial": (0, 0, 800, 0)}, r"initial must be \(6,\)"),
        ({"initial": (0, 0, np.nan, 0, 0, 0)}, "initial must be finite"),
        ({"mask": np.zeros(CAMERA.shape)}, "mask of The X-ray is empty"),
        ({"mask": np.zeros((3, 3))}, "must be of its rows and columns"),
        ({"similarity": "mi"}, "similarity must be one of"),
        ({"levels": [0]}, "levels must be positive integers"),
        ({"levels": []}, "levels must be positive integers"),
        ({"levels": (1, 2)}, r"from coarse to fine. Received: levels=\[1, 2\]"),
        ({"steps": -1}, "steps must be an integer"),
        ({"steps": 1.5}, "steps must be an integer"),
        ({"tries": 0}, "tries must be a positive integer. Received: tries=0"),
        ({"initial": np.zeros((0, 6))}, r"initial must be \(6,\)"),
        ({"attenuates": True}, "holds nothing below 0; one in HU is registered without"),
        ({"volume": Image(np.ones(GRID.shape), GRID)}, r"\(--attenuation\). Received: 1 to 1"),
        ({"exposure": True, "xray": -np.eye(*CAMERA.shape)}, "is not negative"),
        ({"camera": [CAMERA], "xray": []}, "for each camera"),
        ({"xray": np.ones((2, *CAMERA.shape))}, "one X-ray for all initial poses"),
        ({"volume": np.zeros((3, 3, 3))}, "must be a 3-D tfreg.Image"),
    ],
)
def test_bad_input_is_named(volume, change, message):
    arguments = {"volume": volume, "xray": np.eye(*CAMERA.shape), "camera": CAMERA}
    with pytest.raises(InputError, match=message):
        register_projection(**{**arguments, "initial": TRUE, **change})


def test_an_empty_volume(volume):
    air = Image(np.full(GRID.shape, -1000.0), GRID)
    with pytest.raises(InputError, match="The volume is empty"):
        register_projection(air, np.eye(*CAMERA.shape), CAMERA, TRUE)
    lost = Image(np.where(volume.array > 0, np.nan, volume.array), GRID)
    with pytest.raises(InputError, match="volume must hold finite values"):
        register_projection(lost, np.eye(*CAMERA.shape), CAMERA, TRUE)


def test_what_is_looked_at_is_of_few_sizes(volume):
    """Compiling for each size of a region would take far longer than registering."""
    camera = ConeBeam(1000.0, (500, 600), 0.5, (240.0, 310.0))
    xray = np.random.default_rng(0).random((1, 500, 600)).astype("float32")
    shapes = set()
    for step in (
        [0, 0, 0, 0, 0, 0],
        [15, -9, 4, 3, 0, 0],
        [-12, 8, -5, 20, 9, 4],
        [80, 0, 0, 0, 0, 0],
    ):
        pose = TRUE + step
        (view,) = scene_of(volume, [xray], [camera], [None], pose[None], False).views
        first = np.subtract(camera.principal, view.camera.principal).astype(int)
        part = tuple(slice(a, a + n) for a, n in zip(first, view.camera.shape, strict=True))
        np.testing.assert_array_equal(view.xray[0], xray[0][part])
        np.testing.assert_allclose(view.rays[1][0], camera.rays()[1][part], atol=1e-6)
        matrix = matrix_of(pose, GRID.centre)
        seen = camera.project(metrics.corners_of(GRID) @ matrix[:3, :3].T + matrix[:3, 3])
        inside = np.clip(seen, 0, np.subtract(camera.shape, 1)) - first
        assert (inside >= 0).all() and (inside <= np.subtract(view.camera.shape, 1)).all()
        shapes.add(view.camera.shape)
    assert shapes <= {(256, 256), (320, 320)}
