import functools

import keras
import numpy as np
import pytest
from walking import blob, followed

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image
from zoo.agent.model import Agent
from zoo.agent.network import QNetwork, lowered
from zoo.agent.observation import at, grid, seen, voxels
from zoo.agent.rigid import chained, parameters_of, transform
from zoo.agent.walk import Stage

pytestmark = pytest.mark.plain

SIZE, SPACING = (34, 36, 38), 6.0
STAGE = {"size": SIZE, "spacing": SPACING, "step": 2.0, "limit": 40}
# Voxels of 4 mm: the pose that is met again is the nearest one or the one before, a step away.
A_STEP = 2.0 / 4 + 0.05


@functools.cache  # with what was compiled: all images here lie in cubes of one size
def agent(average=1):
    return followed(Agent([{**STAGE, "average": average}], voxel_size=(4.0, 4.0, 4.0)), SPACING)


def test_what_is_seen_lies_where_it_is_asked_for():
    image = np.random.default_rng(0).random((1, 9, 11, 13, 1)).astype("float32")
    shape, spacing = image.shape[1:4], (1.0, 2.0, 3.0)
    back = chained(voxels(shape, spacing), np.diag([1.0, 2.0, 3.0, 1])[:3])
    middle = back.copy()
    middle[:, 3] -= back[:, :3] @ ((np.array(shape) - 1) / 2)
    values, inside = at(image, middle[None], shape)  # the grid of the image itself
    np.testing.assert_allclose(np.asarray(values), image, atol=1e-5)
    assert float(np.asarray(inside).min()) == 1
    wide = chained(voxels(shape, (1, 1, 1)), grid((13, 11, 9), 2.0))
    values, inside = (np.asarray(part) for part in at(image, wide[None], (13, 11, 9)))
    assert values[0, 6, 5, 4, 0] == pytest.approx(image[0, 4, 5, 6, 0], abs=1e-6)
    assert inside[0, 3, 5, 4, 0] == 0 and inside[0, 4, 5, 4, 0] == 1
    assert values[0, 3, 5, 4, 0] == 0


def test_inputs_of_the_network():
    fixed, moved = (np.full((1, 2, 2, 2, 1), v, "float32") for v in (0.75, 0.25))
    mask = np.zeros_like(fixed)
    mask[0, 0] = 1
    found = np.asarray(seen("difference", fixed, moved, mask))
    assert found.shape == (1, 2, 2, 2, 1) and found[0, 0, 0, 0] == 0.5 and found[0, 1, 0, 0] == 0
    assert np.asarray(seen("channels", fixed, moved, mask))[0, 0, 0, 0].tolist() == [0.75, 0.25, 1]


@pytest.mark.parametrize("start", [(3.0, -2.0, 5.0), (-4.0, 3.0, 0.0)])
def test_a_walk_follows_what_it_sees(start):
    """On an uneven grid, in voxels of 4 mm, there and a step further along one axis."""
    shape = (22, 26, 30)
    place = np.array([10.0, 12.0, 15.0])
    fixed, moving = blob(shape, place, 4.0), blob(shape, place + start, 4.0)
    answer = agent().register(fixed, moving)
    off = np.abs(answer.displacement[10, 12, 15] - start)
    assert off.max() < A_STEP and (off < 0.05).sum() >= 2
    assert answer.similarity_after > 0.98 > answer.similarity_before
    counts = int(answer.details["counts"][0])
    assert 2 * np.abs(start).sum() <= counts < 2 * np.abs(start).sum() + 6
    poses, values = answer.steps, answer.details["values"]
    assert poses.shape == (41, 3, 4) and values.shape == (40, 12)
    np.testing.assert_allclose(poses[0], np.eye(3, 4), atol=1e-6)
    steps = np.abs(np.diff(poses[: counts + 1, :, 3], axis=0)).sum(axis=1)
    np.testing.assert_allclose(steps, 2.0, atol=1e-4)  # each step is one action
    np.testing.assert_array_equal(poses[counts:], poses[counts:][:1].repeat(41 - counts, 0))
    # What was taken is what was thought best.
    assert values[0].argmax() == 2 * np.abs(start).argmax() + (
        np.array(start)[np.abs(start).argmax()] > 0
    )
    # T takes the moving image onto the fixed one: to the other side than the displacement.
    np.testing.assert_allclose(-poses[-1][:, 3] / 4, answer.displacement[10, 12, 15], atol=1e-4)
    # It was there, went on, came back to a pose on its way, and stopped.
    left = np.abs(-poses[:, :, 3] / 4 - start).max(axis=1)
    assert left.min() < 1e-4
    first = poses[:counts].reshape(counts, -1)
    assert (np.abs(first - poses[counts].reshape(-1)).max(axis=1) < 1e-3).sum() == 1


