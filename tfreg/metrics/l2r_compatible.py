"""The measures as the Learn2Reg evaluators take them, to compare with published numbers.

Read off the public evaluator, https://github.com/MDL-UzL/L2R, ``evaluation/evaluation.py`` and
``evaluation/utils.py`` at commit 8847509 (its output says ``eval_version`` 2.0), and the copy of
DeepMind's ``surface-distance`` in ``eval/``. Written anew from what these do. 3-D only.

Which commit scored which edition of the challenge (2020 to 2022) was not verified. Older files
(``evaluation/L2RTest/utils.py`` at ca0b1df) take displacements in mm of the fixed grid, and
``p s_fixed + u(p) - q s_moving`` for landmarks; the functions here take voxels, as later ones do.

The evaluator reports the plain mean over labels without NaN, and over cases.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import map_coordinates

from tfreg.metrics import fields
from tfreg.metrics._checks import (
    as_displacement,
    as_label_list,
    as_labels,
    as_mask,
    as_points,
    as_spacing,
)
from tfreg.metrics._corners import robust_hausdorff

BORDER = 2  # voxels dropped at each end before the Jacobian is looked at


def warp_labels(moving_labels: ArrayLike, displacement: ArrayLike) -> np.ndarray:
    """``moving(x + u(x))`` with SciPy's ``map_coordinates`` of order 0, and 0 beyond the image.

    Args:
        moving_labels: integer array ``(*spatial)``, 3-D.
        displacement: ``(*spatial, 3)`` in voxels, on the fixed grid.

    Returns:
        int64 array on the fixed grid; uint64 where the labels need it.

    Raises:
        ValueError: on shapes that are not 3-D, or labels that are no integers.

    Example:

    >>> import numpy as np
    >>> from tfreg.metrics import l2r_compatible
    >>> labels = np.arange(1, 5).reshape(4, 1, 1)
    >>> u = np.zeros((4, 1, 1, 3))
    >>> u[..., 0] = 1.0
    >>> l2r_compatible.warp_labels(labels, u).ravel().tolist()
    [2, 3, 4, 0]
    """
    field = _as_field(displacement)
    moving = _as_volume(moving_labels, "moving_labels")
    positions = np.indices(field.shape[:-1]) + np.moveaxis(field, -1, 0)
    ids, ranks = np.unique(moving, return_inverse=True)  # SciPy takes ids through float64
    ranks = ranks.reshape(moving.shape).astype("int32")
    return np.append(ids, ids.dtype.type(0))[map_coordinates(ranks, positions, order=0, cval=-1)]


def dice(
    fixed_labels: ArrayLike,
    moving_labels: ArrayLike,
    moved_labels: ArrayLike,
    labels: Sequence[int],
) -> dict[int, float]:
    """Dice per label; NaN for a label that the fixed or the *unmoved* moving map lacks.

    :func:`tfreg.metrics.dice` never looks at the moving map: there such a label has 0, or NaN if
    the fixed and the moved map both lack it.

    Args:
        fixed_labels: integer array ``(*spatial)``, 3-D.
        moving_labels: the moving label map before registration; it only says what to leave out.
        moved_labels: the moved label map on the fixed grid, of :func:`warp_labels`.
        labels: labels to measure; the evaluator has them from the configuration of the task.

    Returns:
        Dice per label, in the order of ``labels``.

    Raises:
        ValueError: on wrong shapes, or values or labels that are no integers.

    Example:

    >>> import numpy as np
    >>> from tfreg.metrics import l2r_compatible
    >>> fixed, moving, moved = np.zeros((3, 2, 2, 2), int)
    >>> fixed[0], moving[1], moved[0, 0] = 1, 1, 1
    >>> l2r_compatible.dice(fixed, moving, moved, labels=(1, 2))
    {1: 0.6666666666666666, 2: nan}
    """
    fixed, moved, present = _label_maps(fixed_labels, moving_labels, moved_labels, labels)
    scores = {}
    for label, there in present.items():
        scores[label] = float("nan")
        if there:
            a, b = fixed == label, moved == label
            scores[label] = float(2 * (a & b).sum() / (a.sum() + b.sum()))
    return scores


def hausdorff95(
    fixed_labels: ArrayLike,
    moving_labels: ArrayLike,
    moved_labels: ArrayLike,
    labels: Sequence[int],
) -> dict[int, float]:
    """95 % Hausdorff distance per label, in *voxels*: the evaluator takes a spacing of 1.

    The rule of ``surface-distance``: the points of a surface are the corners of voxels whose 2 x 2
    x 2 neighbours are neither all inside nor all outside (beyond the array is outside); each weighs
    the area of the marching-cubes surface around it. The percentile of a direction is the first
    sorted distance at which the share of the area reaches 95 %; the larger direction counts.
    :func:`tfreg.metrics.hausdorff95` differs in the unit (mm) and in the points (centres of faces,
    weighted with their area).

    Args:
        fixed_labels: integer array ``(*spatial)``, 3-D.
        moving_labels: the moving label map before registration; it only says what to leave out.
        moved_labels: the moved label map on the fixed grid, of :func:`warp_labels`.
        labels: labels to measure; the evaluator has them from the configuration of the task.

    Returns:
        Distance in voxels per label. NaN for a label that the fixed or the unmoved moving map
        lacks; infinity, as there, for one that only the moved map has lost.

    Raises:
        ValueError: on wrong shapes, or values or labels that are no integers.

    Example:

    >>> import numpy as np
    >>> from tfreg.metrics import l2r_compatible
    >>> fixed, moved = np.zeros((2, 9, 9, 9), int)
    >>> fixed[1:4, 2:6, 3:6], moved[4:7, 2:6, 3:6] = 1, 1
    >>> l2r_compatible.hausdorff95(fixed, fixed, moved, labels=(1,))
    {1: 3.0}

    Reference:
        Nikolov et al., Deep learning to achieve clinically applicable segmentation of head and neck
        anatomy for radiotherapy, arXiv:1809.04430, 2018.
    """
    fixed, moved, present = _label_maps(fixed_labels, moving_labels, moved_labels, labels)
    return {
        label: robust_hausdorff(fixed == label, moved == label) if there else float("nan")
        for label, there in present.items()
    }


def target_registration_error(
    fixed_points: ArrayLike,
    moving_points: ArrayLike,
    displacement: ArrayLike,
    spacing: Sequence[float] | None = None,
) -> np.ndarray:
    """``|p + u(p) - q|`` in mm, with ``u(p)`` from a cubic spline through the field.

    The evaluator samples with SciPy's default, order 3 and 0 beyond the grid: a landmark outside of
    the grid counts as not displaced. :func:`tfreg.metrics.target_registration_error` samples
    linearly, as images are warped, and refuses such a landmark.

    Args:
        fixed_points: ``(n, 3)`` in voxels of the fixed image, array-axis order.
        moving_points: ``(n, 3)`` in voxels of the moving image.
        displacement: ``(*spatial, 3)`` in voxels, on the fixed grid.
        spacing: mm per axis of the moving image. Default: 1.

    Returns:
        float64 array ``(n,)`` in mm; the evaluator reports its mean.

    Raises:
        ValueError: on wrong shapes or values that are not finite.

    Example:

    >>> import numpy as np
    >>> from tfreg.metrics import l2r_compatible
    >>> u = np.full((6, 6, 6, 3), (0.0, 0.0, 2.0))
    >>> pair = [[1.5, 2.0, 3.0]], [[1.5, 2.0, 3.0]]
    >>> l2r_compatible.target_registration_error(*pair, u, (1.0, 1.0, 2.5)).round(6).tolist()
    [5.0]
    """
    field = _as_field(displacement)
    fixed = as_points(fixed_points, "fixed_points", 3)
    moving = as_points(moving_points, "moving_points", 3, len(fixed))
    size = as_spacing(spacing, 3)
    moved = fixed + np.stack(
        [map_coordinates(field[..., axis], fixed.T, order=3) for axis in range(3)], axis=-1
    )
    return np.linalg.norm((moved - moving) * size, axis=1)


def sd_log_jacobian(displacement: ArrayLike, mask: ArrayLike | None = None) -> float:
    """Standard deviation of ``log(clip(det(I + grad u) + 3, 1e-9, 1e9))``.

    Central differences; 2 voxels at each end of each axis are dropped, of the mask as well. The
    determinant already has the identity in it, so the 3 shifts it to 4 for the zero field: values
    are smaller, by about a factor of 4 for mild deformations, than the standard deviation of
    ``log det`` that :func:`tfreg.metrics.sd_log_jacobian` gives, and folds hardly show.

    Args:
        displacement: ``(*spatial, 3)`` in voxels, at least 5 voxels per axis.
        mask: voxels to look at, boolean or 0 and 1, ``(*spatial)``; the evaluator has one for some
            tasks. Default: all.

    Returns:
        Population standard deviation (divided by ``n``), natural logarithm.

    Raises:
        ValueError: on wrong shapes, or if no voxel is left.

    Example:

    >>> import numpy as np
    >>> from tfreg.metrics import l2r_compatible
    >>> u = np.zeros((9, 6, 6, 3))
    >>> u[4:, ..., 0] = 2.0  # determinants 1, 2, 2, 1, 1 along the first axis
    >>> round(l2r_compatible.sd_log_jacobian(u), 4)
    0.1093

    Reference:
        Hering et al., Learn2Reg: comprehensive multi-task medical image registration challenge,
        dataset and evaluation in the era of deep learning, IEEE TMI 42(3), 2023.
    """
    determinant = _inner_determinant(displacement, mask)
    return float(np.log(np.clip(determinant + 3, 1e-9, 1e9)).std())


def folding_fraction(displacement: ArrayLike, mask: ArrayLike | None = None) -> float:
    """Share in percent of ``det(I + grad u) <= 0`` where the evaluator looks at determinants.

    This is not a number of the evaluator: its ``num_foldings`` counts values at or below 0 *after*
    the shift by 3 and the clip at 1e-9, which none is, so it is always 0. Here the determinants are
    counted before both. :func:`tfreg.metrics.folding_fraction` keeps the border.

    Args:
        displacement: ``(*spatial, 3)`` in voxels, at least 5 voxels per axis.
        mask: voxels to count, boolean or 0 and 1, ``(*spatial)``. Default: all.

    Returns:
        Percent of the voxels (of the mask), without the border of 2 voxels.

    Raises:
        ValueError: on wrong shapes, or if no voxel is left.

    Example:

    >>> import numpy as np
    >>> from tfreg.metrics import l2r_compatible
    >>> u = np.zeros((9, 6, 6, 3))
    >>> u[4:, ..., 0] = -4.0  # folds between planes 3 and 4, of 2 to 6
    >>> l2r_compatible.folding_fraction(u)
    40.0
    """
    return float(100 * np.mean(_inner_determinant(displacement, mask) <= 0))


def _inner_determinant(displacement: ArrayLike, mask: ArrayLike | None) -> np.ndarray:
    field = _as_field(displacement)
    if min(field.shape[:-1]) <= 2 * BORDER:
        raise ValueError(
            f"displacement must have at least {2 * BORDER + 1} voxels per axis. "
            f"Received: displacement.shape={field.shape}"
        )
    inner = (slice(BORDER, -BORDER),) * 3
    determinant = fields.jacobian_determinant(field)[inner]
    if mask is None:
        return determinant.ravel()
    inside = as_mask(mask, shape=field.shape[:-1])[inner]
    if not inside.any():
        raise ValueError(
            f"mask must have a voxel inside, further than {BORDER} from the border. "
            "Received: mask.sum()=0 there"
        )
    return determinant[inside]


def _as_field(displacement: ArrayLike) -> np.ndarray:
    field = as_displacement(displacement)
    if field.shape[-1] != 3:
        raise ValueError(
            f"displacement must be (*spatial, 3). Received: displacement.shape={field.shape}"
        )
    return field


def _as_volume(labels: ArrayLike, name: str) -> np.ndarray:
    volume = as_labels(labels, name)
    if volume.ndim != 3:
        raise ValueError(f"{name} must be 3-D. Received: {name}.shape={volume.shape}")
    return volume


def _label_maps(
    fixed_labels: ArrayLike,
    moving_labels: ArrayLike,
    moved_labels: ArrayLike,
    labels: Sequence[int],
) -> tuple[np.ndarray, np.ndarray, dict[int, bool]]:
    fixed = _as_volume(fixed_labels, "fixed_labels")
    moving = _as_volume(moving_labels, "moving_labels")
    moved = as_labels(moved_labels, "moved_labels", fixed.shape)
    known = set(np.unique(fixed).tolist()) & set(np.unique(moving).tolist())
    return fixed, moved, {label: label in known for label in as_label_list(labels)}
