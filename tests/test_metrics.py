import itertools
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfreg import metrics, ops
from tfreg.metrics import _corners, surface
from tfreg.metrics import l2r_compatible as l2r


def box(shape, *bounds):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*bound) for bound in bounds)] = True
    return mask


def ellipsoid(shape, centre, radii, spacing=(1, 1, 1)):
    grid = np.moveaxis(np.indices(shape), 0, -1) * spacing
    return (((grid - centre) / radii) ** 2).sum(-1) <= 1


def affine(shape, matrix, offset):
    """Displacement of x -> x + matrix x + offset."""
    return np.moveaxis(np.indices(shape), 0, -1) @ np.transpose(matrix) + offset


def test_it_needs_neither_keras_nor_tensorflow():
    code = "import sys, tfreg.metrics; print(*{'keras', 'tensorflow', 'jax'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == ""


# Overlap


def test_dice_by_hand():
    fixed = np.array([[1, 1, 1, 2], [0, 0, 5, 2]])
    moved = np.array([[1, 1, 0, 0], [7, 2, 2, 2]])
    assert metrics.dice(fixed, moved) == {1: 0.8, 2: 0.4, 5: 0.0, 7: 0.0}


def test_dice_of_the_labels_asked_for():
    found = metrics.dice([0, 1, 1], [0, 0, 1], labels=(9, 0, 1))
    assert list(found) == [9, 0, 1]
    assert np.isnan(found[9])
    assert found[0] == found[1] == 2 / 3


def test_dice_of_nothing_is_nothing():
    assert metrics.dice(np.zeros((3, 3)), np.zeros((3, 3))) == {}


def test_dice_as_simpleitk(rng):
    fixed, moved = rng.integers(0, 4, (2, 5, 6, 7)).astype("uint8")
    measure = sitk.LabelOverlapMeasuresImageFilter()
    measure.Execute(sitk.GetImageFromArray(fixed), sitk.GetImageFromArray(moved))
    found = metrics.dice(fixed, moved)
    assert list(found) == [1, 2, 3]
    for label, value in found.items():
        assert value == pytest.approx(measure.GetDiceCoefficient(label), abs=1e-12)


LABELS = hnp.arrays("int64", (3, 4), elements=st.integers(0, 3))


@given(LABELS, LABELS)
@settings(max_examples=60, deadline=None)
def test_dice_is_a_symmetric_share(fixed, moved):
    found = metrics.dice(fixed, moved)
    assert all(0 <= value <= 1 for value in found.values())
    assert found == metrics.dice(moved, fixed)
    assert set(metrics.dice(fixed, fixed).values()) <= {1.0}


# Surfaces

SPACING = (0.5, 2.0, 3.0)


def test_faces_of_one_voxel():
    mask = box((3, 4, 5), (1, 2), (2, 3), (3, 4))
    found = metrics.surface_distances(mask, mask, SPACING)
    assert sorted(found.fixed_areas) == [1.0, 1.0, 1.5, 1.5, 6.0, 6.0]
    assert not found.fixed_to_moved.any()


def test_the_border_of_the_array_is_a_surface():
    full = np.ones((2, 3, 4), bool)
    areas = metrics.surface_distances(full, full, SPACING).fixed_areas
    assert areas.sum() == 2 * (3 * 4 * 6.0 + 2 * 4 * 1.5 + 2 * 3 * 1.0)
    assert len(areas) == 2 * (3 * 4 + 2 * 4 + 2 * 3)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shift", [1, 2])
def test_boxes_shifted_along_one_axis(axis, shift):
    """The far end of either box is ``shift`` away, its near end lies inside the other."""
    shape, bounds = (20, 18, 19), [(4, 9), (3, 10), (5, 11)]
    fixed = box(shape, *bounds)
    bounds[axis] = (bounds[axis][0] + shift, bounds[axis][1] + shift)
    moved = box(shape, *bounds)
    side_mm = np.array([b - a for a, b in bounds]) * SPACING
    found = metrics.surface_distances(fixed, moved, SPACING)
    away = shift * SPACING[axis]
    assert found.fixed_to_moved.max() == pytest.approx(away)
    assert found.moved_to_fixed.max() == pytest.approx(away)
    assert found.fixed_areas.sum() == pytest.approx(
        2 * sum(side_mm[i] * side_mm[j] for i, j in itertools.combinations(range(3), 2))
    )
    # the end that sticks out is more than 5 % of the surface
    assert metrics.hausdorff95(fixed, moved, SPACING) == pytest.approx(away)


