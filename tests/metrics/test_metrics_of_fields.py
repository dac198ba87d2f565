import numpy as np
import pytest
import SimpleITK as sitk
from shapes import MATRIX, OFFSET, SPACING, affine

from tfreg import metrics, ops


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
