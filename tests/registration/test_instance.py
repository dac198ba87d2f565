from dataclasses import replace

import numpy as np
import pytest

from tfreg import ops
from tfreg.data import bodies
from tfreg.errors import InputError
from tfreg.registration import Level, Pyramid, forget, level, memory, register

ONE = Pyramid((Level(grid_spacing=6, steps=30),))
SHORT = Pyramid((Level(shrink=2, grid_spacing=8, steps=20), Level(grid_spacing=4, steps=20)))


@pytest.fixture(scope="module")
def hearts():
    return bodies.hearts(3, seed=5, size=64)


@pytest.fixture(scope="module")
def blobs():
    """A smooth asymmetric volume on anisotropic voxels, as a function of positions."""
    rng = np.random.default_rng(3)
    shape = np.array([18, 32, 28])
    centres, widths = shape * rng.uniform(0.25, 0.75, (12, 3)), rng.uniform(1.5, 2.5, 12)

    def image(points):
        scaled = points * [2.0, 1.0, 1.0]
        total = np.zeros(points.shape[:-1])
        for centre, width in zip(centres * [2.0, 1.0, 1.0], widths, strict=True):
            total += width * np.exp(-((scaled - centre) ** 2).sum(axis=-1) / (2 * width**2))
        return total

    return image, np.moveaxis(np.indices(shape), 0, -1).astype(float)


@pytest.mark.parametrize(
    "kind",
    ["translation", "rigid", "similarity", pytest.param("affine", marks=pytest.mark.on_jax)],
)
def test_a_linear_map_in_3d_is_found(blobs, kind):
    image, grid = blobs
    angle, scale = (0.12, 1.05) if kind != "translation" else (0.0, 1.0)
    matrix = np.eye(3)
    matrix[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    if kind in ("similarity", "affine"):
        matrix = matrix * scale
    if kind == "affine":
        matrix[1, 2] += 0.1
    centre = (np.array(grid.shape[:3]) - 1) / 2
    truth = (grid - centre) @ matrix.T + centre + [0.7, -1.5, 2.2] - grid
    # moving(x + u(x)) = fixed(x): the fixed image is the blobs seen through the map.
    answer = register(image(grid + truth), image(grid), kind, spacing=(2.0, 1.0, 1.0))
    middle = (slice(3, -3),) * 3
    assert np.abs(answer.displacement - truth)[middle].max() < 0.2
    assert answer.similarity_after > 0.99 and answer.accepted


@pytest.mark.parametrize("kind", ["bspline", "dense", "velocity"])
def test_a_beating_heart_is_followed(hearts, kind):
    setting = "fast" if kind == "velocity" else "default"
    answer = register(hearts.fixed, hearts.moving, kind, pyramid=setting, ndim=2)
    before = np.linalg.norm(hearts.fixed_points - hearts.moving_points, axis=-1).mean()
    error = np.linalg.norm(answer.warp_points(hearts.fixed_points) - hearts.moving_points, axis=-1)
    assert before > 1.5 and error.mean() < 0.6 * before
    assert (answer.similarity_after > answer.similarity_before + 0.02).all()
    assert answer.check().folding < 1


def test_sequences_add_up(blobs):
    image, grid = blobs
    truth = np.broadcast_to([0.5, 3.0, -4.0], grid.shape).copy()
    truth[..., 1] += np.sin(grid[..., 2] / 5)
    fixed, moving = image(grid + truth), image(grid)
    affine = register(fixed, moving, "affine", spacing=(2.0, 1.0, 1.0))
    both = register(fixed, moving, ["affine", "bspline"], spacing=(2.0, 1.0, 1.0))
    assert both.similarity_after > affine.similarity_after > 0.9
    assert both.similarity_before == pytest.approx(affine.similarity_before)
    assert {level.transform for level in both.levels} == {"affine", "bspline"}
    after = register(fixed, moving, "bspline", spacing=(2.0, 1.0, 1.0), start=affine)
    np.testing.assert_allclose(after.displacement, both.displacement, atol=0.05)


@pytest.mark.on_jax
def test_alone_and_in_a_batch_repeated_to_the_bit_and_compiled_once(hearts, monkeypatch):
    batch = register(hearts.fixed, hearts.moving, pyramid=SHORT, ndim=2)
    traced, similarity = [], level.similarity
    monkeypatch.setattr(level, "similarity", lambda *a: traced.append(a) or similarity(*a))
    again = register(hearts.fixed, hearts.moving, pyramid=SHORT, ndim=2)
    np.testing.assert_array_equal(batch.displacement, again.displacement)
    assert batch.compile_seconds > 0 and again.compile_seconds == 0 and not traced
    single = register(hearts.fixed[1], hearts.moving[1], pyramid=SHORT)
    assert single.displacement.shape == (64, 64, 2) and isinstance(single.accepted, bool)
    np.testing.assert_allclose(single.displacement, batch.displacement[1], atol=0.02)
    levels = (replace(one, steps=5, learning_rate=0.2, weight=0.5) for one in SHORT.levels)
    other = Pyramid(tuple(levels))
    assert register(hearts.fixed[1], hearts.moving[1], pyramid=other).compile_seconds == 0


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("lncc", lambda image: 2 * image + 3),
        ("mse", lambda image: image),
        ("mi", lambda image: 1 - image**2),
        ("ngf", lambda image: 1 - image),
    ],
)
def test_every_similarity(hearts, name, change):
    moving = change(hearts.moving[0])
    answer = register(hearts.fixed[0], moving, pyramid=ONE, similarity=name)
    error = answer.warp_points(hearts.fixed_points[0]) - hearts.moving_points[0]
    before = np.linalg.norm(hearts.fixed_points[0] - hearts.moving_points[0], axis=-1).mean()
    assert np.linalg.norm(error, axis=-1).mean() < 0.75 * before
    assert answer.similarity == name and answer.similarity_after > answer.similarity_before