def test_slabs_by_hand():
    """Slabs through the array, 1 row against 3, that share their first face."""
    fixed, moved = box((9, 2), (2, 3), (0, 2)), box((9, 2), (2, 5), (0, 2))
    found = metrics.surface_distances(fixed, moved, (2.0, 10.0))
    # faces across the rows first, 10 mm each, then the ends of the rows, 2 mm each
    assert found.fixed_to_moved.tolist() == [0, 0, 2, 2, 0, 0]
    assert found.fixed_areas.tolist() == [10, 10, 10, 10, 2, 2]
    assert found.moved_to_fixed.tolist() == [0, 0, 4, 4, 0, 0, 2, 2, 4, 4]
    assert found.moved_areas.tolist() == [10, 10, 10, 10, 2, 2, 2, 2, 2, 2]
    assert metrics.hausdorff95(fixed, moved, (2.0, 10.0)) == 4.0
    expected = (20 * 2 / 44 + (20 * 4 + 4 * 2 + 4 * 4) / 52) / 2
    assert metrics.mean_surface_distance(fixed, moved, (2.0, 10.0)) == pytest.approx(expected)


@pytest.mark.parametrize(
    "width, spacing, expected",
    [
        (
            5,
            (1.0, 20.0),
            np.hypot(50, 0.5),
        ),  # the top 60 mm up is 5 of 353 mm; it would be 5 of 87 faces
        (4, (20.0, 1.0), 3.0),  # the top 3 mm up is 80 of 1454 mm; it would be 4 of 86 faces
    ],
)
def test_the_percentile_is_weighted_by_area(width, spacing, expected):
    """A bump of 3 columns on a bar; whether its top counts depends on its length in mm."""
    fixed = box((40, 12), (2, 38), (2, 6))
    moved = fixed | box((40, 12), (10, 10 + width), (6, 9))
    assert metrics.hausdorff95(fixed, moved, spacing) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("spacing", [0.1, 0.7, 0.9])
@pytest.mark.parametrize("length", [9, 29, 49, 99])
def test_percentile_reached_exactly(length, spacing):
    """Exactly 95 % of the edges at distance 0 are enough, however the sum of areas rounds."""
    edges = 2 * (length + 1)
    off = edges // 20
    distances = np.repeat([0.0, 1.0], [edges - off, off])
    areas = np.full(edges, spacing)
    assert surface._percentile(distances, areas, 0.95) == 0
    assert surface._percentile(distances[1:], areas[1:], 0.95) == 1


def test_spheres_differ_by_their_radii():
    shape, spacing = (56, 38, 30), (1.0, 1.5, 2.0)
    centre = (np.array(shape) - 1) / 2 * spacing
    small = ellipsoid(shape, centre, (14.0,) * 3, spacing)
    large = ellipsoid(shape, centre, (20.0,) * 3, spacing)
    assert metrics.mean_surface_distance(small, large, spacing) == pytest.approx(6, abs=0.35)
    assert metrics.hausdorff95(small, large, spacing) == pytest.approx(6, abs=1.25)


@pytest.mark.parametrize("measure", [metrics.hausdorff95, metrics.mean_surface_distance])
def test_axes_may_be_permuted(measure, rng):
    fixed, moved = rng.random((2, 5, 6, 7)) < 0.3
    expected = measure(fixed, moved, SPACING)
    assert expected > 0
    for order in itertools.permutations(range(3)):
        permuted = measure(
            fixed.transpose(order), moved.transpose(order), [SPACING[i] for i in order]
        )
        assert permuted == pytest.approx(expected)


@pytest.mark.parametrize("measure", [metrics.hausdorff95, metrics.mean_surface_distance])
def test_distances_scale_with_the_spacing(measure, rng):
    fixed, moved = rng.random((2, 5, 6, 7)) < 0.3
    doubled = measure(fixed, moved, [2 * s for s in SPACING])
    assert doubled == pytest.approx(2 * measure(fixed, moved, SPACING))


MASKS = hnp.arrays(bool, (4, 5))


