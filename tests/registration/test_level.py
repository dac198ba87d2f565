import numpy as np
import pytest

from tfreg.registration import Level, Pyramid, register


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


def test_samples_come_close_to_all_voxels_and_follow_the_seed(hearts, one_level):
    pair = hearts.fixed[0], hearts.moving[0]
    everything = register(*pair, pyramid=one_level)
    some = register(*pair, pyramid=one_level, samples=1500)
    again = register(*pair, pyramid=one_level, samples=1500)
    other = register(*pair, pyramid=one_level, samples=1500, seed=1)
    np.testing.assert_array_equal(some.displacement, again.displacement)
    assert np.abs(some.displacement - other.displacement).max() > 1e-3
    assert some.similarity_after > everything.similarity_before + 0.7 * (
        everything.similarity_after - everything.similarity_before
    )
    masked = register(*pair, pyramid=one_level, samples=1500, fixed_mask=np.ones((64, 64)))
    assert masked.similarity_after > masked.similarity_before


def test_samples_are_drawn_within_the_mask(hearts, one_level):
    mask = np.zeros((64, 64))
    mask[24:40, 24:40] = 1  # 256 of 4096 voxels
    options = {"pyramid": one_level, "fixed_mask": mask}
    pair = hearts.fixed[0], hearts.moving[0]
    everything = register(*pair, **options)
    some = register(*pair, **options, samples=200)
    gain = everything.similarity_after - everything.similarity_before
    assert gain > 0.01
    assert some.similarity_after - some.similarity_before > 0.6 * gain


def test_what_lies_beside_the_organ_does_not_squeeze_its_contrast(hearts, one_level):
    mask = np.zeros((64, 64))
    mask[8:56, 8:56] = 1
    options = {"pyramid": one_level, "similarity": "mi", "fixed_mask": mask, "moving_mask": mask}
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