def test_the_mean_of_the_last_poses_lies_between_them():
    shape, place = (24, 24, 24), np.array([11.5, 11.5, 11.5])
    shift = np.array([2.3, 0.0, 0.0])  # 9.2 mm: steps of 2 mm end at 8 or 10
    fixed, moving = blob(shape, place, 4.0), blob(shape, place + shift, 4.0)
    last = agent().register(fixed, moving).displacement[11, 11, 11, 0]
    mean = agent(8).register(fixed, moving).displacement[11, 11, 11, 0]
    assert abs(last - 2.3) > 0.15 and abs(mean - 2.3) < abs(last - 2.3)


def test_pairs_of_a_batch_stop_on_their_own_and_answer_as_alone():
    shape, place = (22, 24, 26), np.array([10.0, 12.0, 13.0])
    shifts = np.array([[1.0, 0, 0], [-4.0, 3.0, 2.0]])
    moving = np.stack([blob(shape, place + s, 4.0) for s in shifts])[..., None]
    fixed = np.stack([blob(shape, place, 4.0)] * 2)[..., None]
    model = agent()
    both = model.register(fixed, moving)
    counts = both.details["counts"][:, 0]
    assert counts[0] < counts[1]
    np.testing.assert_allclose(both.displacement[:, 10, 12, 13], shifts, atol=A_STEP)
    for k in range(2):
        alone = model.register(fixed[k, ..., 0], moving[k, ..., 0])
        np.testing.assert_allclose(both.displacement[k], alone.displacement, atol=1e-3)
        assert alone.details["counts"][0] == counts[k]


def test_the_image_that_shows_less_is_the_reference():
    """Either way round, the answer leads from the fixed to the moving image."""
    large, small = (24, 26, 28), (16, 18, 20)
    place, corner = np.array([11.0, 12.0, 12.0]), np.array([3.0, 4.0, 2.0])
    whole, part = blob(large, place, 4.0), blob(small, place - corner, 4.0)
    model = agent()
    one, other = model.register(part, whole), model.register(whole, part)
    assert not one.details["exchanged"] and other.details["exchanged"]
    np.testing.assert_allclose(one.displacement[8, 8, 10], corner, atol=A_STEP)
    np.testing.assert_allclose(other.displacement[11, 12, 12], -corner, atol=A_STEP)


def rotated(angles, shift):
    matrix = np.asarray(transform(np.array([[*shift, *angles]], "float32")))[0]
    return matrix.astype("float64")


def pair_in_space(seed=0):
    """Blobs in a small box, and in a whole image that lies obliquely elsewhere; the true map."""
    rng = np.random.default_rng(seed)
    true = rotated((8.0, -6.0, 5.0), (6.0, -4.0, 5.0))  # fixed to moving, mm, array order
    places, widths = rng.uniform(-34, 34, (7, 3)), rng.uniform(7, 14, 7)
    grid = Geometry((34, 30, 26), (3.0, 3.2, 3.0), (-50.0, -46.0, -38.0), np.eye(3))
    turned = rotated((20.0, 10.0, -15.0), (0.0, 0.0, 0.0))[:, :3][::-1, ::-1]
    size, spacing = (62, 58, 60), (2.5, 2.4, 2.6)
    middle = turned @ (np.array(spacing) * (np.array(size) - 1) / 2)
    oblique = Geometry(size, spacing, tuple(-middle), tuple(map(tuple, turned)))

    def image(geometry, points):
        index = np.moveaxis(np.indices(geometry.shape, dtype="float64"), 0, -1)
        where = geometry.to_physical(index)[..., ::-1]  # array order
        total = 0.0
        for point, width in zip(points, widths, strict=True):
            total = total + np.exp(-(((where - point) / width) ** 2).sum(axis=-1) / 2)
        return Image(np.asarray(total, "float32"), geometry)

    # Balls look alike turned: each is where the map takes its centre.
    moved = places @ true[:, :3].T + true[:, 3]
    return image(grid, places), image(oblique, moved), true


def test_images_in_space_are_seen_whole_and_refined_exactly():
    fixed, moving, true = pair_in_space()
    model = followed(Agent([{**STAGE, "spacing": 6.0, "average": 8}], voxel_size=(3.0,) * 3), 6.0)
    from tfreg.registration import Preprocessing

    model.preprocessing = Preprocessing((30, 32, 34), (3.0,) * 3, covers="field of view")
    answer = model.register(fixed, moving, refine="default")
    points = np.random.default_rng(1).uniform(-25, 25, (50, 3))
    expected = points @ true[:, :3].T + true[:, 3]
    found = answer.warp_points(points[:, ::-1])[:, ::-1]
    assert np.linalg.norm(found - expected, axis=1).mean() < 0.5  # mm, of voxels of 3 mm
    assert answer.similarity_after > answer.similarity_before
    # All of the moving image is there, and where it is nothing, a mask says so.
    assert min(answer.inner.moving.shape) > 40
    linear = answer.inner.displacement
    assert abs(float(answer.check().jacobian_max) - 1) < 1e-2 and linear.dtype == np.float32