@given(MASKS, MASKS)
@settings(max_examples=60, deadline=None)
def test_surface_measures_are_symmetric(fixed, moved):
    for measure in (metrics.hausdorff95, metrics.mean_surface_distance):
        there, back = (measure(*pair, (1.0, 2.5)) for pair in ((fixed, moved), (moved, fixed)))
        if fixed.any() and moved.any():
            assert there == pytest.approx(back)
            assert 0 <= there <= np.hypot(4, 5 * 2.5)
            assert measure(fixed, fixed) == 0
        else:
            assert np.isnan(there)
            assert np.isnan(back)


def test_distances_to_an_empty_mask():
    empty, full = np.zeros((2, 2), bool), np.ones((2, 2), bool)
    found = metrics.surface_distances(full, empty)
    assert np.isnan(found.fixed_to_moved).all()
    assert found.fixed_to_moved.shape == (8,)
    assert found.moved_to_fixed.shape == found.moved_areas.shape == (0,)


# Landmarks

MATRIX = np.array([[0.02, 0.05, -0.03], [-0.04, 0.01, 0.02], [0.03, -0.02, 0.04]])
OFFSET = np.array([0.7, -0.4, 1.2])


def test_points_under_an_affine_field(rng):
    measure = metrics.target_registration_error
    shape = (9, 11, 8)
    u = affine(shape, MATRIX, OFFSET)
    fixed = rng.random((20, 3)) * (np.array(shape) - 1)
    fixed[0] = np.array(shape) - 1  # the last voxel belongs to the grid
    reached = fixed + fixed @ MATRIX.T + OFFSET
    assert np.allclose(measure(fixed, reached, u, SPACING), 0, atol=1e-9)
    miss = rng.standard_normal((20, 3))
    expected = np.sqrt((miss**2 * np.square(SPACING)).sum(1))
    assert np.allclose(measure(fixed, reached + miss, u, SPACING), expected)


def test_snapping_takes_the_nearest_voxel():
    u = np.full((5, 5, 2), (0.4, -0.6))
    points = np.array([[1.0, 3.0], [2.0, 2.0], [1.2, 3.9]])
    moving = np.array([[1.0, 2.0], [2.0, 2.0], [2.0, 3.0]])
    found = metrics.target_registration_error(points, moving, u, (3.0, 2.0), snap_to_voxel=True)
    assert found.tolist() == [0.0, 2.0, 0.0]
    halves = np.full((5, 5, 2), 0.5)
    found = metrics.target_registration_error([[1, 2]], [[2, 3]], halves, snap_to_voxel=True)
    assert found.tolist() == [0.0]


def test_no_points_no_errors():
    none = np.zeros((0, 2))
    assert metrics.target_registration_error(none, none, np.zeros((3, 3, 2))).shape == (0,)


# Fields


@pytest.mark.parametrize("shape", [(6, 7), (2, 5), (5, 6, 4), (3, 2, 6)])
def test_determinant_as_in_ops(shape, rng, numpy):
    u = rng.standard_normal((*shape, len(shape)))
    expected = numpy(ops.jacobian_determinant(u[None].astype("float32")))[0]
    assert np.allclose(metrics.jacobian_determinant(u), expected, atol=1e-4)


def test_determinant_as_simpleitk(rng):
    """Inside; its borders differ. SimpleITK has physical units and the axes in reverse."""
    u = rng.standard_normal((6, 7, 8, 3)) * 0.5
    spacing = np.array([1.5, 0.8, 2.0])
    image = sitk.GetImageFromArray((u * spacing)[..., ::-1].copy(), isVector=True)
    image.SetSpacing(spacing[::-1].tolist())
    expected = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(image))
    inner = (slice(1, -1),) * 3
    assert np.allclose(metrics.jacobian_determinant(u)[inner], expected[inner], atol=1e-5)


def test_determinant_of_an_affine_map():
    det = metrics.jacobian_determinant(affine((4, 5, 6), MATRIX, OFFSET))
    assert np.allclose(det, np.linalg.det(np.eye(3) + MATRIX))


def test_share_of_a_known_fold():
    """Rows step on by 1, but from row 4 to 5 back by 3: 2 rows of 10 see it centrally."""
    u = np.zeros((10, 6, 2))
    u[5:, 2:4, 0] = -4.0
    assert metrics.folding_fraction(u) == pytest.approx(100 * 2 * 2 / 60)
    mask = np.zeros((10, 6), bool)
    mask[4:8, 2:4] = True
    assert metrics.folding_fraction(u, mask) == 50.0
    assert metrics.folding_fraction(np.zeros((10, 6, 2))) == 0


