"""Implementations of resampling: tfreg, torch, SciPy, SimpleITK, and the floor.

A method answers, for a case and an operation, a function of no arguments that does the work on
inputs prepared beforehand, in the form that suits that library best (a sampling grid for torch,
coordinates for SciPy, an ITK transform for SimpleITK): the clock covers the resampling alone.
"""

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.cores import THREADS

OPERATIONS = ("linear", "linear + gradient", "cubic", "cubic + gradient", "catmull-rom")
SPLINE = "spline"  # control points to a dense displacement, in the one 2-D case that asks for it


class NotOffered(Exception):
    """The library has no such operation."""


@dataclass(frozen=True)
class Case:
    """The size of a problem.

    Attributes:
        shape: spatial shape.
        batch: number of images.
        operations: what is measured on it.
    """

    shape: tuple[int, ...]
    batch: int = 1
    operations: tuple[str, ...] = OPERATIONS

    @property
    def name(self) -> str:
        """As in ``128^3`` or ``28^2 x 256``."""
        times = f" x {self.batch}" if self.batch > 1 else ""
        return f"{self.shape[0]}^{len(self.shape)}{times}"

    @property
    def voxels(self) -> int:
        """Voxels of all images."""
        return self.batch * int(np.prod(self.shape))

    def inputs(self, seed: int) -> dict[str, np.ndarray]:
        """Noise, a smooth displacement that stays inside the image, and an upstream gradient.

        The largest displacement is a twentieth of the axis; all float32.
        """
        from scipy.ndimage import gaussian_filter

        rng = np.random.default_rng(seed)
        ndim = len(self.shape)
        image = rng.random((self.batch, *self.shape, 1), dtype="float32")
        upstream = rng.random((self.batch, *self.shape, 1), dtype="float32")
        # One smooth field for all images of the batch: only its size matters here.
        field = np.empty((*self.shape, ndim), "float32")
        for axis, size in enumerate(self.shape):
            part = gaussian_filter(rng.random(self.shape, dtype="float32") - 0.5, size / 16)
            part *= 0.05 * size / np.abs(part).max()
            index = np.arange(size, dtype="float32")
            index = index.reshape([-1 if a == axis else 1 for a in range(ndim)])
            field[..., axis] = np.clip(index + part, 0, size - 1) - index
        displacement = np.broadcast_to(field, (self.batch, *field.shape)).copy()
        control = rng.random((self.batch, *(16,) * ndim, ndim), dtype="float32")
        return {
            "image": image,
            "displacement": displacement,
            "upstream": upstream,
            "control": control,
        }