def test_what_the_masks_leave_out_has_no_influence(hearts, rng):
    fixed, moving = hearts.fixed[0].copy(), hearts.moving[0].copy()
    mask = np.zeros((64, 64))
    mask[8:56, 8:56] = 1
    options = {"pyramid": Pyramid((Level(grid_spacing=8, steps=15),)), "fixed_mask": mask}
    # The range of intensities is that of the whole image: the corner keeps it.
    fixed[0, :2], moving[0, :2] = (0, 1), (0, 1)
    clean = register(fixed, moving, **options)
    fixed[1:6] = rng.random((5, 64))
    np.testing.assert_array_equal(
        register(fixed, moving, **options).displacement, clean.displacement
    )
    options["moving_mask"] = mask
    clean = register(fixed, moving, **options)
    moving[1:6] = rng.random((5, 64))
    np.testing.assert_array_equal(
        register(fixed, moving, **options).displacement, clean.displacement
    )
    assert np.abs(clean.displacement).max() > 0.3


def test_samples_come_close_to_all_voxels_and_follow_the_seed(hearts):
    pair = hearts.fixed[0], hearts.moving[0]
    everything = register(*pair, pyramid=ONE)
    some = register(*pair, pyramid=ONE, samples=1500)
    again = register(*pair, pyramid=ONE, samples=1500)
    other = register(*pair, pyramid=ONE, samples=1500, seed=1)
    np.testing.assert_array_equal(some.displacement, again.displacement)
    assert np.abs(some.displacement - other.displacement).max() > 1e-3
    assert some.similarity_after > everything.similarity_before + 0.7 * (
        everything.similarity_after - everything.similarity_before
    )
    masked = register(*pair, pyramid=ONE, samples=1500, fixed_mask=np.ones((64, 64)))
    assert masked.similarity_after > masked.similarity_before


