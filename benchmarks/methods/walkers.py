"""Walks of agents, and the rigid registrations beside them, each as its users would have it."""

import contextlib
import functools
import importlib.util
import tempfile
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.cores import THREADS
from benchmarks.methods.worker import Worker, serve
from tfreg.errors import InputError, InputWarning
from tfreg.image import Image


class Found(NamedTuple):
    """One registration.

    Attributes:
        points: where it took the points, LPS mm.
        seconds: of the registration alone, warm.
        steps: of an agent, how many it took; else NaN.
        poses: of an agent, its way.
    """

    points: np.ndarray
    seconds: float
    steps: float = float("nan")
    poses: np.ndarray | None = None


class InSpace:
    """``tfreg.registration.register`` with fixed options, or no registration but a start.

    Args:
        name: of the line.
        masked: whether it sees the field of view.
        transform: of ``register``; ``None``: the start alone.
        options: of ``register``.
    """

    def __init__(
        self, name: str, masked: bool = False, transform: str | None = "rigid", **options: Any
    ) -> None:
        self.name, self.masked, self.transform, self.options = name, masked, transform, options

    def unavailable(self) -> None:
        """It can always run."""

    def register(self, case: Any) -> Found:
        """Registers one case; compiling is not in its seconds."""
        from tfreg.registration import register
        from tfreg.registration.space.alignment import initial_transform

        mask = case.fixed_mask if self.masked else None
        begin = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            if self.transform is None:
                start = initial_transform(self.options["initial"], case.fixed, case.moving)
                found = start.apply_points(case.points)
                return Found(found, time.perf_counter() - begin)
            answer = register(
                case.fixed, case.moving, self.transform, fixed_mask=mask, **self.options
            )
        return Found(answer.warp_points(case.points), answer.seconds)

    def close(self) -> None:
        """Holds nothing."""