class Tfreg:
    """``tfreg.ops`` on a backend of Keras."""

    def __init__(self, backend: str, islands: bool = True) -> None:
        os.environ["KERAS_BACKEND"] = backend
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import contextlib

        import keras

        from tfreg import ops

        self._ops, self._keras = ops, keras.ops
        self._scope = contextlib.nullcontext if islands else ops.uncompiled

    def prepare(self, inputs: dict[str, np.ndarray], operation: str) -> Callable[[], Any]:
        """The operation on these inputs."""
        ops, keras_ops = self._ops, self._keras
        name, _, gradient = operation.partition(" + ")
        if operation == SPLINE:
            control = keras_ops.convert_to_tensor(inputs["control"])
            spacing = tuple(n // 16 for n in inputs["image"].shape[1:-1])
            spline = ops.graph(lambda c: ops.bspline_displacement(c, spacing))
            return lambda: self._wait(self._call(spline, control))
        keys = ("image", "displacement", "upstream") if gradient else ("image", "displacement")
        tensors = [keras_ops.convert_to_tensor(inputs[key]) for key in keys]
        if not gradient:
            warp = ops.graph(lambda image, u: ops.resample(image, u, name))
            return lambda: self._wait(self._call(warp, *tensors))

        def forward_and_gradient(image: Any, displacement: Any, upstream: Any) -> Any:
            def projected(u: Any) -> Any:
                moved = ops.resample(image, u, name)
                return keras_ops.sum(moved * upstream, axis=tuple(range(1, len(image.shape))))

            return ops.value_and_gradient(projected, displacement)

        both = ops.graph(forward_and_gradient)
        return lambda: self._wait(self._call(both, *tensors))

    def _call(self, function: Callable, *tensors: Any) -> Any:
        with self._scope():
            return function(*tensors)

    @staticmethod
    def _wait(result: Any) -> Any:
        last = result[-1] if isinstance(result, tuple) else result
        if hasattr(last, "block_until_ready"):
            last.block_until_ready()
        return last


class SciPy:
    """``scipy.ndimage.map_coordinates``, one image after the other; it has no gradient."""

    def prepare(self, inputs: dict[str, np.ndarray], operation: str) -> Callable[[], Any]:
        """The operation on these inputs."""
        from scipy.ndimage import map_coordinates

        orders = {"linear": 1, "cubic": 3}
        if operation not in orders:
            raise NotOffered
        images = inputs["image"][..., 0]
        grid = np.indices(images.shape[1:], "float32")
        points = [grid + np.moveaxis(u, -1, 0) for u in inputs["displacement"]]
        order = orders[operation]

        def run() -> np.ndarray:
            pairs = zip(images, points, strict=True)
            return np.stack([map_coordinates(i, p, order=order, mode="mirror") for i, p in pairs])

        return run


class SimpleITK:
    """``SimpleITK.Resample`` with a displacement field, one image after the other."""

    def prepare(self, inputs: dict[str, np.ndarray], operation: str) -> Callable[[], Any]:
        """The operation on these inputs."""
        import SimpleITK as sitk

        kinds = {"linear": sitk.sitkLinear, "cubic": sitk.sitkBSpline}
        if operation not in kinds:
            raise NotOffered
        images = [sitk.GetImageFromArray(image[..., 0]) for image in inputs["image"]]
        transforms = []
        for displacement in inputs["displacement"]:
            field = displacement[..., ::-1].astype("float64")
            field = sitk.GetImageFromArray(field, isVector=True)
            transforms.append(sitk.DisplacementFieldTransform(field))
        kind = kinds[operation]

        def run() -> list[Any]:
            pairs = zip(images, transforms, strict=True)
            return [sitk.Resample(image, image, t, kind, 0.0) for image, t in pairs]

        def arrays() -> np.ndarray:
            return np.stack([sitk.GetArrayFromImage(image) for image in run()])

        run.result = arrays
        return run


class Torch:
    """``torch.nn.functional.grid_sample`` on a grid prepared beforehand.

    Its bicubic kernel (2-D only) is the convolution of parameter -3/4, where Catmull-Rom's is -1/2.
    """

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(THREADS)
        self._torch = torch

    def prepare(self, inputs: dict[str, np.ndarray], operation: str) -> Callable[[], Any]:
        """The operation on these inputs."""
        torch = self._torch
        name, _, gradient = operation.partition(" + ")
        ndim = inputs["image"].ndim - 2
        modes = {"linear": "bilinear", **({"catmull-rom": "bicubic"} if ndim == 2 else {})}
        if name not in modes:
            raise NotOffered
        half = (np.array(inputs["image"].shape[1:-1], "float32") - 1) / 2
        grid = np.moveaxis(np.indices(inputs["image"].shape[1:-1], "float32"), 0, -1)
        where = (grid + inputs["displacement"]) / half - 1
        where = torch.tensor(np.ascontiguousarray(where[..., ::-1]), requires_grad=bool(gradient))
        image, upstream = (
            torch.tensor(np.moveaxis(inputs[key], -1, 1).copy()) for key in ("image", "upstream")
        )
        del grid
        mode = modes[name]

        def warp() -> Any:
            return torch.nn.functional.grid_sample(
                image, where, mode=mode, padding_mode="border", align_corners=True
            )

        def forward_and_gradient() -> Any:
            return torch.autograd.grad(warp(), where, upstream)[0]

        run = forward_and_gradient if gradient else warp
        run_result = None if gradient else (lambda: warp().numpy()[:, 0])
        function = lambda: run()  # noqa: E731 - a function of its own, to carry the attribute
        function.result = run_result
        return function


class TransposedConvolution:
    """The cubic B-spline as one transposed convolution, the form DIRNet's paper names."""

    def __init__(self) -> None:
        os.environ["KERAS_BACKEND"] = "tensorflow"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import keras

        from tfreg import ops

        self._ops, self._keras = ops, keras.ops

    def prepare(self, inputs: dict[str, np.ndarray], operation: str) -> Callable[[], Any]:
        """The operation on these inputs."""
        if operation != SPLINE:
            raise NotOffered
        control = self._keras.convert_to_tensor(inputs["control"])
        spacing = inputs["image"].shape[1] // 16
        spline = self._ops.graph(lambda c: transposed_convolution(c, spacing))
        return lambda: spline(control)


def transposed_convolution(control_points: Any, spacing: int) -> Any:
    """Zero-boundary cubic B-spline of a 2-D grid, both components at once, cropped to size."""
    from keras import ops

    from tfreg.ops.bspline import basis

    s = spacing
    line = basis((np.arange(4 * s) - (4 * s - 1) / 2) / s)
    components = control_points.shape[-1]
    kernel = np.einsum("i,j,kl->ijkl", line, line, np.eye(components)).astype("float32")
    full = ops.conv_transpose(control_points, kernel, strides=s, padding="valid")
    crop = 3 * s // 2
    rows, columns = (n * s for n in control_points.shape[1:3])
    return full[:, crop : crop + rows, crop : crop + columns]


class Copy:
    """Copying as many bytes as a warp must read and write, on all cores: the floor."""

    def prepare(self, inputs: dict[str, np.ndarray], operation: str) -> Callable[[], Any]:
        """The operation on these inputs."""
        from concurrent.futures import ThreadPoolExecutor

        floats = {
            "linear": inputs["image"].size * 2 + inputs["displacement"].size,
            "linear + gradient": inputs["image"].size * 3 + inputs["displacement"].size * 2,
        }
        if operation not in floats:
            raise NotOffered
        # A copy of n bytes reads n and writes n.
        source = np.ones(floats[operation] // 2, "float32")
        target = np.empty_like(source)
        threads = THREADS
        parts = list(
            zip(np.array_split(target, threads), np.array_split(source, threads), strict=True)
        )
        pool = ThreadPoolExecutor(threads)
        return lambda: list(pool.map(lambda part: np.copyto(*part), parts))


METHODS: dict[str, Callable[[], Any]] = {
    "tfreg tensorflow": lambda: Tfreg("tensorflow"),
    "tfreg tensorflow plain": lambda: Tfreg("tensorflow", islands=False),
    "tfreg jax": lambda: Tfreg("jax"),
    "torch": Torch,
    "SciPy": SciPy,
    "SimpleITK": SimpleITK,
    "transposed convolution": TransposedConvolution,
    "copy": Copy,
}
NEEDS = {"torch": "torch", "tfreg jax": "jax"}


def missing(method: str) -> str | None:
    """The package that a method needs and that is not installed."""
    package = NEEDS.get(method)
    return package if package and importlib.util.find_spec(package) is None else None
