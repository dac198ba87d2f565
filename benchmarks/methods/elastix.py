"""elastix in a worker process of its own: warm before the clock starts, replaceable after a crash.

Importing ITK takes seconds and a crash inside it ends the process, so a worker that has loaded
everything answers pair by pair. Its time is taken inside it, around the registration alone: sending
the images and making the displacement field are not charged to elastix.
"""

import contextlib
import importlib.util
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cores import THREADS
from benchmarks.methods.contender import Answer
from benchmarks.methods.worker import PEAK, Worker, WorkerError, held
from benchmarks.pairs import Pair, confined


@dataclass(frozen=True)
class Settings:
    """A B-spline registration of elastix.

    Attributes:
        iterations: iterations per resolution level.
        spacing: final grid spacing, in the unit of the images (voxels where they have no size).
        levels: resolution levels, each half the size of the next.
        threads: threads that ITK may use; all cores by default.
        seed: elastix' ``RandomSeed``.
        samples: random samples per iteration, new ones every time; ``None``: every voxel.
        affine: whether an affine registration goes before.
        thick_slices: whether the levels smooth within slices only, not along the first axis.
        bending: weight of a penalty on the bending energy of the B-splines beside the similarity;
            0: none.
        information: whether it compares by Mattes' mutual information, of 32 bins, in place of NCC.
        default: elastix' own default maps as they come (for B-splines Mattes MI and a penalty on
            bending, 256 iterations, 2048 samples, four levels); of the above they take ``affine``,
            threads and seed only.
    """

    iterations: int = 500
    spacing: float = 8
    levels: int = 2
    threads: int = THREADS
    seed: int = 1
    samples: int | None = None
    affine: bool = False
    default: bool = False
    thick_slices: bool = False
    bending: float = 0.0
    information: bool = False

    def parameters(self, ndim: int) -> list[dict[str, list[str]]]:
        """The parameter maps, one per transform.

        NCC or MI, adaptive stochastic gradient descent with its step sizes estimated from the
        images (elastix' own default), linear interpolation.
        """
        sampler = {"ImageSampler": ["Full"], "NewSamplesEveryIteration": ["false"]}
        if self.samples is not None:
            sampler = {
                "ImageSampler": ["RandomCoordinate"],
                "NumberOfSpatialSamples": [str(self.samples)],
                "NewSamplesEveryIteration": ["true"],
            }
        metric = {"Metric": ["AdvancedNormalizedCorrelation"]}
        if self.information:
            metric = {
                "Metric": ["AdvancedMattesMutualInformation"],
                "NumberOfHistogramBins": ["32"],
            }
        common = {
            "Registration": ["MultiResolutionRegistration"],
            "FixedImagePyramid": ["FixedSmoothingImagePyramid"],
            "MovingImagePyramid": ["MovingSmoothingImagePyramid"],
            "NumberOfResolutions": [str(self.levels)],
            **self._schedule(ndim),
            "HowToCombineTransforms": ["Compose"],
            **metric,
            **sampler,
            "Optimizer": ["AdaptiveStochasticGradientDescent"],
            "AutomaticParameterEstimation": ["true"],
            "AutomaticTransformInitialization": ["false"],
            "MaximumNumberOfIterations": [str(self.iterations)],
            "Interpolator": ["LinearInterpolator"],
            "ResampleInterpolator": ["FinalBSplineInterpolator"],
            "FinalBSplineInterpolationOrder": ["1"],
            "Resampler": ["DefaultResampler"],
            "DefaultPixelValue": ["0"],
            "RequiredRatioOfValidSamples": ["0.05"],
            "ErodeMask": ["false"],
            "FixedInternalImagePixelType": ["float"],
            "MovingInternalImagePixelType": ["float"],
            "ResultImagePixelType": ["float"],
            "UseDirectionCosines": ["true"],
            "WriteResultImage": ["false"],
            "RandomSeed": [str(self.seed)],
        }
        spline = {
            **common,
            "Transform": ["BSplineTransform"],
            "BSplineTransformSplineOrder": ["3"],
            "FinalGridSpacingInPhysicalUnits": [f"{self.spacing:g}"] * ndim,
        }
        if self.bending:
            spline |= {
                "Registration": ["MultiMetricMultiResolutionRegistration"],
                "Metric": [*common["Metric"], "TransformBendingEnergyPenalty"],
                "Metric0Weight": ["1"],
                "Metric1Weight": [f"{self.bending:g}"],
            }
        affine = {**common, "Transform": ["AffineTransform"], "AutomaticScalesEstimation": ["true"]}
        return [affine, spline] if self.affine else [spline]

    def _schedule(self, ndim: int) -> dict[str, list[str]]:
        """Factors of every level, the first axis of arrays last; elastix' own halve all axes."""
        if not self.thick_slices:
            return {}
        factors = [2**level for level in reversed(range(self.levels))]
        return {"ImagePyramidSchedule": [str(f) for k in factors for f in [k] * (ndim - 1) + [1]]}


