import subprocess
import sys

import numpy as np
import pytest
from shapes import box

from tfreg import metrics
from tfreg.metrics import l2r_compatible as l2r


def test_it_needs_neither_keras_nor_tensorflow():
    code = "import sys, tfreg.metrics; print(*{'keras', 'tensorflow', 'jax'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == ""


FIELD2, FIELD3 = np.zeros((5, 6, 2)), np.zeros((5, 6, 7, 3))
LABEL3 = np.ones((5, 6, 7), int)
NAN2 = np.full((5, 6, 2), np.nan)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: metrics.dice([1, 2], [1, 2, 3]), "moved_labels.shape"),
        (lambda: metrics.dice([1.5, 2], [1, 2]), "fixed_labels.dtype=float64"),
        (lambda: metrics.dice([1, 2], [1, np.nan]), "moved_labels.dtype"),
        (lambda: metrics.dice([1, 2], np.ma.masked_equal([1, 2], 2)), "1 masked values of 2"),
        (lambda: metrics.hausdorff95(LABEL3, np.ma.masked_equal(LABEL3, 1)), "210 masked values"),
        (lambda: metrics.jacobian_determinant(np.ma.masked_equal(FIELD2, 0)), "60 masked values"),
        (lambda: metrics.dice([1, 2], [1, 2.0**60]), r"moved_labels.max\(\)=1.15292e\+18"),
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
