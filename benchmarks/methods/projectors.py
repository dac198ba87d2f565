"""Implementations of projection through a volume: tfreg's, DiffDRR, nanodrr and plastimatch.

A maker answers, for a case, functions of no arguments that do the work on inputs prepared
beforehand, in the form that suits that library best, by the metric that their time is. Each method
of another library runs in a process of its own.
"""

import functools
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from benchmarks.cores import THREADS
from benchmarks.methods import projectors_elsewhere
from benchmarks.methods.worker import Worker, serve
from tfreg.geometry import ConeBeam, Geometry, frame_of, matrix_of

LARGEST = 2**25  # rays times slices, of which Siddon's automatic gradient keeps about 5 GB


class View(NamedTuple):
    """An image, and the rays that its pixels are the integrals along.

    Attributes:
        image: ``(rows, columns)``.
        start: ``(3,)``, the source in voxels.
        way: ``(rows, columns, 3)``, one mm along each ray, in voxels.
    """

    image: np.ndarray
    start: np.ndarray
    way: np.ndarray


@dataclass(frozen=True)
class Case:
    """A volume and a camera.

    Attributes:
        name: of the row's group.
        shape, spacing: of the volume, z, y, x; mm.
        pixels: along each side of the image.
        data: of :func:`tfreg.data.radiographs.volume`; None: noise.
    """

    name: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    pixels: int
    data: str | None = None

    @property
    def grid(self) -> Geometry:
        """Of the volume, its first voxel at 0."""
        return Geometry.of_shape(self.shape, self.spacing)

    @property
    def camera(self) -> ConeBeam:
        """Which sees the whole volume at :attr:`pose`."""
        extent = float(np.linalg.norm(np.multiply(self.shape, self.spacing)))
        return ConeBeam(1000.0, (self.pixels,) * 2, 1.25 * extent / self.pixels)

    @property
    def pose(self) -> np.ndarray:
        """``(6,)``, off every axis of the volume."""
        return np.array([3.0, -2.0, 800.0, 7.0, 11.0, -13.0])

    @property
    def to_volume(self) -> np.ndarray:
        """``(4, 4)``: points of the camera's frame to those of the volume, in mm."""
        return np.linalg.inv(matrix_of(self.pose, self.grid.centre))

    def rays(self) -> tuple[np.ndarray, np.ndarray]:
        """Start and way of the camera's rays, as :class:`View` has them."""
        matrix, (_, rays) = self.to_volume, self.camera.rays()
        start = self.grid.to_index(matrix[:3, 3])
        return start, self.grid.to_index(rays @ matrix[:3, :3].T + matrix[:3, 3]) - start

    def volume(self, seed: int) -> np.ndarray:
        """Attenuation ``(z, y, x)`` float32."""
        if self.data is None:
            # With air about it, as about a head: plastimatch leaves out half of the outer voxels.
            inner = tuple(n - 2 for n in self.shape)
            noise = np.pad(np.random.default_rng(seed).random(inner), 1)
            return (0.02 * noise).astype("float32")
        import keras

        from tfreg import ops
        from tfreg.data import radiographs

        hounsfield = radiographs.volume(self.data).array.astype("float32")
        return keras.ops.convert_to_numpy(ops.attenuation(hounsfield))


class Projector:
    """A method, ready for one case at a time.

    Args:
        make: a maker: of a case and a seed functions by metric, ``"seconds"`` of them answering the
            image; and the rays, where they are not those of the camera.
    """

    def __init__(self, make: Callable) -> None:
        self._make = make
        self._functions: dict[str, Callable[[], Any]] = {}
        self._rays: tuple[np.ndarray, np.ndarray] = (np.empty(0), np.empty(0))

    def prepare(self, case: Case, seed: int) -> list[str]:
        """Names the metrics that the method has for a case; the first run of each compiles."""
        made = self._make(case, seed)
        self._functions, self._rays = made if isinstance(made, tuple) else (made, case.rays())
        return list(self._functions)

    def run(self, metric: str) -> float:
        """Seconds of one run."""
        begin = time.perf_counter()
        self._functions[metric]()
        return time.perf_counter() - begin

    def view(self) -> View:
        """The image of the case."""
        image = np.asarray(self._functions["seconds"](), "float64")
        return View(image.reshape(image.shape[-2:]), *self._rays)

    def close(self) -> None:
        """Forgets the case."""
        self._functions = {}


