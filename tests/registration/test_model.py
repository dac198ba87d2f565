import warnings

import numpy as np
import pytest
from shipped import DIGITS

import zoo
from tfreg import ops
from tfreg.data import phantoms
from tfreg.errors import InputError, InputWarning
from tfreg.registration import Level, Pyramid
from tfreg.registration.images import without_outliers

pytestmark = pytest.mark.on_jax


@pytest.fixture(scope="module")
def model():
    return zoo.load(DIGITS)


@pytest.fixture(scope="module")
def pairs():
    images = phantoms.digits(40, seed=8).images
    return images[:20], np.roll(images[20:], 0, axis=0)


def test_a_pair_alone_and_in_a_batch(model, pairs):
    fixed, moving = pairs
    batch = model.register(fixed, moving, refine=5)
    assert batch.moved.shape == fixed.shape and batch.displacement.shape == (*fixed.shape, 2)
    single = model.register(fixed[3], moving[3], refine=5)
    assert single.moved.shape == (28, 28) and isinstance(single.similarity_after, float)
    np.testing.assert_allclose(single.displacement, batch.displacement[3], atol=2e-3)
    assert single.similarity_after == pytest.approx(batch.similarity_after[3], abs=1e-3)
    np.testing.assert_allclose(
        single.jacobian_determinant, batch.jacobian_determinant[3], atol=5e-3
    )
    channels = model.register(fixed[..., None], moving[..., None], refine=5)
    np.testing.assert_array_equal(channels.moved, batch.moved)


def test_it_registers_and_refining_never_hurts(model, pairs):
    alone, refined = (model.register(*pairs, refine=n) for n in (0, 60))
    assert alone.similarity_after.mean() > alone.similarity_before.mean() + 0.2
    assert refined.similarity_after.mean() > 0.97
    assert (refined.similarity_after > alone.similarity_after - 0.02).all()
    assert (refined.jacobian_determinant <= 0).mean() < 0.005


def test_the_answer_is_the_map_that_it_says(model, pairs, numpy):
    answer = model.register(*pairs)
    moved = numpy(ops.resample(answer.moving[..., None], answer.displacement))[..., 0]
    np.testing.assert_allclose(answer.moved, moved, atol=1e-2)
    expected = [
        np.corrcoef(f.ravel(), m.ravel())[0, 1] for f, m in zip(pairs[0], moved, strict=True)
    ]
    np.testing.assert_allclose(answer.similarity_after, expected, atol=1e-4)


def test_points_go_where_the_image_comes_from(model, pairs):
    answer = model.register(pairs[0][4], pairs[1][4])
    points = np.array([[9, 14], [20, 13], [14, 3]])
    arrived = answer.warp_points(points)
    np.testing.assert_allclose(arrived - points, answer.displacement[tuple(points.T)], atol=1e-5)
    batch = model.register(*pairs)
    np.testing.assert_allclose(
        batch.warp_points(np.broadcast_to(points, (20, 3, 2)))[4], arrived, atol=2e-3
    )
    with pytest.raises(InputError, match="points must be"):
        answer.warp_points([1.0, 2.0, 3.0])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64", "float16", "uint32"])
def test_any_real_dtype_and_range(model, pairs, dtype):
    fixed, moving = pairs[0][7], pairs[1][7]
    expected = model.register(fixed, moving)
    offset = 0 if dtype.startswith("u") else -300
    found = model.register((fixed.astype("float64") + offset).astype(dtype), moving.astype(dtype))
    np.testing.assert_allclose(found.displacement, expected.displacement, atol=1e-2)
    assert model.register(fixed > 128, moving > 128).similarity_after > 0.5


def test_moved_keeps_the_moving_intensities(model, pairs):
    answer = model.register(pairs[0][2], 1000.0 + pairs[1][2])
    assert answer.moved.min() >= 999.9 and answer.moved.max() > 1200


def test_registering_follows_the_weights(pairs):
    """Compiled functions must not freeze the weights that they were compiled with."""
    model = zoo.load(DIGITS)
    before = model.register(pairs[0], pairs[1])
    model.set_weights([0 * weight for weight in model.get_weights()])
    after = model.register(pairs[0], pairs[1])
    assert np.abs(before.displacement).max() > 1
    np.testing.assert_array_equal(after.displacement, 0)


IMAGE = np.zeros((28, 28))
NAN = np.where(np.eye(28) > 0, np.nan, 0.0)


@pytest.mark.parametrize(
    ("fixed", "moving", "message"),
    [
        (IMAGE, np.zeros((28, 24)), "one shape"),
        (np.zeros((30, 30)), np.zeros((30, 30)), r"multiples of 4 pixels.*\(30, 30\)"),
        (np.zeros((28, 28, 3)), np.zeros((28, 28, 3)), "multiples of 4"),
        (np.zeros((1, 28, 28, 3)), np.zeros((1, 28, 28, 3)), "one 2-D image"),
        (np.zeros(28), np.zeros(28), "one 2-D image"),
        (np.zeros((0, 28, 28)), np.zeros((0, 28, 28)), "not be empty"),
        (NAN, IMAGE, "28 NaN"),
        (IMAGE, np.where(np.eye(28) > 0, np.inf, 0.0), "moving must hold finite"),
        (1j * IMAGE, IMAGE, "complex128"),
        ("fixed", IMAGE, "real numbers"),
        ([[1, 2], [3]], IMAGE, "array of numbers"),
    ],
)
def test_bad_images_are_named(model, fixed, moving, message):
    with pytest.raises(InputError, match=message):
        model.register(fixed, moving)


@pytest.mark.parametrize("refine", [-1, 2.5, True, "slow", None, float("nan")])
def test_bad_refine(model, refine):
    with pytest.raises(InputError, match="refine"):
        model.register(IMAGE, IMAGE, refine=refine)


