import keras
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from tfreg import ops
from tfreg.geometry import ConeBeam, Geometry, frame_of, matrix_of

SHAPE = (7, 9, 6)


def random_volume(rng, batch=1):
    return rng.uniform(0.1, 1, (batch, *SHAPE, 1))


def random_rays(rng, axis, batch=2, count=13):
    """Sources far off along one axis, and rays to points about the volume."""
    source = (np.array(SHAPE) - 1) / 2 + rng.uniform(-2, 2, (batch, 3))
    source[:, axis] += rng.choice([-1, 1], batch) * 40
    target = rng.uniform(-1.5, np.array(SHAPE) + 0.5, (batch, count, 3))
    direction = target - source[:, None]
    return source, direction / np.linalg.norm(direction, axis=-1, keepdims=True)


def siddon_by_sorting(volume, source, direction):
    """All planes that a ray crosses, in order, as in the paper."""
    found = []
    for k, plane in enumerate(volume.shape):
        places = np.arange(plane + 1) - 0.5
        if direction[k] != 0:
            found.append((places - source[k]) / direction[k])
    way = np.sort(np.concatenate(found))
    middle = (way[1:] + way[:-1]) / 2
    voxel = np.rint(source + middle[:, None] * direction).astype(int)
    inside = ((voxel >= 0) & (voxel < volume.shape)).all(axis=1)
    return (np.diff(way)[inside] * volume[tuple(voxel[inside].T)]).sum()


def joseph_by_slices(volume, source, direction, axis):
    way = (np.arange(volume.shape[axis]) - source[axis]) / direction[axis]
    points = source + way[:, None] * direction
    values = map_coordinates(volume, points.T, order=1, mode="grid-constant", cval=0.0)
    return values.sum() / abs(direction[axis])


@pytest.mark.parametrize("method", ["joseph", "siddon"])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_box_along_its_axes(numpy, method, axis, sign):
    source = (np.array(SHAPE) - 1) / 2
    source[axis] -= 30 * sign
    direction = np.zeros((1, 2, 3))
    direction[..., axis] = sign
    beside = direction.copy()
    beside[0, 1] = np.roll(direction[0, 1], 1) * 0.9 + direction[0, 1]  # leaves it at once
    image = numpy(ops.project(np.full((1, *SHAPE, 1), 2.0), source[None], beside, method))
    np.testing.assert_allclose(image[0, :, 0], [2.0 * SHAPE[axis], 0.0], atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_siddon_is_the_sorted_sum_of_the_paper(rng, numpy, axis):
    volume = random_volume(rng)
    source, direction = random_rays(rng, axis)
    found = numpy(ops.project(volume, source, direction, "siddon"))
    for b, rays in enumerate(direction):
        expected = [siddon_by_sorting(volume[0, ..., 0], source[b], ray) for ray in rays]
        np.testing.assert_allclose(found[b, :, 0], expected, atol=1e-9)
    assert found.max() > 2


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_joseph_is_the_sum_over_interpolated_slices(rng, numpy, axis):
    volume = random_volume(rng, 2)
    source, direction = random_rays(rng, axis)
    found = numpy(ops.project(volume, source, direction))
    for b, rays in enumerate(direction):
        expected = [joseph_by_slices(volume[b, ..., 0], source[b], ray, axis) for ray in rays]
        np.testing.assert_allclose(found[b, :, 0], expected, atol=1e-9)
    assert found.max() > 2


@pytest.mark.parametrize("method", ["joseph", "siddon"])
def test_each_image_has_an_axis_of_its_own(rng, numpy, method):
    volume = random_volume(rng)
    parts = [random_rays(rng, axis, batch=1) for axis in range(3)]
    source, direction = (np.concatenate(side) for side in zip(*parts, strict=True))
    together = numpy(ops.project(volume, source, direction, method))
    alone = [numpy(ops.project(volume, *part, method)) for part in parts]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-12)


