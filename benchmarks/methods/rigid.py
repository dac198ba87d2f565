"""What registers two images in physical space rigidly, wherever they stand, each by its own means.

All answer where they take points of the fixed image, LPS mm, and seconds of the registration.
"""

import contextlib
import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.cores import THREADS
from benchmarks.methods.worker import Worker, WorkerError, serve

if TYPE_CHECKING:
    from benchmarks.placed import Placed


DEGREES = 45.0  # with 90 it takes 40 s of one core for a pair of brains, with 20 many minutes


class Moved(NamedTuple):
    """Points of the fixed image where a method takes them, and its seconds."""

    points: np.ndarray
    seconds: float | None


class Ours:
    """``tfreg.registration.register`` with one initial alignment.

    Args:
        name: of the line.
        initial: as ``register`` takes it.
    """

    ours = True

    def __init__(self, name: str, initial: str) -> None:
        self.name, self.initial = name, initial

    def unavailable(self) -> None:
        """It can always run."""

    def warm(self, pair: "Placed") -> None:
        """Compiles for the sizes of a pair."""
        self.register(pair)

    def register(self, pair: "Placed") -> Moved:
        """Registers one pair; compiling is not in its seconds.

        Raises:
            WorkerError: where it refuses, so that all methods fail in one way.
        """
        import warnings

        from tfreg.errors import InputError, InputWarning
        from tfreg.registration import register

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", InputWarning)  # a far start is meant
                found = register(pair.fixed, pair.moving, "rigid", initial=self.initial)
        except InputError as error:
            raise WorkerError(str(error)) from error
        return Moved(found.warp_points(pair.fixed_points), found.seconds)

    def close(self) -> None:
        """Holds nothing."""


class Elsewhere:
    """A tool in a warm process of its own.

    Args:
        name: of the line.
        package: that must be installed.
        run: ``run(fixed, moving, points, how)`` answers moved points and seconds.
        how: the tool's own initialiser.
        most: starts of a kind with which it can be run, since it takes minutes for each; ``None``:
            any.
    """

    ours = False

    def __init__(
        self, name: str, package: str, run: Callable, how: str, most: int | None = None
    ) -> None:
        self.name, self.package, self.most = name, package, most
        self.worker = Worker(_serve, (run, how), THREADS, timeout=1200.0)

    def unavailable(self) -> str | None:
        """Whether its package is installed."""
        missing = importlib.util.find_spec(self.package) is None
        return f"skipped, {self.package} is not installed." if missing else None

    def warm(self, pair: "Placed") -> None:
        """Loads the package, by registering a pair."""
        with contextlib.suppress(WorkerError):
            self.register(pair)

    def register(self, pair: "Placed") -> Moved:
        """Registers one pair.

        Raises:
            WorkerError: if it fails.
        """
        return Moved(*self.worker.ask((pair.fixed, pair.moving, pair.fixed_points)))

    def close(self) -> None:
        """Ends the worker."""
        self.worker.close()


def _serve(pipe: Any, run: Callable, how: str) -> None:
    serve(pipe, lambda question: run(*question, how))


def elastix(fixed: Any, moving: Any, points: np.ndarray, how: str) -> tuple[np.ndarray, float]:
    """Rigid, its default map (four levels, 256 iterations) with NCC and its automatic initialiser.

    Args:
        fixed, moving: the images.
        points: ``(n, 3)`` to be moved.
        how: its ``AutomaticTransformInitializationMethod``.
    """
    import itk
    import SimpleITK as sitk

    images = []
    for image in (fixed, moving):
        one = itk.image_from_array(image.array.astype("float32"))
        one.SetSpacing(list(image.geometry.spacing))
        one.SetOrigin(list(image.geometry.origin))
        one.SetDirection(itk.matrix_from_array(np.array(image.geometry.direction)))
        images.append(one)
    parameters = itk.ParameterObject.New()
    settings = parameters.GetDefaultParameterMap("rigid")
    for name, value in (
        ("Metric", "AdvancedNormalizedCorrelation"),
        ("AutomaticTransformInitialization", "true"),
        ("AutomaticTransformInitializationMethod", how),
        ("RandomSeed", "1"),
        ("WriteResultImage", "false"),
    ):
        settings[name] = [value]
    parameters.AddParameterMap(settings)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        _, found = itk.elastix_registration_method(
            *images, parameter_object=parameters, log_to_console=False, output_directory=folder
        )
        seconds = time.perf_counter() - begin
    answer = found.GetParameterMap(0)
    angles = [float(v) for v in answer["TransformParameters"]]
    centre = [float(v) for v in answer["CenterOfRotationPoint"]]
    transform = sitk.Euler3DTransform(centre, *angles[:3], angles[3:])
    turned = dict(answer).get("ComputeZYX", ["false"])
    transform.SetComputeZYX(turned[0] == "true")
    return np.array([transform.TransformPoint(list(map(float, p))) for p in points]), seconds


def ants(fixed: Any, moving: Any, points: np.ndarray, how: str) -> tuple[np.ndarray, float]:
    """Rigid with Mattes MI, as it comes, from the centres of mass or its ``affine_initializer``.

    Args:
        fixed, moving: the images.
        points: ``(n, 3)`` to be moved.
        how: ``"mass"`` (its default) or ``"affine_initializer"``: every :data:`DEGREES` of the
            whole circle.
    """
    import ants

    ants.config._random_seed = 1
    images = [
        ants.from_numpy(
            image.array.astype("float32").T,
            origin=list(image.geometry.origin),
            spacing=list(image.geometry.spacing),
            direction=np.array(image.geometry.direction),
        )
        for image in (fixed, moving)
    ]
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        options: dict[str, Any] = {}
        if how == "affine_initializer":
            options["initial_transform"] = ants.affine_initializer(
                *images,
                search_factor=DEGREES,
                radian_fraction=1.0,
                txfn=str(Path(folder, "initial.mat")),
            )
        answer = ants.registration(*images, "Rigid", outprefix=f"{folder}/ants", **options)
        seconds = time.perf_counter() - begin
        moved = np.asarray(points, "float64")
        # A point of the fixed image goes through the last one first, as in antsApplyTransforms.
        for name in reversed(answer["fwdtransforms"]):
            transform = ants.read_transform(name)
            moved = np.array([transform.apply_to_point(tuple(p)) for p in moved])
    return moved, seconds