def test_repeated_runs_are_bit_equal(model, pairs):
    first, second = (model.register(*pairs, refine=20) for _ in range(2))
    np.testing.assert_array_equal(first.displacement, second.displacement)


def test_refining_never_worsens_what_it_minimises(model, pairs, numpy):
    """-NCC plus the penalty on folding, which may trade the one for the other."""
    from tfreg import losses

    def objective(answer):
        folding = numpy(losses.folding_penalty(answer.displacement))
        return model.refine_folding_weight * folding - answer.similarity_after

    alone = objective(model.register(*pairs))
    for steps in (1, 30):
        assert (objective(model.register(*pairs, refine=steps)) <= alone + 1e-4).all()


def test_points_and_image_move_together(model, pairs, numpy):
    """Where a point arrives the moving image has the value that the moved image shows there."""
    answer = model.register(pairs[0][4], pairs[1][4])
    grid = np.moveaxis(np.indices((28, 28)), 0, -1).reshape(-1, 2)
    arrived = answer.warp_points(grid)
    assert np.abs(arrived - grid).max() > 0.5
    moving = answer.moving[None, ..., None]
    values = numpy(ops.sample(moving, arrived[None]))[0, :, 0].reshape(28, 28)
    np.testing.assert_allclose(values, answer.moved, atol=0.01)  # of a range of 255


def test_points_are_taken_along_rows_before_columns(model):
    """An asymmetric truth: the digit moved two rows down and one column to the left."""
    fixed = phantoms.digits(1, seed=1, which=[3]).images[0]
    answer = model.register(fixed, np.roll(fixed, (2, -1), axis=(0, 1)), refine=100)
    ink = np.argwhere(fixed > 200)
    shift = np.median(answer.warp_points(ink) - ink, axis=0)
    np.testing.assert_allclose(shift, (2, -1), atol=0.3)


@pytest.mark.parametrize("scale", [1e-9, 1e12])
def test_units_of_intensity_do_not_matter(model, pairs, scale):
    expected = model.register(pairs[0][3], pairs[1][3])
    found = model.register(pairs[0][3] * scale, pairs[1][3] * scale)
    np.testing.assert_allclose(found.displacement, expected.displacement, atol=1e-2)
    assert found.similarity_after == pytest.approx(expected.similarity_after, abs=1e-3)


def test_the_widest_range_of_float32_makes_no_nan(model, pairs):
    image = np.where(pairs[0][3] > 128, np.float32(3e38), np.float32(-3e38))
    assert np.isfinite(model.register(image, image).displacement).all()


@pytest.mark.long
def test_refining_with_a_finer_grid_adds_to_the_networks_answer(model, pairs):
    level = Level(grid_spacing=2, steps=40, weight=0.02)
    alone, refined = (model.register(*pairs, refine=n) for n in (0, Pyramid((level,))))
    np.testing.assert_allclose(refined.similarity_before, alone.similarity_before, atol=1e-5)
    assert (refined.similarity_after > alone.similarity_after - 1e-5).all()
    assert refined.similarity_after.mean() > alone.similarity_after.mean() + 0.01
    assert refined.levels[0].shape == refined.displacement.shape[1:-1]
    added = np.abs(refined.displacement - alone.displacement).mean()
    assert 0 < added < np.abs(refined.displacement).mean()
    fixed, moving = (side[1] for side in pairs)
    single = model.register(fixed, moving, refine=Pyramid((level,)))
    assert isinstance(single.similarity_before, float) and single.moved.shape == fixed.shape
    named = model.register(fixed, moving, refine="fast")
    assert named.similarity_after > alone.similarity_after[1] - 1e-5
    assert [(r.shape, int(r.steps.max())) for r in named.levels] == [(fixed.shape, 30)]


@pytest.mark.parametrize("refine", [0, 10, "fast"])
def test_a_constant_image_is_refused(model, pairs, refine):
    fixed, moving = pairs[0][:3, ..., None], pairs[1][:3, ..., None].copy()
    moving[1] = 7
    with pytest.raises(InputError, match=r"moving must not be constant.*7 everywhere in image 1"):
        model.register(fixed, moving, refine=refine)
    with pytest.raises(InputError, match="fixed must not be constant"):
        model.register(np.zeros((28, 28)), pairs[1][0], refine=refine)


def test_a_hot_voxel_does_not_decide_what_the_network_sees(model, pairs):
    fixed, moving = pairs[0][2], pairs[1][2]
    plain = model.register(fixed, moving).displacement
    hot = fixed.copy()
    hot[1, 1] = 50 * fixed.max()
    assert np.abs(model.register(hot, moving).displacement - plain).max() < 1
    np.testing.assert_array_equal(without_outliers(fixed), fixed)


def test_arrays_unlike_the_training_images_are_warned_of(model, pairs):
    large = np.kron(pairs[0][0], np.ones((2, 2))), np.kron(pairs[1][0], np.ones((2, 2)))
    with pytest.warns(InputWarning, match="fixed has 56 x 56 voxels, .* trained on 28 x 28"):
        model.register(*large)
    flat = pairs[0][0].astype("float32")
    flat[:2, :3] = 50000  # more than a few voxels
    with pytest.warns(InputWarning, match="little contrast is left"):
        model.register(flat, pairs[1][0])


def test_a_volume_is_not_taken_for_a_batch_in_silence(model, pairs):
    with pytest.warns(InputWarning, match=r"\(20, 28, 28\) is taken for a batch of 20 images"):
        model.register(*pairs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.register(pairs[0][..., None], pairs[1][..., None])
        model.register(pairs[0][0], pairs[1][0])
