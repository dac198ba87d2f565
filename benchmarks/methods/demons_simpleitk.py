"""SimpleITK's diffeomorphic demons as a contender, coarse to fine as its examples do it."""

import time
from collections.abc import Sequence

import numpy as np

from benchmarks import evaluate
from benchmarks.methods.contender import Answer
from benchmarks.methods.described import affine_of
from benchmarks.pairs import Pair

ABOUT = "demons simpleitk: DiffeomorphicDemonsRegistrationFilter, its own defaults"


class DemonsSimpleITK:
    """From the affine registration that our demons start from, on the image that it moved.

    Args:
        name: of the line.
        shrink, steps, sigma: of :func:`tfreg.registration.demons`.
    """

    ours = False

    def __init__(
        self, name: str, shrink: Sequence[int], steps: Sequence[int], sigma: float = 1.0
    ) -> None:
        self.name = name
        self.levels = tuple(zip(shrink, steps, strict=True))
        self.sigma = sigma

    def unavailable(self) -> None:
        """It is one of our own dependencies."""

    def warm(self, pair: Pair) -> None:
        """Loads it, and finds the affine registration."""
        affine_of(pair)
        self.register(pair.small())

    def register(self, pair: Pair) -> Answer:
        """Registers one pair; the affine registration is not in its seconds."""
        start = affine_of(pair)
        moved = evaluate.warp(pair.moving, start)
        begin = time.perf_counter()
        field = self._demons(pair.fixed, moved, pair.spacing)
        seconds = time.perf_counter() - begin
        return Answer(composed(start, field), seconds)

    def close(self) -> None:
        """Holds nothing."""

    def _demons(
        self, fixed: np.ndarray, moving: np.ndarray, spacing: Sequence[float]
    ) -> np.ndarray:
        """The displacement in voxels."""
        import SimpleITK as sitk

        # It takes differences below 0.001 for none: intensities of unit deviation, as ours.
        both = np.concatenate([fixed.ravel(), moving.ravel()])
        mean, deviation = both.mean(), max(float(both.std()), 1e-12)
        images = []
        for array in (fixed, moving):
            image = sitk.GetImageFromArray(((array - mean) / deviation).astype("float32"))
            image.SetSpacing([float(s) for s in spacing[::-1]])
            images.append(image)
        field = None
        fitting = [one for one in self.levels[:-1] if min(fixed.shape) // one[0] >= 12]
        for factor, steps in (*fitting, self.levels[-1]):
            small = images
            if factor > 1:
                sigmas = [0.5 * factor * s for s in spacing[::-1]]
                small = [
                    sitk.Shrink(sitk.SmoothingRecursiveGaussian(i, sigmas), [factor] * fixed.ndim)
                    for i in images
                ]
            method = sitk.DiffeomorphicDemonsRegistrationFilter()
            method.SetNumberOfIterations(steps)
            method.SetStandardDeviations(self.sigma)
            method.SetMaximumRMSError(0.0)
            before = () if field is None else (sitk.Resample(field, small[0]),)
            field = method.Execute(*small, *before)
        field = sitk.Resample(field, images[0])
        return sitk.GetArrayFromImage(field)[..., ::-1] / np.array(spacing)


def composed(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """``inner(x) + outer(x + inner(x))``, linear, clamped at the border."""
    parts = [evaluate.warp(outer[..., axis], inner) for axis in range(outer.shape[-1])]
    return inner + np.stack(parts, axis=-1)