class Elastix:
    """elastix with one set of settings.

    Args:
        name: of the line.
        settings: how to register.
        in_voxels: whether the spacing of the grid is in voxels, whatever their size.
        in_pixels: whether it counts the voxels along the last axis, of images that keep their size.
        confined: whether it sees a pair as :func:`benchmarks.pairs.confined` shows it.
        timeout: seconds that a pair may take.
    """

    ours = False

    def __init__(
        self,
        name: str,
        settings: Settings,
        in_voxels: bool = False,
        in_pixels: bool = False,
        confined: bool = False,
        timeout: float = 1200.0,
    ) -> None:
        self.name = name
        self.settings = settings
        self.in_voxels, self.in_pixels, self.confined = in_voxels, in_pixels, confined
        # Passing the number of threads to the call crashes itk-elastix 0.25.
        self.worker = Worker(_serve, (), settings.threads, timeout)

    def unavailable(self) -> str | None:
        """Whether itk-elastix is installed."""
        missing = importlib.util.find_spec("itk") is None
        return "skipped, itk-elastix is not installed." if missing else None

    def warm(self, pair: Pair) -> None:
        """Loads ITK, by registering a small part of the pair."""
        with contextlib.suppress(WorkerError):
            self.register(pair.small())

    def register(self, pair: Pair) -> Answer:
        """Registers one pair, from its start, within the mask of its fixed image."""
        return Answer(*self._ask(pair)[:2])

    def cold(self, pair: Pair) -> tuple[float, float]:
        """From a fresh worker; its seconds are those of the whole way."""
        self.close()
        begin = time.perf_counter()
        *_, peak = self._ask(pair)
        return time.perf_counter() - begin, peak

    def peak_mib(self) -> float | None:
        """The peak of the worker's memory."""
        return self.worker.peak_mib()

    def close(self) -> None:
        """Ends the worker."""
        self.worker.close()

    def _ask(self, pair: Pair) -> tuple[np.ndarray, float, float]:
        shown = confined(pair) if self.confined else pair
        settings, spacing = self.settings, None if self.in_voxels else pair.spacing
        if self.in_pixels:
            settings = replace(settings, spacing=settings.spacing * pair.spacing[-1])
        images = shown.fixed.astype("float32"), shown.moving.astype("float32")
        return self.worker.ask((settings, *images, spacing, shown.fixed_mask, shown.start))


def _serve(pipe: Connection) -> None:
    import itk

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # transformix leaves a copy of the field where it runs
        while True:
            try:
                question = pipe.recv()
            except EOFError:
                return
            if question == PEAK:
                pipe.send(held())
                continue
            try:
                displacement, seconds = _register(itk, Path(folder), *question)
                pipe.send((displacement, seconds, held()))
            except RuntimeError as error:
                pipe.send(_reason(Path(folder), error))


def _register(
    itk: Any,
    folder: Path,
    settings: Settings,
    fixed: np.ndarray,
    moving: np.ndarray,
    spacing: Sequence[float] | None,
    fixed_mask: np.ndarray | None,
    start: Sequence[float] | None,
) -> tuple[np.ndarray, float]:
    # ITK orders axes and components x, y(, z); array axes run the other way.
    spacing = np.ones(fixed.ndim) if spacing is None else np.array(spacing, float)
    start = np.zeros(fixed.ndim) if start is None else np.array(start, float)
    parameters = itk.ParameterObject.New()
    if settings.default:
        for stage in ("affine", "bspline") if settings.affine else ("bspline",):
            default = parameters.GetDefaultParameterMap(stage)
            default["RandomSeed"] = [str(settings.seed)]
            default["WriteResultImage"] = ["false"]
            parameters.AddParameterMap(default)
    else:
        for stage in settings.parameters(fixed.ndim):
            parameters.AddParameterMap(stage)
    images = [itk.image_from_array(array) for array in (fixed, moving)]
    for image in images:
        image.SetSpacing([float(s) for s in spacing[::-1]])
    # Shifted, so that the start is the identity.
    images[1].SetOrigin([float(o) for o in (-start * spacing)[::-1]])
    masks = {}
    if fixed_mask is not None:
        masks["fixed_mask"] = itk.image_from_array(fixed_mask.astype("uint8"))
        masks["fixed_mask"].SetSpacing([float(s) for s in spacing[::-1]])
    begin = time.perf_counter()
    _, transform = itk.elastix_registration_method(
        *images,
        parameter_object=parameters,
        log_to_console=False,
        log_to_file=True,
        log_file_name="elastix.log",
        output_directory=str(folder),
        **masks,
    )
    seconds = time.perf_counter() - begin
    field = itk.transformix_deformation_field(images[1], transform, log_to_console=False)
    return itk.array_from_image(field)[..., ::-1] / spacing + start, seconds


def _reason(folder: Path, error: Exception) -> str:
    with contextlib.suppress(OSError):
        lines = (folder / "elastix.log").read_text(errors="replace").splitlines()
        telling = [line.strip() for line in lines if "rror" in line or "too many" in line.lower()]
        if telling:
            return telling[-1]
    return str(error).strip().splitlines()[-1]
