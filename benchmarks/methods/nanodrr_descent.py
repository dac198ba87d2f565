"""nanodrr's registration (torch), in a process of its own.

Its module of rotations and shifts about the volume's middle, its renderer, and its correlation of
gradients; the optimiser is the user's choice, and this one is Adam.
"""

import importlib.util
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.cores import THREADS
from benchmarks.methods.worker import Worker, serve
from tfreg.geometry import ConeBeam, matrix_of, pose_of
from tfreg.image import Image

if TYPE_CHECKING:
    from benchmarks.methods.powell import Found

STEPS = 100
RATES = (0.01, 1.0)  # of Adam, in radians and mm
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
        from benchmarks.methods.powell import Found
        from tfreg.registration.projection.views import scene_of

        picture = np.asarray(xray, "float32")[None]
        scene = scene_of(volume, [picture], [camera], [None], initial[None], True)
        view = scene.views[0].at(BINNED)
        grid = volume.geometry
        # Points of the volume in LPS to those of its voxels in mm: a turn and a shift.
        own = np.eye(4)
        own[:3, :3] = np.array(grid.direction).T
        own[:3, 3] = -own[:3, :3] @ grid.origin
        start = own @ np.linalg.inv(matrix_of(initial, grid.centre))
        spacing = np.array(grid.spacing)
        found = self._worker.ask(
            (scene.volume[0, ..., 0], spacing, view.xray[0], view.camera, start)
        )
        return Found(pose_of(np.linalg.inv(found) @ own, grid.centre), STEPS)

    def close(self) -> None:
        """Ends the process."""
        self._worker.close()


def _serve(pipe: Connection) -> None:
    serve(pipe, lambda question: _descended(*question))


def _descended(
    voxels: np.ndarray,
    spacing: np.ndarray,
    xray: np.ndarray,
    camera: ConeBeam,
    start: np.ndarray,
) -> np.ndarray:
    """The matrix from the camera's frame to the volume's that was best."""
    import torch
    from nanodrr.metrics import GradientNormalizedCrossCorrelation2d
    from nanodrr.registration import Registration

    from benchmarks.methods.projectors_elsewhere import nanodrr_parts

    subject, inverse, distance = nanodrr_parts(voxels, spacing, camera)
    at = torch.tensor(start[None], dtype=torch.float32)
    found = Registration(subject, at, inverse, distance, *camera.shape)
    similarity = GradientNormalizedCrossCorrelation2d()
    target = torch.tensor(xray[None, None])
    groups = zip(found.parameters(), RATES, strict=True)
    optimiser = torch.optim.Adam([{"params": [part], "lr": rate} for part, rate in groups])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    best, answer = np.inf, start
    for _ in range(STEPS):
        loss = -similarity(found(), target).sum()
        if float(loss) < best:
            best, answer = float(loss), found.pose[0].detach().numpy().astype("float64")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return answer