def test_a_determinant_of_zero_counts_as_folding():
    u = np.zeros((6, 4, 2))
    u[..., 0] = -np.arange(6)[:, None]  # all rows onto row 0
    assert metrics.folding_fraction(u) == 100.0
    assert metrics.sd_log_jacobian(u) == 0


def test_sd_log_jacobian():
    assert metrics.sd_log_jacobian(affine((5, 6, 7), MATRIX, OFFSET)) == pytest.approx(0, abs=1e-9)
    u = np.zeros((8, 3, 2))
    u[4:, :, 0] = np.arange(1, 5)[:, None]  # determinants 1 (3 rows), 1.5, 2 (4 rows) ...
    logs = np.log([1, 1, 1, 1.5, 2, 2, 2, 2])
    assert metrics.sd_log_jacobian(u) == pytest.approx(logs.std())
    mask = np.zeros((8, 3), bool)
    mask[:5, 1] = True
    assert metrics.sd_log_jacobian(u, mask) == pytest.approx(logs[:5].std())


def test_determinants_are_clipped():
    u = np.zeros((8, 3, 2))
    u[..., 0] = -3.0 * np.arange(8)[:, None]
    assert metrics.sd_log_jacobian(u) == 0  # -2 everywhere
    u[:4] = u[4]  # determinants 1 (4 rows), -0.5, -2 (3 rows)
    logs = np.log([1] * 4 + [1e-9] * 4)
    assert metrics.sd_log_jacobian(u) == pytest.approx(logs.std())


def test_inverse_consistency_of_a_translation():
    u = np.full((10, 8, 2), (2.0, -1.0))
    found = metrics.inverse_consistency_error(u, -u, (3.0, 0.5))
    assert found.error == 0
    assert found.excluded == pytest.approx(100 * (1 - 8 * 7 / 80))
    assert metrics.inverse_consistency_error(u, u, (3.0, 0.5)).error == pytest.approx(
        np.hypot(4 * 3.0, 2 * 0.5)
    )


def test_inverse_consistency_of_an_affine_map():
    """The inverse of an affine map is affine, so linear interpolation is exact."""
    inverse = np.linalg.inv(np.eye(3) + MATRIX)
    u = affine((9, 8, 10), MATRIX, OFFSET)
    w = affine((12, 9, 13), inverse - np.eye(3), -inverse @ OFFSET)  # a grid of another size
    found = metrics.inverse_consistency_error(u, w, SPACING)
    assert found.error == pytest.approx(0, abs=1e-9)
    assert 0 < found.excluded < 60
    off = metrics.inverse_consistency_error(u, w + np.array([0, 0, 0.5]), SPACING)
    assert off.error == pytest.approx(0.5 * 3.0)


def test_inverse_consistency_in_a_mask():
    u = np.zeros((6, 6, 2))
    u[3:, :, 1] = 0.25
    top = np.zeros((6, 6), int)
    top[:3] = 1
    assert metrics.inverse_consistency_error(u, 0 * u, mask=top) == (0.0, 0.0)
    assert metrics.inverse_consistency_error(u, 0 * u, (1, 4), mask=1 - top).error == 1.0


def test_inverse_consistency_where_all_leave():
    u = np.full((3, 3, 2), 7.0)
    error, excluded = metrics.inverse_consistency_error(u, -u)
    assert np.isnan(error)
    assert excluded == 100


# As Learn2Reg


def reference_determinant(u):
    """det(I + grad u) by central differences, off the border of 2, in the slow and plain way."""
    shape = u.shape[:3]
    out = np.zeros([s - 4 for s in shape])
    for index in np.ndindex(*out.shape):
        x = np.array(index) + 2
        columns = [(u[tuple(x + e)] - u[tuple(x - e)]) / 2 for e in np.eye(3, dtype=int)]
        out[index] = np.linalg.det(np.eye(3) + np.stack(columns, -1))
    return out


def test_l2r_jacobian(rng):
    u = rng.standard_normal((8, 7, 9, 3))
    det = reference_determinant(u)
    expected = np.log(np.clip(det + 3, 1e-9, 1e9)).std()
    assert (det < -3).any()
    assert l2r.sd_log_jacobian(u) == pytest.approx(expected)
    assert l2r.folding_fraction(u) == pytest.approx(100 * (det <= 0).mean())
    mask = rng.random((8, 7, 9)) < 0.4
    inside = mask[2:-2, 2:-2, 2:-2]
    assert l2r.sd_log_jacobian(u, mask) == pytest.approx(
        np.log(np.clip(det + 3, 1e-9, 1e9))[inside].std()
    )
    assert l2r.folding_fraction(u, mask) == pytest.approx(100 * (det[inside] <= 0).mean())


