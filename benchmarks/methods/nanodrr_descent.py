"""Adam through nanodrr's renderer (torch) on gradient correlation, in a process of its own."""

import importlib.util
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.methods.worker import THREADS, Worker
from tfreg.geometry import ConeBeam, matrix_of
from tfreg.image import Image

if TYPE_CHECKING:
    from benchmarks.methods.powell import Found

STEPS, RATE = 100, 0.1  # of Adam, in units of the search
BINNED = 2  # pixels that become one: at full resolution a case takes a minute


class NanoDRR:
    """The search, warm."""

    def __init__(self) -> None:
        self._worker = Worker(_serve, (), THREADS)

    @staticmethod
    def missing() -> bool:
        """Whether nanodrr is not installed."""
        return importlib.util.find_spec("nanodrr") is None

    def register(
        self, volume: Image, xray: np.ndarray, camera: ConeBeam, initial: np.ndarray
    ) -> "Found":
        """Finds the pose; arguments as those of :func:`benchmarks.methods.powell.powell`.

        Raises:
            WorkerError: if it fails.
        """
        from benchmarks.methods.powell import UNITS, Found
        from tfreg.registration.projection.views import scene_of

        picture = np.asarray(xray, "float32")[None]
        scene = scene_of(volume, [picture], [camera], [None], initial[None], True)
        view = scene.views[0].at(BINNED)
        grid = volume.geometry
        # Points of the volume's frame, LPS, to its voxels in mm: a turn and a shift.
        turn = np.array(grid.direction).T
        shift = -turn @ grid.origin
        base = matrix_of(np.zeros(6), np.zeros(3))[:3, :3]
        about = turn @ base.T, turn @ grid.centre + shift
        spacing = np.array(grid.spacing)
        found = self._worker.ask(
            (scene.volume[0, ..., 0], spacing, view.xray[0], view.camera, about, initial, UNITS)
        )
        return Found(found, STEPS)

    def close(self) -> None:
        """Ends the process."""
        self._worker.close()


def _serve(pipe: Connection) -> None:
    while True:
        try:
            question = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(_descended(*question))
        except Exception as error:  # whatever the library throws is its answer
            last = (str(error).strip().splitlines() or ["no message"])[-1]
            pipe.send(f"{type(error).__name__}: {last}")


def _descended(
    voxels: np.ndarray,
    spacing: np.ndarray,
    xray: np.ndarray,
    camera: ConeBeam,
    about: tuple[np.ndarray, np.ndarray],
    initial: np.ndarray,
    units: np.ndarray,
) -> np.ndarray:
    import torch

    from benchmarks.methods.projectors_elsewhere import nanodrr_image

    image_at = nanodrr_image(voxels, spacing, camera)
    turn, centre = (torch.tensor(part, dtype=torch.float32) for part in about)
    start, scale = (torch.tensor(part, dtype=torch.float32) for part in (initial, units))
    target = _features(torch.tensor(xray[None]))
    step = torch.zeros(6, requires_grad=True)
    optimiser = torch.optim.Adam([step], lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    best, pose = np.inf, initial
    for _ in range(STEPS):
        now = start + scale * step
        backward = turn @ _rotation(now).T
        matrix = torch.eye(4)
        rows = torch.cat([backward, (centre - backward @ now[:3])[:, None]], dim=1)
        matrix = torch.cat([rows, matrix[3:]])[None]
        loss = 1 - (_features(image_at(matrix)) * target).sum() / 2
        if float(loss) < best:
            best, pose = float(loss), now.detach().numpy().astype("float64")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return pose


def _rotation(pose: Any) -> Any:
    """``R`` of ``tfreg.geometry.pose``."""
    import torch

    from tfreg.geometry.pose import rotation_entries

    angles = torch.deg2rad(pose[3:])
    rows = rotation_entries(torch.cos(angles), torch.sin(angles))
    return torch.stack([torch.stack(row) for row in rows])


def _features(image: Any) -> Any:
    """Sobel's derivatives of ``(1, rows, columns)``, each of zero mean and unit norm."""
    import torch

    down = torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]])
    kernels = torch.stack([down, down.T])[:, None]
    found = torch.nn.functional.conv2d(image[None], kernels)[0].flatten(1)
    found = found - found.mean(dim=1, keepdim=True)
    return found / found.norm(dim=1, keepdim=True).clamp(min=1e-12)
