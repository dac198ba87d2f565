"""A pair as images of SimpleITK, an affine registration of it, and maps between the two."""

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.pairs import Pair


def images(pair: Pair) -> list[Any]:
    """The fixed and the moving image in mm, the start as a shift of the moving one."""
    import SimpleITK as sitk

    spacing = np.array(pair.spacing, float)
    start = np.zeros(len(spacing)) if pair.start is None else np.array(pair.start)
    found = []
    for array, shift in ((pair.fixed, 0 * start), (pair.moving, -start * spacing)):
        image = sitk.GetImageFromArray(array.astype("float32"))
        image.SetSpacing([float(s) for s in spacing[::-1]])
        image.SetOrigin([float(o) for o in shift[::-1]])
        found.append(image)
    return found


def mask(pair: Pair, fixed: Any, dtype: str = "uint8") -> Any | None:
    """The mask of the fixed image, where there is one.

    Args:
        pair: whose.
        fixed: its fixed image, of :func:`images`.
        dtype: of its voxels.
    """
    import SimpleITK as sitk

    if pair.fixed_mask is None:
        return None
    found = sitk.GetImageFromArray(pair.fixed_mask.astype(dtype))
    found.CopyInformation(fixed)
    return found


def displacement(pair: Pair, field: np.ndarray) -> np.ndarray:
    """The displacement in voxels of a field in mm, components x, y, z, of those images."""
    start = 0.0 if pair.start is None else np.array(pair.start)
    return field[..., ::-1] / np.array(pair.spacing) + start


def affine(pair: Pair, threads: int) -> Any:
    """An affine transform of SimpleITK, from fixed to moving mm.

    Correlation on a fifth of the voxels, regular steps with estimated scales, three levels, from
    the identity, about the middle of the fixed image.
    """
    import SimpleITK as sitk

    fixed, moving = images(pair)
    method = sitk.ImageRegistrationMethod()
    method.SetGlobalDefaultNumberOfThreads(threads)
    method.SetMetricAsCorrelation()
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.2, 1)
    looked_at = mask(pair, fixed)
    if looked_at is not None:
        method.SetMetricFixedMask(looked_at)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 100)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([4, 2, 0])
    centre = fixed.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in fixed.GetSize()])
    start = sitk.AffineTransform(fixed.GetDimension())
    start.SetCenter(centre)
    method.SetInitialTransform(start, inPlace=True)
    method.Execute(fixed, moving)
    return start


def moved(pair: Pair, transform: Any, mask: bool = False) -> np.ndarray:
    """The moving image on the grid of the fixed one, by a transform, linearly.

    Args:
        pair: the images.
        transform: from fixed to moving mm.
        mask: the mask of the moving image instead, by the nearest voxel, 0 outside.
    """
    import SimpleITK as sitk

    shown = replace(pair, moving=pair.moving_mask) if mask else pair
    fixed, moving = images(shown)
    order = sitk.sitkNearestNeighbor if mask else sitk.sitkLinear
    outside = 0.0 if mask else float(pair.moving.min())
    return sitk.GetArrayFromImage(sitk.Resample(moving, fixed, transform, order, outside))


def composed(pair: Pair, field: np.ndarray, transform: Any) -> np.ndarray:
    """The displacement in voxels of going along a field and then along a matrix transform.

    Args:
        pair: the images.
        field: ``(*spatial, ndim)`` in voxels of the fixed image, array order.
        transform: from fixed to moving mm, linear.
    """
    spacing = np.array(pair.spacing, float)
    start = 0.0 if pair.start is None else np.array(pair.start)
    grid = np.moveaxis(np.indices(field.shape[:-1], dtype="float64"), 0, -1)
    mm = (grid + field) * spacing
    turn = np.array(transform.GetMatrix()).reshape(len(spacing), -1)[::-1, ::-1]
    centre = np.array(transform.GetCenter())[::-1]
    shift = np.array(transform.GetTranslation())[::-1]
    there = (mm - centre) @ turn.T + centre + shift
    return there / spacing + start - grid