def test_refining_does_not_make_it_worse_and_stays_rigid():
    shape, place = (24, 26, 28), np.array([11.0, 13.0, 14.0])
    fixed = blob(shape, place, 4.0) + 0.5 * blob(shape, place + np.array([4, -3, 2]), 4.0, 6.0)
    moving = np.roll(fixed, (1, 2, -1), (0, 1, 2))
    model = agent()
    plain, refined = (model.register(fixed, moving, refine=n) for n in (0, 60))
    assert refined.similarity_after >= plain.similarity_after - 1e-4
    np.testing.assert_allclose(refined.displacement[12, 13, 14], (1, 2, -1), atol=0.1)
    np.testing.assert_allclose(refined.jacobian_determinant, 1, atol=1e-3)
    named = model.register(fixed, moving, refine="default")
    np.testing.assert_allclose(named.displacement[12, 13, 14], (1, 2, -1), atol=0.1)


def test_an_offset_found_at_once():
    """A network of six outputs answers ``T o T_g^-1``, which is taken back."""
    offset = np.array([[4.0, -6.0, 8.0, 0.0, 0.0, 0.0]], "float32")

    class Knows:
        variables = ()

        def __call__(self, seen, training=None):
            return keras.ops.convert_to_tensor(offset / 30.0) + 0.0 * seen[:, 0, 0, 0, :1]

    model = Agent([{**STAGE, "ranges": (30.0,) * 6}], voxel_size=(4.0,) * 3)
    model.build()
    model.networks = [Knows()]
    image = np.random.default_rng(0).random((20, 20, 20))
    answer = model.register(image, image)
    assert answer.steps.shape == (2, 3, 4)
    # T_g = offset^-1 o 1, and the map from fixed to moving is its inverse.
    np.testing.assert_allclose(answer.displacement[3, 4, 5], offset[0, :3] / 4, atol=1e-4)


def test_the_network_has_the_widths_of_the_paper():
    for size, count in (((40, 40, 40), 1_410_116), ((40, 48, 40), 1_934_404)):
        network = QNetwork(size)
        network.build()
        assert network.count_params() == count
    assert [layer.filters for layer in network.seen if hasattr(layer, "filters")] == [
        8,
        32,
        32,
        128,
        128,
    ]
    assert [layer.units for layer in network.judged] == [512, 512, 64, 12]


def test_lowered_counts_what_leads_nearer():
    gains = np.zeros((3, 12), "float32") - 1
    gains[0, 4], gains[1, 4] = 1.0, 1.0
    found = np.zeros((3, 12), "float32")
    found[0, 4], found[1, 5] = 1, 1
    assert np.asarray(lowered(found, None, gains)).tolist() == [100, 0, 100]
    true = np.full((2, 6), 0.5, "float32")
    jumps = np.stack([true[0] * 0.8, -true[1]])
    assert np.asarray(lowered(jumps, true, gains[:2])).tolist() == [100, 0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Agent([]), "stages must name one stage or more"),
        (lambda: Agent([{}], how="touch"), "how must be one of"),
        (lambda: Agent([{"speed": 3}]), "A stage cannot be"),
        (lambda: Agent([{"step": 0.0}]), "must be positive"),
        (lambda: Stage(ranges=(1.0, 2.0)), "ranges none or six"),
        (lambda: QNetwork((20, 40, 40)), "34 or more"),
        (lambda: QNetwork((40, 40, 40), outputs=7), "outputs 6 or 12"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_answer_without_steps_says_so():
    from tfreg.registration import register

    image = np.random.default_rng(0).random((24, 24))
    with pytest.raises(InputError, match="not found in steps"):
        _ = register(image, image, "translation", pyramid="fast").steps


def test_masks_are_looked_at():
    """What lies outside the mask of the fixed image draws the walk nowhere."""
    shape, place = (24, 24, 24), np.array([12.0, 12.0, 12.0])
    shift = np.array([2.0, 0.0, 0.0])
    fixed, moving = blob(shape, place, 4.0), blob(shape, place + shift, 4.0)
    disturbed = fixed + 3 * blob(shape, (12, 3, 12), 4.0, 6.0)
    mask = np.ones(shape)
    mask[:, :7] = 0
    model = agent()
    off = model.register(disturbed, moving).displacement[12, 12, 12]
    right = model.register(disturbed, moving, fixed_mask=mask).displacement[12, 12, 12]
    assert np.abs(right - shift).max() < np.abs(off - shift).max()


def test_parameters_are_those_of_the_map():
    model = agent()
    shift = np.array([2.0, 1.0, -1.0])
    shape, place = (24, 26, 28), np.array([11.0, 13.0, 14.0])
    images = [blob(shape, p, 4.0)[None, ..., None] for p in (place, place + shift)]
    found = np.asarray(model.parameters(*images))
    assert found.shape == (1, 6)
    np.testing.assert_allclose(found[0, :3] / 4, shift, atol=A_STEP)
    field = np.asarray(model.displacement(found, shape))
    np.testing.assert_allclose(field[0, 11, 13, 14], found[0, :3] / 4, atol=1e-4)
    assert np.asarray(parameters_of(transform(found))).shape == (1, 6)