def test_starts(hearts):
    pair = hearts.fixed[0], hearts.moving[0]
    nothing = Pyramid((Level(grid_spacing=8, steps=0),))
    shift = np.array([[1.0, 0, 1.5], [0, 1, -0.5]])
    by_matrix = register(*pair, pyramid=nothing, start=shift)
    np.testing.assert_allclose(by_matrix.displacement, np.full((64, 64, 2), (1.5, -0.5)), atol=1e-5)
    by_field = register(*pair, pyramid=nothing, start=by_matrix.displacement)
    np.testing.assert_allclose(by_field.displacement, by_matrix.displacement, atol=1e-6)
    by_answer = register(*pair, pyramid=nothing, start=by_matrix)
    np.testing.assert_allclose(by_answer.displacement, by_matrix.displacement, atol=1e-6)
    assert by_answer.similarity_before == by_answer.similarity_after
    good = register(*pair, pyramid=ONE)
    better = register(*pair, pyramid=ONE, start=good)
    assert better.similarity_before == pytest.approx(good.similarity_after, abs=1e-5)
    assert better.similarity_after >= better.similarity_before


def test_images_of_different_size(hearts):
    answer = register(hearts.fixed[0][:50], hearts.moving[0], pyramid=ONE)
    assert answer.displacement.shape == (50, 64, 2) and answer.moved.shape == (50, 64)
    assert answer.similarity_after > answer.similarity_before + 0.02


def test_where_the_similarity_got_worse_the_start_is_returned(rng):
    noise = rng.random((2, 12, 32, 32)).astype("float32")
    coarse = Pyramid((Level(shrink=4, grid_spacing=8, steps=30, weight=0.0),))
    answer = register(*noise, pyramid=coarse, ndim=2)
    assert 0 < answer.accepted.sum() < 12
    assert (answer.similarity_after >= answer.similarity_before).all()
    assert (answer.displacement[~answer.accepted] == 0).all()
    assert "left out" in str(answer.check())


def test_a_plateau_ends_a_level_and_progress_is_reported(hearts):
    seen = []
    patience = Level(grid_spacing=8, steps=500)
    patient = register(
        *(hearts.fixed, hearts.moving),
        pyramid=Pyramid((patience,), tolerance=1e-3),
        ndim=2,
        progress=seen.append,
    )
    (report,) = seen
    assert report is patient.levels[0] and report.shape == (64, 64)
    assert (report.steps >= 19).all() and (report.steps < 200).all()
    assert (report.loss_after < report.loss_before).all() and report.seconds > 0
    hasty = register(hearts.fixed[0], hearts.moving[0], pyramid=Pyramid((patience,), tolerance=9.0))
    assert hasty.levels[0].steps.tolist() == [19]
    assert "bspline 64x64" in str(report)


def test_check_names_what_is_wrong():
    y, x = np.mgrid[:32, :32].astype("float32")
    image = np.exp(-((y - 15) ** 2 + (x - 15) ** 2) / 40)
    field = np.zeros((32, 32, 2), "float32")
    field[..., 1] = -2 * (x - 15)  # mirrors
    nothing = Pyramid((Level(grid_spacing=8, steps=0),))
    check = register(image, image, pyramid=nothing, start=field).check()
    assert check.folding == pytest.approx(100) and check.jacobian_min == pytest.approx(-1)
    assert any("folds" in problem for problem in check.problems)
    field[..., 1] = 14
    check = register(image, image, pyramid=nothing, start=field).check()
    assert check.outside == pytest.approx(100 * 14 / 32, abs=0.1) and check.folding == 0
    assert any("outside" in problem for problem in check.problems)


def test_more_memory_than_there_is(hearts, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1_000_000)
    with pytest.raises(InputError, match="needs about"):
        register(hearts.fixed, hearts.moving, ndim=2)