class Elsewhere:
    """The same in a process of its own, where what it needs is installed.

    Args:
        name: of :data:`projectors_elsewhere.MAKERS`.
    """

    def __init__(self, name: str) -> None:
        self._worker = Worker(_serve, (name,), THREADS)

    def prepare(self, case: Case, seed: int) -> list[str]:
        """See :class:`Projector`."""
        return self._worker.ask(("prepare", case, seed))

    def run(self, metric: str) -> float:
        """See :class:`Projector`."""
        return self._worker.ask(("run", metric))

    def view(self) -> View:
        """See :class:`Projector`."""
        return self._worker.ask(("view",))

    def close(self) -> None:
        """Ends the process."""
        self._worker.close()


def ours(method: str, case: Case, seed: int) -> dict[str, Callable[[], Any]]:
    """tfreg's projector: forward, with its gradient by the pose, and image and Jacobian in one.

    Args:
        method: ``"joseph"`` or ``"siddon"``.
        case, seed: what is projected.
    """
    import keras

    from tfreg import ops

    source, rays = case.camera.rays()
    parts = (case.volume(seed)[None, ..., None], case.pose[None], frame_of(case.grid), source)
    tensors = [keras.ops.convert_to_tensor(np.asarray(p, "float32")) for p in (*parts, rays[None])]
    volume, pose, *camera = tensors

    def image(at: Any) -> Any:
        return ops.project(volume, *ops.pose_rays(at, *camera), method)[..., 0]

    def both(at: Any) -> Any:
        return ops.value_and_gradient(lambda p: keras.ops.sum(image(p), axis=(1, 2)), at)

    # A graph about the islands of the library, as a network that holds the projector is.
    forward, backward = ops.graph(image), ops.graph(both)
    found: dict[str, Callable[[], Any]] = {
        "seconds": lambda: keras.ops.convert_to_numpy(forward(pose)),
    }
    if method == "joseph" or case.pixels**2 * max(case.shape) <= LARGEST:
        found["seconds_gradient"] = lambda: [
            keras.ops.convert_to_numpy(part) for part in backward(pose)
        ]
    if method == "joseph":
        found["seconds_jacobian"] = lambda: [
            keras.ops.convert_to_numpy(part) for part in ops.project_jacobian(volume, pose, *camera)
        ]
    return found


def plane(case: Case, seed: int) -> tuple[dict[str, Callable[[], Any]], tuple]:
    """tfreg's projection to a grid in a plane along the slices, behind the volume."""
    import keras

    from tfreg import ops

    start, way = case.rays()
    axis = int(np.abs(way.mean(axis=(0, 1))).argmax())
    order = [axis, *(k for k in range(3) if k != axis)]
    voxels, source = case.volume(seed).transpose(order), start[order]
    at = float(voxels.shape[0] - 1) if source[0] < 0 else 0.0
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in voxels.shape], indexing="ij"), -1)
    seen = source + (corners - source) * ((at - source[0]) / (corners[..., :1] - source[0]))
    places = [np.linspace(seen[..., k].min(), seen[..., k].max(), case.pixels) for k in range(1, 3)]
    targets = np.stack(np.meshgrid(at, *places, indexing="ij"), -1)[0]
    lengths = np.linalg.norm((targets - source) * np.array(case.spacing)[order], axis=-1)
    inverse = np.argsort(order)
    parts = (voxels[None, ..., None], source[None], [at], places[0][None], places[1][None])
    tensors = [keras.ops.convert_to_tensor(np.asarray(part, "float32")) for part in parts]
    step = keras.ops.convert_to_tensor((lengths / abs(at - source[0])).astype("float32"))

    def forward() -> Any:
        return keras.ops.convert_to_numpy(ops.project_plane(*tensors)[0, ..., 0] * step)

    own = ((targets - source) / lengths[..., None])[..., inverse]
    return {"seconds": forward}, (start, own)


OURS: dict[str, Callable] = {
    "joseph": functools.partial(ours, "joseph"),
    "siddon": functools.partial(ours, "siddon"),
    "plane": plane,
}
METHODS = (*OURS, *projectors_elsewhere.MAKERS)


def projector(name: str) -> Projector | Elsewhere:
    """The method of this name."""
    return Projector(OURS[name]) if name in OURS else Elsewhere(name)


def missing(name: str) -> str | None:
    """What a method needs and that is not there."""
    need = projectors_elsewhere.NEEDS.get(name)
    if need is None:
        return None
    is_program = need == "plastimatch"
    there = projectors_elsewhere.program(need) if is_program else importlib.util.find_spec(need)
    return None if there else need


def _serve(pipe: Connection, name: str) -> None:
    """Answers :class:`Elsewhere`'s questions."""
    own = Projector(projectors_elsewhere.MAKERS[name])
    serve(pipe, lambda question: getattr(own, question[0])(*question[1:]))