class Walker:
    """A preset of the agent.

    Args:
        name: of the line.
        preset: its name, or its JSON file; ``None``: there is none.
        refine: as in ``register``.
    """

    def __init__(self, name: str, preset: str | Path | None, refine: int | str = 0) -> None:
        self.name, self.preset, self.refine = name, preset, refine

    def unavailable(self) -> str | None:
        """Whether it was trained."""
        return "left out, there are no weights." if self.preset is None else None

    def register(self, case: Any) -> Found:
        """Registers one case; the first of a size twice, so that it is warm."""
        from zoo.agent.setting import edge_of

        model, warm = _loaded(self.preset)
        answer = self._registered(model, case)
        sizes = (answer.inner.fixed, answer.inner.moving)
        kind = (bool(self.refine), *(edge_of(image.shape) for image in sizes))
        if kind not in warm:
            warm.add(kind)
            answer = self._registered(model, case)
        return Found(
            answer.warp_points(case.points),
            answer.seconds,
            float(np.sum(answer.inner.details["counts"])),
            answer.inner.steps,
        )

    def close(self) -> None:
        """Keeps the network: other lines and groups have what was compiled for it."""

    def _registered(self, model: Any, case: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            return model.register(case.fixed, case.moving, self.refine, fixed_mask=case.fixed_mask)


@functools.cache
def _loaded(preset: str | Path | None) -> tuple[Any, set[tuple]]:
    """The model of a preset, and for what it was compiled."""
    import zoo

    return zoo.load(preset, task="registration"), set()


class RigidTool:
    """elastix or ANTs in a warm worker of its own.

    Args:
        name: of the line.
        package: that must be installed.
        run: ``run(fixed, moving, mask, points, metric)`` answers points and seconds; a function of
            a module, as a new process must find it.
        masked: whether it sees the field of view.
        metric: of the tool.
    """

    def __init__(self, name: str, package: str, run: Callable, masked: bool, metric: str) -> None:
        self.name, self.package, self.masked, self.metric = name, package, masked, metric
        self.worker = Worker(_serve, (run,), THREADS, 300.0)

    def unavailable(self) -> str | None:
        """Whether its package is installed."""
        missing = importlib.util.find_spec(self.package) is None
        return f"skipped, {self.package} is not installed." if missing else None

    def register(self, case: Any) -> Found:
        """Registers one case."""
        mask = case.fixed_mask if self.masked else None
        return Found(*self.worker.ask((case.fixed, case.moving, mask, case.points, self.metric)))

    def close(self) -> None:
        """Ends the worker."""
        self.worker.close()


def elastix(masked: bool, metric: str = "ncc") -> RigidTool:
    """elastix: rigid, four resolutions, 500 iterations each, 4096 new random samples."""
    name = "elastix rigid" + (" masked" if masked else "") + ("" if metric == "ncc" else " mi")
    return RigidTool(name, "itk", _elastix, masked, metric)


def ants(masked: bool) -> RigidTool:
    """ANTs: rigid, Mattes mutual information, its default schedule."""
    return RigidTool("ants rigid" + (" masked" if masked else ""), "ants", _ants, masked, "mattes")


def _serve(pipe: Connection, run: Callable) -> None:
    serve(pipe, lambda question: run(*question))


def parameters(metric: str) -> dict[str, list[str]]:
    """The parameter map of elastix."""
    from benchmarks.methods.elastix import Settings

    common = Settings(500, levels=4, samples=4096, affine=True).parameters(3)[0]
    metrics = {"ncc": "AdvancedNormalizedCorrelation", "mi": "AdvancedMattesMutualInformation"}
    return {
        **common,
        "Transform": ["EulerTransform"],
        "Metric": [metrics[metric]],
        "AutomaticScalesEstimation": ["true"],
    }


def _elastix(
    fixed: Image, moving: Image, mask: Image | None, points: np.ndarray, metric: str
) -> tuple[np.ndarray, float]:
    import itk

    from tfreg import transforms

    own = itk.ParameterObject.New()
    own.AddParameterMap(parameters(metric))
    images = [_itk(itk, image) for image in (fixed, moving)]
    given = {} if mask is None else {"fixed_mask": _itk(itk, mask)}
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        _, found = itk.elastix_registration_method(
            *images,
            parameter_object=own,
            log_to_console=False,
            output_directory=folder,
            **given,
        )
        seconds = time.perf_counter() - begin
        path = Path(folder) / "found.txt"
        found.WriteParameterFile(str(path))
        return transforms.load(path).apply_points(points), seconds


def _itk(itk: Any, image: Image) -> Any:
    found = itk.image_from_array(np.ascontiguousarray(image.array))
    geometry = image.geometry
    found.SetSpacing(list(geometry.spacing))
    found.SetOrigin(list(geometry.origin))
    found.SetDirection(itk.matrix_from_array(np.array(geometry.direction)))
    return found


def _ants(
    fixed: Image, moving: Image, mask: Image | None, points: np.ndarray, metric: str
) -> tuple[np.ndarray, float]:
    import ants as tool

    from tfreg import transforms

    tool.config._random_seed = 1
    images = [_in_ants(tool, image) for image in (fixed, moving)]
    options: dict[str, Any] = {"aff_metric": metric, "initial_transform": "Identity"}
    if mask is not None:
        options |= {"mask": _in_ants(tool, mask), "mask_all_stages": True}
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(OSError):
        begin = time.perf_counter()
        answer = tool.registration(
            *images, "Rigid", outprefix=str(Path(folder) / "ants"), **options
        )
        seconds = time.perf_counter() - begin
        found = transforms.load(answer["fwdtransforms"][0])
        return found.apply_points(points), seconds
    raise InputError("ANTs left no transform.")


def _in_ants(tool: Any, image: Image) -> Any:
    geometry = image.geometry
    return tool.from_numpy(
        image.array.astype("float32").T,
        origin=list(geometry.origin),
        spacing=list(geometry.spacing),
        direction=np.array(geometry.direction),
    )