IMAGE = np.arange(400.0).reshape(20, 20)
LEFT = (np.arange(20) < 9) * np.ones((20, 1))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.ones((20, 20)), IMAGE), {}, "fixed must not be constant"),
        ((IMAGE, np.zeros((20, 20))), {}, "moving must not be constant"),
        ((IMAGE, IMAGE * np.nan), {}, "finite"),
        ((IMAGE, IMAGE), {"fixed_mask": np.zeros((20, 20))}, "fixed_mask holds no voxel"),
        ((IMAGE, IMAGE), {"fixed_mask": np.ones((20, 19))}, "fixed_mask must have the shape"),
        ((IMAGE, IMAGE), {"moving_mask": -np.ones((20, 20))}, "moving_mask must be 0 or more"),
        ((IMAGE, IMAGE), {"fixed_mask": (IMAGE == 7) * 1.0}, "constant within its mask"),
        ((IMAGE, IMAGE), {"start": np.array([[1, 0, 90.0], [0, 1, 0]])}, "must overlap"),
        ((IMAGE, IMAGE), {"start": np.zeros((20, 20))}, "start must be"),
        ((IMAGE, IMAGE), {"start": np.full((20, 20, 2), np.nan)}, "start must hold finite"),
        ((IMAGE, IMAGE), {"transform": "elastic"}, "elastic"),
        ((IMAGE, IMAGE), {"transform": []}, "transform"),
        ((IMAGE, IMAGE), {"similarity": "ssd"}, "ssd"),
        ((IMAGE, IMAGE), {"regulariser": "tv"}, "tv"),
        ((IMAGE, IMAGE), {"pyramid": "slow"}, "slow"),
        ((IMAGE, IMAGE), {"pyramid": ["fast", "fast"]}, "one per transform"),
        ((IMAGE, IMAGE), {"pyramid": Pyramid((Level(shrink=8),))}, "4 voxels or more"),
        ((IMAGE, IMAGE), {"pyramid": Pyramid((Level(shrink=3), Level(shrink=2)))}, "divide"),
        ((IMAGE, IMAGE), {"pyramid": Pyramid((Level(shrink=(1, 1, 1)),))}, "2 factors"),
        ((IMAGE, IMAGE), {"spacing": (1.0, 0.0)}, "spacing"),
        ((IMAGE, IMAGE), {"spacing": (1.0, 1.0, 1.0)}, "spacing must be 2"),
        ((IMAGE, IMAGE), {"spacing": 1.5}, "spacing must be 2"),
        ((IMAGE, IMAGE), {"spacing": (1.0,)}, "spacing must be 2"),
        ((IMAGE, IMAGE), {"spacing": "mm"}, "spacing must be 2"),
        ((IMAGE, IMAGE), {"start": "centre"}, "start must be"),
        ((IMAGE, IMAGE), {"similarity": ["ncc"]}, "similarity must be"),
        ((IMAGE, IMAGE), {"progress": True}, "progress"),
        ((IMAGE, IMAGE), {"transform": None}, "transform"),
        ((IMAGE, IMAGE), {"pyramid": Level()}, "pyramid must be one of"),
        ((IMAGE, IMAGE), {"samples": 3}, "samples"),
        ((IMAGE, IMAGE), {"samples": float("nan")}, "samples"),
        ((IMAGE, IMAGE), {"samples": 50, "seed": -1}, "seed"),
        ((IMAGE, IMAGE), {"fixed_mask": LEFT, "moving_mask": 1 - LEFT}, "must overlap"),
        ((IMAGE, IMAGE), {"samples": 50, "similarity": "lncc"}, "from samples"),
        ((IMAGE[0], IMAGE[0]), {}, "2-D or 3-D"),
        ((np.zeros((2, 3, 8, 8)), np.zeros((2, 3, 8, 8))), {}, "ndim"),
        ((np.stack([IMAGE] * 2), np.stack([IMAGE] * 3)), {"ndim": 2}, "one length"),
        ((np.stack([IMAGE] * 2),) * 2, {"spacing": (1.0, 1.0)}, "needs ndim"),
    ],
)
def test_bad_input_is_named(arguments, options, message):
    with pytest.raises(InputError, match=message):
        register(*arguments, **options)


