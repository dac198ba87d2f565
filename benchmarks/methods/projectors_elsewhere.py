"""Projection by DiffDRR, nanodrr (torch) and plastimatch; makers as ``projectors`` has them."""

import functools
import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cores import THREADS

if TYPE_CHECKING:
    from benchmarks.methods.projectors import Case


def program(name: str) -> str | None:
    """Where a program is that a package has installed, beside this Python or on the PATH."""
    places = [sysconfig.get_path("scripts"), os.environ.get("PATH", "")]
    return shutil.which(name, path=os.pathsep.join(places))


def _torch() -> Any:
    import torch

    torch.set_num_threads(THREADS)
    return torch


def _metrics(image_at: Callable, matrix: np.ndarray) -> dict[str, Callable[[], Any]]:
    """An image, and its gradient by the matrix of the pose, by torch.

    Args:
        image_at: of a tensor ``(1, 4, 4)``, from the camera's frame to the volume's.
        matrix: where the volume is.
    """
    torch = _torch()
    at = torch.tensor(matrix[None], dtype=torch.float32)

    def forward() -> np.ndarray:
        with torch.no_grad():
            return image_at(at).numpy()

    def both() -> Any:
        moving = at.clone().requires_grad_(True)
        return torch.autograd.grad(image_at(moving).sum(), moving)[0].numpy()

    return {"seconds": forward, "seconds_gradient": both}


def diffdrr(renderer: str, case: "Case", seed: int) -> dict[str, Callable[[], Any]]:
    """DiffDRR's renderers, along the rays of the case.

    Args:
        renderer: ``"siddon"`` or ``"trilinear"``, as it has them by default.
        case, seed: what is projected.
    """
    torch = _torch()
    from diffdrr.data import read
    from diffdrr.drr import DRR
    from torchio import ScalarImage

    voxels = torch.tensor(case.volume(seed).transpose(2, 1, 0).copy())
    spacing = np.array(case.grid.spacing)
    affine = np.diag([*spacing, 1.0])
    subject = read(ScalarImage(tensor=voxels[None], affine=affine), None, orientation=None)
    camera = case.camera
    drr = DRR(subject, camera.source_detector, case.pixels, camera.pixel[0], renderer=renderer)
    drr.density = voxels  # attenuation as it is, not made from HU
    if not hasattr(drr.renderer, "voxel_shift"):  # whose voxels begin at whole numbers
        affine[:3, 3] = -spacing / 2
    drr.register_buffer("_affine", torch.tensor(affine[None], dtype=torch.float32))
    drr.register_buffer("_affine_inverse", drr._affine.inverse())
    _, rays = camera.rays()
    ends = camera.source_detector * rays.reshape(1, -1, 3) / rays[..., 2].reshape(1, -1, 1)
    targets = torch.tensor(ends, dtype=torch.float32)

    def image_at(matrix: Any) -> Any:
        turn, shift = matrix[:, :3, :3], matrix[:, None, :3, 3]
        ends = targets @ turn.transpose(1, 2) + shift
        image = drr.render(drr.density, shift, ends)
        return image.reshape(1, case.pixels, case.pixels)

    return _metrics(image_at, case.to_volume)


def nanodrr_parts(voxels: np.ndarray, spacing: np.ndarray, camera: Any) -> tuple[Any, Any, Any]:
    """A volume and a camera as nanodrr has them.

    Args:
        voxels: attenuation ``(z, y, x)``; the volume's frame is that of its voxels in mm.
        spacing: ``(3,)`` x, y, z in mm.
        camera: a :class:`tfreg.geometry.ConeBeam`.

    Returns:
        Its subject, the inverse of the camera's matrix ``(1, 3, 3)``, and the distance ``(1,)``.
    """
    torch = _torch()
    from nanodrr.data import Subject

    def tensor(values: Any) -> Any:
        return torch.tensor(np.asarray(values), dtype=torch.float32)

    size = np.array(voxels.shape[::-1])
    to_world = np.diag([*spacing, 1.0])
    to_grid = np.diag([*(2 / size), 1.0])
    to_grid[:3, 3] = 1 / size - 1
    image = tensor(voxels[None, None])
    matrices = (tensor(m) for m in (to_world, np.linalg.inv(to_world), to_grid))
    middle = tensor((size - 1) / 2 * spacing)
    subject = Subject(image, torch.zeros_like(image), *matrices, middle, 0)
    subject.convert_to_mu = False  # it is attenuation
    (fy, fx), (row, column) = camera.focal, camera.principal
    # The middle of its first pixel is at a half.
    matrix = np.array([[fx, 0, column + 0.5], [0, fy, row + 0.5], [0, 0, 1]])
    return subject, tensor(np.linalg.inv(matrix)[None]), tensor([camera.source_detector])


def nanodrr(case: "Case", seed: int) -> dict[str, Callable[[], Any]]:
    """nanodrr's renderer, as it is by default."""
    from nanodrr.drr import render  # first of all: after TensorFlow it can end in a crash

    spacing = np.array(case.grid.spacing)
    subject, inverse, distance = nanodrr_parts(case.volume(seed), spacing, case.camera)

    def image_at(at: Any) -> Any:
        return render(subject, inverse, at, distance, *case.camera.shape)[:, 0]

    return _metrics(image_at, case.to_volume)


def plastimatch(case: "Case", seed: int) -> dict[str, Callable[[], Any]]:
    """plastimatch's exact ray tracing; its time is that of the program, files included.

    The package starts it from Python, whose start counts as well.
    """
    import SimpleITK as sitk

    folder = tempfile.TemporaryDirectory(prefix="tfreg-plastimatch-")
    image = sitk.GetImageFromArray(case.volume(seed))
    image.SetSpacing(case.grid.spacing)
    sitk.WriteImage(image, str(Path(folder.name, "volume.mha")))
    matrix, camera = case.to_volume, case.camera
    turn, source = matrix[:3, :3], matrix[:3, 3]
    middle = source + turn @ (0, 0, case.pose[2])  # where the view passes the volume

    def words(values: Any) -> str:
        return " ".join(f"{value:.9g}" for value in values)

    command = [program("plastimatch") or "plastimatch", "drr", "-A", "cpu", "-i", "exact"]
    command += ["-P", "none", "-t", "pfm"]
    command += ["--nrm", words(-turn[:, 2]), "--vup", words(-turn[:, 1]), "-o", words(middle)]
    command += ["--sad", f"{case.pose[2]:g}", "--sid", f"{camera.source_detector:g}"]
    command += ["-r", words(camera.shape), "-z", words(np.multiply(camera.shape, camera.pixel))]
    command += ["-I", "volume.mha", "-O", "drr"]

    def forward() -> np.ndarray:
        # The folder lives as long as this function.
        subprocess.run(command, cwd=folder.name, check=True, capture_output=True)
        (path,) = Path(folder.name).glob("drr*.pfm")
        content = path.read_bytes()
        pixels = np.frombuffer(content[-4 * case.pixels**2 :], "<f4")
        return 10 * pixels.reshape(1, case.pixels, case.pixels)  # its integrals are in cm

    return {"seconds": forward}


MAKERS: dict[str, Callable] = {
    "diffdrr siddon": functools.partial(diffdrr, "siddon"),
    "diffdrr trilinear": functools.partial(diffdrr, "trilinear"),
    "nanodrr": nanodrr,
    "plastimatch": plastimatch,
}
NEEDS = {name: name.split()[0] for name in MAKERS}