@pytest.mark.parametrize("method", ["joseph", "siddon"])
def test_a_moved_voxel_is_seen_from_a_moved_source(rng, numpy, method):
    volume = np.zeros((1, *SHAPE, 1))
    volume[0, 1:3, 2:5, 1:4, 0] = rng.uniform(size=(2, 3, 3))
    source, direction = random_rays(rng, 1)
    first = numpy(ops.project(volume, source, direction, method))
    moved = np.roll(volume, (3, 1, 2), (1, 2, 3))
    second = numpy(ops.project(moved, source + np.array([3, 1, 2]), direction, method))
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_float32_is_as_good_as_float64(rng, numpy):
    volume = random_volume(rng)
    source, direction = random_rays(rng, 0)
    exact = numpy(ops.project(volume, source, direction))
    single = (part.astype("float32") for part in (volume, source, direction))
    found = numpy(ops.project(*single))
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, exact, atol=2e-5)


@pytest.mark.parametrize("method", ["joseph", "siddon"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_gradients_of_the_rays(rng, check_gradient, method, axis):
    volume = random_volume(rng)
    source, direction = random_rays(rng, axis, count=5)
    weight = rng.normal(size=(2, 5, 1))

    def of_source(tensor):
        return weight * ops.project(volume, tensor, direction, method)

    def of_direction(tensor):
        return weight * ops.project(volume, source, tensor, method)

    assert np.abs(check_gradient(of_source, source, 1e-7, 1e-5, 6)).max() > 0.1
    assert np.abs(check_gradient(of_direction, direction, 1e-8, 1e-4, 15)).max() > 0.1


@pytest.mark.parametrize("batch", [1, 2])
def test_gradient_of_the_volume_is_the_transpose(rng, check_gradient, batch):
    source, direction = random_rays(rng, 2, count=5)
    weight = rng.normal(size=(2, 5, 1))
    found = check_gradient(
        lambda tensor: weight * ops.project(tensor, source, direction), random_volume(rng, batch)
    )
    other = random_volume(rng, batch)
    image = keras.ops.convert_to_numpy(ops.project(other, source, direction))
    assert (found * other).sum() == pytest.approx((weight * image).sum(), rel=1e-9)


def view(rng, batch=2):
    grid = Geometry.of_shape(SHAPE, (2.0, 1.5, 2.5))
    camera = ConeBeam(1000.0, (5, 6), (4.0, 3.0), (1.5, 3.25))
    source, rays = camera.rays()
    pose = rng.normal(size=(batch, 6)) * (1, 1, 10, 20, 15, 60) + (0, 0, 700, 0, 0, 0)
    return frame_of(grid), source, rays[None], pose


def test_jacobian_is_that_of_the_image(rng, numpy):
    frame, source, rays, pose = view(rng, 4)
    volume = random_volume(rng)

    def image_of(pose):
        return numpy(ops.project(volume, *ops.pose_rays(pose, frame, source, rays)))

    image, jacobian = map(numpy, ops.project_jacobian(volume, pose, frame, source, rays))
    np.testing.assert_allclose(image, image_of(pose), atol=1e-9)
    assert jacobian.shape == (4, 6, 5, 6)
    for k in range(6):
        step = np.eye(6)[k] * 1e-6
        expected = (image_of(pose + step) - image_of(pose - step)) / 2e-6
        np.testing.assert_allclose(jacobian[:, k], expected[..., 0], atol=1e-4)
        assert np.abs(expected).max() > 1e-3


def test_jacobian_of_rays_of_each_pose_from_a_source_off_the_origin(rng, numpy):
    frame, _, rays, pose = view(rng)
    rays = np.concatenate([rays, rays[:, ::-1] * 0.5])
    volume, source = random_volume(rng, 2), np.array([3.0, -2.0, 5.0])

    def image_of(pose):
        return numpy(ops.project(volume, *ops.pose_rays(pose, frame, source, rays)))

    _, jacobian = map(numpy, ops.project_jacobian(volume, pose, frame, source, rays))
    step = np.array([0.3, -0.2, 1.0, 0.5, 0.4, -0.6])
    expected = (image_of(pose + 1e-6 * step) - image_of(pose - 1e-6 * step)) / 2e-6
    np.testing.assert_allclose(
        np.einsum("bkrc,k->brc", jacobian, step), expected[..., 0], atol=1e-3
    )


@pytest.mark.parametrize(("method", "tolerance"), [("joseph", 0.03), ("siddon", 0.06)])
def test_beads_are_seen_as_they_are_calculated(numpy, method, tolerance):
    """Along a ray at distance d a Gaussian bead of size s has ``s sqrt(2 pi) exp(-d^2 / (2 s^2))``.

    On voxels of three sizes whose axes are oblique, before a camera whose middle is not opposite to
    the source: half a voxel or half a pixel off is 7 % of the brightest.
    """
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    grid = Geometry((40, 44, 36), (1.2, 1.0, 1.4), (-70.0, 30.0, 200.0), turn)
    beads = grid.centre + np.array([[6, -8, 5], [-9, 4, -6], [2, 7, 9]])
    points = grid.to_physical(np.moveaxis(np.indices(grid.shape), 0, -1))
    camera = ConeBeam(1000.0, (34, 30), (2.5, 2.0), (15.0, 18.5))
    source, rays = camera.rays()
    pose = np.array([4.0, -6.0, 700.0, 20.0, -25.0, 35.0])
    matrix, volume, expected = matrix_of(pose, grid.centre), 0.0, 0.0
    for bead, size in zip(beads, (4.0, 5.0, 4.5), strict=True):
        square = ((points - bead) ** 2).sum(axis=-1)
        volume = volume + np.exp(-square / (2 * size**2))
        distance = np.linalg.norm(np.cross((matrix @ [*bead, 1])[:3], rays), axis=-1)
        expected = expected + size * np.sqrt(2 * np.pi) * np.exp(-(distance**2) / (2 * size**2))
    bundle = ops.pose_rays(pose[None], frame_of(grid), source, rays[None])
    image = numpy(ops.project(volume[None, ..., None], *bundle, method))[0, ..., 0]
    np.testing.assert_allclose(image, expected, atol=tolerance * expected.max())
    assert expected.max() > 10 and expected.max() > 20 * expected.min()


@pytest.mark.compiled
def test_compiled_is_the_same(rng, numpy):
    frame, source, rays, pose = view(rng)
    arguments = [part.astype("float32") for part in (random_volume(rng), pose, frame, source, rays)]
    compiled = [numpy(part) for part in ops.project_jacobian(*arguments)]
    with ops.uncompiled():
        plain = [numpy(part) for part in ops.project_jacobian(*arguments)]
    for found, expected in zip(compiled, plain, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"volume": np.zeros((4, 5, 6))}, "volume must be"),
        ({"volume": np.zeros((3, 4, 5, 6, 1))}, "one volume or as many"),
        ({"source": np.zeros((2, 2))}, "source must be"),
        ({"source": np.zeros((3, 3))}, "as many sources"),
        ({"direction": np.zeros((2, 3))}, "direction must be"),
        ({"method": "ray"}, "method must be one of"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {
        "volume": np.zeros((1, 4, 5, 6, 1)),
        "source": np.zeros((2, 3)),
        "direction": np.zeros((2, 7, 3)),
    }
    with pytest.raises(ValueError, match=message):
        ops.project(**{**arguments, **change})


def test_bad_views_are_named(rng):
    frame, source, rays, pose = view(rng)
    volume = random_volume(rng)
    for change, message in (
        ({"pose": pose[:, :5]}, r"pose must be \(batch, 6\)"),
        ({"frame": frame[:, :3]}, r"frame must be \(3, 4\)"),
        ({"rays": rays[0, 0]}, r"rays \(1 or batch, \*rays, 3\)"),
        ({"rays": np.concatenate([rays] * 3)}, "rays for all poses"),
        ({"volume": np.concatenate([volume] * 3)}, "one volume, or as many as poses"),
    ):
        arguments = {"volume": volume, "pose": pose, "frame": frame, "source": source, "rays": rays}
        with pytest.raises(ValueError, match=message):
            ops.project_jacobian(**{**arguments, **change})