def test_moved_is_the_moving_image_seen_through_the_displacement(hearts, numpy):
    answer = register(hearts.fixed[0], hearts.moving[0], pyramid=ONE)
    moved = numpy(ops.resample(hearts.moving[:1, ..., None], answer.displacement[None]))
    np.testing.assert_allclose(answer.moved, moved[0, ..., 0], atol=1e-5)


def test_samples_are_drawn_within_the_mask(hearts):
    mask = np.zeros((64, 64))
    mask[24:40, 24:40] = 1  # 256 of 4096 voxels
    options = {"pyramid": ONE, "fixed_mask": mask}
    pair = hearts.fixed[0], hearts.moving[0]
    everything = register(*pair, **options)
    some = register(*pair, **options, samples=200)
    gain = everything.similarity_after - everything.similarity_before
    assert gain > 0.01
    assert some.similarity_after - some.similarity_before > 0.6 * gain


def test_what_lies_beside_the_organ_does_not_squeeze_its_contrast(hearts):
    mask = np.zeros((64, 64))
    mask[8:56, 8:56] = 1
    options = {"pyramid": ONE, "similarity": "mi", "fixed_mask": mask, "moving_mask": mask}
    fixed, moving = hearts.fixed[0].copy(), hearts.moving[0].copy()
    plain = register(fixed, moving, **options)
    fixed[:4], moving[:4] = -1000, 3000  # padding and metal
    padded = register(fixed, moving, **options)
    assert plain.similarity_after > plain.similarity_before + 0.02
    assert padded.similarity_after == pytest.approx(plain.similarity_after, abs=0.02)


def test_smoothing_keeps_the_border_of_a_mask(hearts):
    mask = np.zeros((64, 64))
    mask[16:48, 16:48] = 1
    smooth = Level(grid_spacing=8, steps=10, smoothing=1.0)
    options = {"pyramid": Pyramid((smooth,)), "fixed_mask": mask}
    clean = register(hearts.fixed[0], hearts.moving[0], **options)
    fixed = hearts.fixed[0].copy()
    fixed[:8] = 0.5  # further from the mask than the filter reaches
    other = register(fixed, hearts.moving[0], **options)
    np.testing.assert_array_equal(clean.displacement, other.displacement)


def test_where_nothing_overlaps_any_more_is_no_answer(hearts):
    left, right = np.zeros((64, 64)), np.zeros((64, 64))
    left[:, 20:34], right[:, 30:44] = 1, 1
    # Zero is the best that -MSE can be, and what it would be without a voxel to compare.
    answer = register(
        *(hearts.fixed[0], hearts.moving[0], "translation"),
        similarity="mse",
        fixed_mask=left,
        moving_mask=right,
        pyramid=Pyramid((Level(steps=60, learning_rate=2.0, weight=0.0),)),
    )
    assert -1 < answer.similarity_after < 0
    where = np.moveaxis(np.indices((64, 64)), 0, -1) + answer.displacement
    seen = (left > 0) & (where[..., 1] > 29) & (where[..., 1] < 44)
    assert seen.any()


def test_diffusion_where_an_axis_has_one_control_point(rng):
    fixed = rng.random((4, 24, 24))
    moving = np.roll(fixed, 1, axis=2)
    few = Pyramid((Level(grid_spacing=4, steps=5),))
    answer = register(fixed, moving, regulariser="diffusion", pyramid=few)
    assert answer.similarity_after > answer.similarity_before


def test_what_is_forgotten_is_compiled_again(hearts):
    pair = hearts.fixed[0][:40, :36], hearts.moving[0][:40, :36]
    one = Pyramid((Level(grid_spacing=8, steps=2),))
    assert register(*pair, pyramid=one).compile_seconds > 0
    assert register(*pair, pyramid=one).compile_seconds == 0
    forget()
    assert register(*pair, pyramid=one).compile_seconds > 0