def test_l2r_jacobian_is_about_a_quarter_of_ours(rng):
    u = rng.standard_normal((9, 9, 9, 3)) * 0.01
    inner = box((9, 9, 9), (2, 7), (2, 7), (2, 7))
    ratio = metrics.sd_log_jacobian(u, inner) / l2r.sd_log_jacobian(u)
    assert ratio == pytest.approx(4, rel=0.02)


def test_l2r_landmarks_under_an_affine_field(rng):
    """The spline mirrors the field at the border, so it follows an affine one only far inside."""
    u = affine((40, 40, 40), MATRIX, OFFSET)
    fixed = 18 + 4 * rng.random((8, 3))
    moving = fixed + fixed @ MATRIX.T + OFFSET + [1.0, 2.0, -2.0]
    expected = np.sqrt(0.25 + 16 + 36)
    assert np.allclose(
        l2r.target_registration_error(fixed, moving, u, SPACING), expected, atol=1e-6
    )


def test_l2r_landmarks_differ_from_ours_between_voxels():
    u = np.zeros((15, 15, 15, 3))
    u[7, :, :, 0] = 1.0
    point = [[7.5, 7.0, 7.0]]
    ours = metrics.target_registration_error(point, point, u)[0]
    theirs = l2r.target_registration_error(point, point, u)[0]
    assert ours == pytest.approx(0.5)
    # the cubic spline through one sample of 1 has coefficients sqrt(3) z^|k|, z = sqrt(3) - 2, and
    # half a voxel on the basis function is 23/48 at the two nearest voxels, 1/48 at the next two
    coefficients = np.sqrt(3) * (np.sqrt(3) - 2) ** np.abs([-1, 0, 1, 2])
    assert theirs == pytest.approx(coefficients @ [1 / 48, 23 / 48, 23 / 48, 1 / 48], abs=1e-4)


def test_l2r_landmarks_outside_are_not_displaced():
    u = np.ones((5, 5, 5, 3))
    point = [[-1.0, 2.0, 2.0]]
    assert l2r.target_registration_error(point, point, u).tolist() == [0.0]


def test_l2r_leaves_out_what_the_moving_map_lacks():
    shape = (5, 6, 7)
    one, two = (
        box(shape, (1, 3), (1, 4), (2, 5)).astype(int),
        2 * box(shape, (4, 5), (0, 6), (0, 7)),
    )
    # label 1 in all; 2 not in the fixed; 3 nowhere; 1 lost by the moved map
    assert l2r.dice(one, one + two, one, [1])[1] == 1
    assert np.isnan(l2r.dice(one, one + two, one + two, [2, 3])[2])
    assert np.isnan(l2r.hausdorff95(one, one + two, one + two, [2])[2])
    assert np.isnan(l2r.dice(one, two, one, [1])[1])  # ours would say 1
    assert l2r.dice(one, one, 0 * one, [1]) == {1: 0.0}
    assert l2r.hausdorff95(one, one, 0 * one, [1]) == {1: np.inf}


def test_l2r_surface_areas():
    """Against the table of surface-distance: its sum, and some of its entries."""
    areas = _corners.surface_areas()
    assert areas.sum() == pytest.approx(241.34313970553745)
    assert areas[0] == areas[255] == 0
    assert np.allclose(areas, areas[::-1])
    assert areas[0b1111] == areas[0b01010101] == 1  # a face
    assert areas[1] == pytest.approx(3**0.5 / 8)
    assert areas[0b10010110] == pytest.approx(4 * 3**0.5 / 8)  # four corners, none joined


def test_l2r_hausdorff_as_surface_distance():
    """Numbers of surface-distance-based-measures 0.1 on the same masks, spacing 1."""
    shape = (14, 15, 16)
    fixed = ellipsoid(shape, (5, 7, 6), (3, 4, 5))
    moved = ellipsoid(shape, (7, 6, 9), (4, 3, 4))
    assert l2r.hausdorff95(fixed, fixed, moved, [1])[1] == pytest.approx(3.605551275463989)


