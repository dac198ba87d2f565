import numpy as np
import pytest
from shapes import MATRIX, OFFSET, SPACING, affine, box, ellipsoid

from tfreg import metrics
from tfreg.metrics import _corners
from tfreg.metrics import l2r_compatible as l2r


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


def test_ids_of_uint64_are_warped_exactly():
    labels = np.array([5, 2**63 + 5, 2**64 - 1], "uint64").reshape(3, 1, 1)
    shift = np.zeros((3, 1, 1, 3))
    shift[..., 0] = 1
    moved = l2r.warp_labels(labels, shift)
    assert moved.ravel().tolist() == [2**63 + 5, 2**64 - 1, 0]