@pytest.mark.parametrize("similarity", ["mse", "mi"])
def test_a_mask_of_one_image_alone_scales_both_alike(hearts, similarity):
    """The organ spans a part of the range: as MSE compares them, both images are scaled by it."""
    fixed = hearts.fixed[0] * 0.2 + 0.2
    fixed[:6], fixed[-6:] = 0, 1
    moving = np.roll(fixed, 2, axis=1)
    mask = np.zeros((64, 64))
    mask[10:54, 10:50] = 1
    for masks in ({"fixed_mask": mask}, {"moving_mask": np.roll(mask, 2, axis=1)}):
        answer = register(fixed, moving, "translation", similarity=similarity, **masks)
        np.testing.assert_allclose(answer.displacement[30, 30], (0, 2), atol=0.1)
        assert answer.accepted and answer.similarity_after > answer.similarity_before


@pytest.mark.parametrize("similarity", ["ncc", "mse"])
def test_metal_at_the_border_of_a_mask_does_not_undo_the_answer(hearts, similarity):
    fixed, moving = hearts.fixed[0], np.roll(hearts.fixed[0], 1, axis=0).copy()
    mask = np.zeros((64, 64))
    mask[8:56, 8:56] = 1
    moving[7, 10:50] = 15.0  # beside the mask
    options = {"similarity": similarity, "fixed_mask": mask, "moving_mask": mask}
    half = np.array([[1.0, 0, 0.6], [0, 1, 0]])
    answer = register(fixed, moving, "translation", start=half, **options)
    assert answer.accepted
    np.testing.assert_allclose(answer.displacement[30, 30], (1, 0), atol=0.15)


def test_a_transform_that_made_it_worse_is_left_out_and_the_answer_says_so(rng):
    noise = rng.random((32, 32)).astype("float32")
    moving = np.roll(noise, 1, axis=1)
    shift = Pyramid((Level(steps=40, learning_rate=0.3),))
    coarse = Pyramid((Level(shrink=4, grid_spacing=8, steps=30, weight=0.0),))
    start = np.array([[1.0, 0, 0], [0, 1, 0.6]])
    options = {"start": start}
    alone = register(noise, moving, "translation", pyramid=shift, **options)
    both = register(noise, moving, ["translation", "bspline"], pyramid=[shift, coarse], **options)
    assert alone.accepted and alone.similarity_after > 0.95
    assert not both.accepted and "left out" in str(both.check())
    np.testing.assert_allclose(both.displacement, alone.displacement, atol=1e-5)
    assert both.similarity_after == pytest.approx(alone.similarity_after, abs=1e-5)


def test_samples_do_not_compile_anew_for_every_mask_and_starve_no_pair(hearts):
    first, second = np.zeros((2, 64, 64))
    first[8:20, 8:20], second[30:58, 20:44] = 1, 1
    batch = register(
        *(hearts.fixed[:2], hearts.moving[:2]),
        pyramid=SHORT,
        samples=400,
        fixed_mask=np.stack([first, second]),
        ndim=2,
    )
    assert batch.accepted.all()
    for index, mask in enumerate((first, second)):
        pair = hearts.fixed[index], hearts.moving[index]
        alone = register(*pair, pyramid=SHORT, samples=400, fixed_mask=mask)
        np.testing.assert_allclose(alone.displacement, batch.displacement[index], atol=0.05)
    assert alone.compile_seconds == 0  # another mask, with fewer voxels than samples or with more


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float64"])
def test_images_of_any_type(hearts, dtype):
    scale = 200 if "int" in dtype else 1
    fixed, moving = ((scale * side[0]).astype(dtype) for side in (hearts.fixed, hearts.moving))
    expected = register(hearts.fixed[0], hearts.moving[0], pyramid=ONE)
    answer = register(fixed, moving, pyramid=ONE)
    np.testing.assert_allclose(answer.displacement, expected.displacement, atol=0.3)
    assert answer.moved.dtype == np.float32 and answer.moved.max() == pytest.approx(
        moving.max(), rel=0.1
    )