def test_l2r_hausdorff_of_shifted_boxes():
    shape = (12, 10, 11)
    fixed, moved = (
        3 * box(shape, (2 + k, 5 + k), (0, 10), (0, 11)) for k in (0, 4)
    )  # slabs up to the border
    assert l2r.hausdorff95(fixed, fixed, moved, [3]) == {3: 4.0}


def test_l2r_warp_is_order_zero_and_zero_outside(rng):
    labels = rng.integers(1, 9, (6, 5, 4))
    u = np.full((6, 5, 4, 3), (1.4, -0.6, 0.0))
    moved = l2r.warp_labels(labels, u)
    assert np.array_equal(moved[:4, 1:], labels[1:5, :4])
    assert not moved[5].any()
    assert not moved[:, 0].any()


# Bad input

FIELD2, FIELD3 = np.zeros((5, 6, 2)), np.zeros((5, 6, 7, 3))
LABEL3 = np.ones((5, 6, 7), int)
NAN2 = np.full((5, 6, 2), np.nan)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: metrics.dice([1, 2], [1, 2, 3]), "moved_labels.shape"),
        (lambda: metrics.dice([1.5, 2], [1, 2]), "fixed_labels.dtype=float64"),
        (lambda: metrics.dice([1, 2], [1, np.nan]), "moved_labels.dtype"),
        (lambda: metrics.dice([1, 2], [1, 2], labels=[1.0]), r"labels=\[1.0\]"),
        (lambda: metrics.hausdorff95(LABEL3[0] * 3, LABEL3[0]), r"fixed_mask.max\(\)=3"),
        (lambda: metrics.hausdorff95(LABEL3[0], LABEL3[1, :3]), "moved_mask.shape"),
        (lambda: metrics.hausdorff95([1, 0], [1, 0]), "fixed_mask.shape"),
        (lambda: metrics.hausdorff95(LABEL3, LABEL3, (1, 1)), r"spacing=\(1, 1\)"),
        (lambda: metrics.mean_surface_distance(LABEL3, LABEL3, (1, 0, 1)), "spacing="),
        (
            lambda: metrics.target_registration_error([[1, 2]], [[1, 2]], FIELD3),
            "fixed_points.shape",
        ),
        (
            lambda: metrics.target_registration_error([[1, 2]], [[1, 2]] * 2, FIELD2),
            "moving_points.shape",
        ),
        (
            lambda: metrics.target_registration_error([[1, 2], [4, 5.5]], [[1, 2]] * 2, FIELD2),
            r"fixed_points\[1\]=\[4.0, 5.5\]",
        ),
        (
            lambda: metrics.target_registration_error([[1, 2]], [[np.inf, 2]], FIELD2),
            r"moving_points\[0\]",
        ),
        (lambda: metrics.jacobian_determinant(FIELD2[None]), "displacement.shape"),
        (lambda: metrics.jacobian_determinant(FIELD2[:1]), "at least 2 voxels"),
        (lambda: metrics.folding_fraction(NAN2), r"displacement\[0, 0, 0\]=nan"),
        (lambda: metrics.folding_fraction(FIELD2, np.zeros((5, 6))), r"mask.sum\(\)=0"),
        (lambda: metrics.sd_log_jacobian(FIELD2, np.ones((6, 5))), "mask.shape"),
        (lambda: metrics.inverse_consistency_error(FIELD2, FIELD3), "backward.shape"),
        (lambda: metrics.inverse_consistency_error(FIELD2, NAN2), "backward must be finite"),
        (lambda: l2r.sd_log_jacobian(FIELD2), r"\(\*spatial, 3\)"),
        (lambda: l2r.sd_log_jacobian(FIELD3[:4]), "at least 5"),
        (lambda: l2r.folding_fraction(FIELD3, box((5, 6, 7), (0, 2))), r"mask.sum\(\)=0 there"),
        (lambda: l2r.dice(LABEL3, LABEL3[0], LABEL3, [1]), "moving_labels.shape"),
        (lambda: l2r.hausdorff95(LABEL3, LABEL3, LABEL3[:2], [1]), "moved_labels.shape"),
        (lambda: l2r.warp_labels(LABEL3[0], FIELD3), "moving_labels.shape"),
        (lambda: l2r.target_registration_error([[1, 2]], [[1, 2]], FIELD3), "fixed_points.shape"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=f"Received: .*{message}|{message}.*Received"):
        call()
