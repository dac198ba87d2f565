"""From the files of a pair to its registration: what ``register`` and ``batch`` share."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tfreg.cli.settings import Settings
from tfreg.errors import InputError


@dataclass(frozen=True)
class Files:
    """The files of a pair; what is absent is ``None``."""

    fixed: Path
    moving: Path
    fixed_mask: Path | None = None
    moving_mask: Path | None = None

    @property
    def named(self) -> dict[str, Path]:
        """Those that there are."""
        return {name: path for name, path in vars(self).items() if path is not None}

    def sha256(self) -> dict[str, str]:
        """Hash of each file; of a folder, that of its files in the order of their names."""
        return {name: _sha256(path) for name, path in self.named.items()}


@dataclass(frozen=True)
class Job:
    """A pair, read and checked.

    Attributes:
        arrays: fixed, moving and masks on the voxels on which they are registered.
        options: further arguments of the registration in voxels.
        prepared: the pair in physical space; ``None`` where its files hold arrays only.
        warnings: what was found.
    """

    arrays: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    prepared: Any = None
    warnings: tuple[str, ...] = ()

    @property
    def kind(self) -> tuple:
        """Pairs of one kind can go through a network together."""
        shapes = tuple((name, array.shape) for name, array in self.arrays.items())
        return (*shapes, self.prepared is not None)


class Registrar:
    """Registers pairs of files; the network is loaded once.

    Args:
        settings: how.

    Raises:
        InputError: if there is no such preset, or the initial transform cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.preset = None
        if settings.model is not None:
            import zoo

            self.preset = zoo.describe(settings.model, task="registration")

    @cached_property
    def model(self) -> Any:
        """The network, or ``None``."""
        if self.preset is None:
            return None
        import zoo

        return zoo.load(self.settings.model, task="registration")

    @cached_property
    def initial(self) -> Any:
        """One of the named alignments, or the transform of a file."""
        if self.settings.initial in ("geometry", "centre", "mass"):
            return self.settings.initial
        path = Path(self.settings.initial)
        if not path.exists():
            raise InputError(
                "--init must be geometry, centre, mass or the file of a transform. "
                f"Received: {path}"
            )
        from tfreg import transforms

        return transforms.load(path)

    @cached_property
    def _initial_sha256(self) -> str:
        from tfreg import transforms

        return _digest(transforms.files_of(self.settings.initial))

    def check(self) -> None:
        """Loads what is needed for any pair.

        Raises:
            InputError: on settings with which no pair could be registered.
        """
        if self.model is not None:
            from tfreg.models.registration import check_refine

            check_refine(self.settings.refine)
            self.model.check_arguments(self.settings.network)
        else:
            from tfreg.registration.arguments import kinds_of
            from tfreg.registration.similarity import similarity_of

            kinds_of(self.settings.transform)
            similarity_of(self.settings.similarity)
        self.initial  # noqa: B018

    def provenance(self, files: Files) -> dict[str, Any]:
        """What decides the answer: settings, versions, and the hashes of all files."""
        from tfreg import __version__

        found = {"tfreg": __version__, **self.settings.record()}
        if self.preset is not None:
            found["weights_sha256"] = self.preset.sha256
        if not isinstance(self.initial, str):
            found["initial_sha256"] = self._initial_sha256
        return {**found, "sha256": files.sha256()}

    def read(self, files: Files) -> Job:
        """Reads and checks the files of a pair.

        Files without a place in space (PNG, TIFF, .npy, ...) are registered as arrays, pixel by
        pixel; if one of fixed and moving has a place, all are registered in physical space.

        Raises:
            InputError: if they cannot be registered.
        """
        if _without_place(files.fixed) and _without_place(files.moving):
            return self._arrays(files)
        from tfreg import io
        from tfreg.models.registration import check_masks
        from tfreg.registration.physical import prepare

        images = {name: io.read(path) for name, path in files.named.items()}
        said = ()
        if self.model is not None:
            if self.model.ndim == 2 and all(_is_slice(image) for image in images.values()):
                images = {name: io.flattened(image) for name, image in images.items()}
                said = ("the images are single slices: registered in two dimensions",)
            masks = [name for name in images if name.endswith("mask")]
            check_masks(self.model, masks, self.settings.refine, self.initial)
        prepared = prepare(**images, initial=self.initial, model=self.model)
        inner = prepared.inner
        arrays = {"fixed": inner.fixed, "moving": inner.moving}
        options = {}
        if self.model is None:
            options = {"spacing": inner.grid.spacing[::-1], "start": inner.start}
        if self.model is None or isinstance(self.settings.refine, str):
            arrays |= inner.masks
        return Job(arrays, options, prepared, said + prepared.warnings)

    def _arrays(self, files: Files) -> Job:
        from tfreg import io

        if self.settings.initial != "geometry":
            raise InputError(
                "--init aligns images with a place in space; these files hold none. "
                f"Received: {files.fixed}, {files.moving}"
            )
        arrays = {name: io.read_image(path) for name, path in files.named.items()}
        ndim = None if self.model is None else self.model.ndim
        for name, array in arrays.items():
            if ndim is not None and array.ndim != ndim:
                raise InputError(
                    f"{self.settings.model} registers {ndim}-D images. "
                    f"Received: {name} image of shape {array.shape}"
                )
        from tfreg.registration.images import as_image

        checked = {
            name: as_image(array, array.ndim if ndim is None else ndim, name)[0, ..., 0]
            for name, array in arrays.items()
        }
        if self.model is not None:
            from tfreg.models.registration import check_masks

            masks = [name for name in arrays if name.endswith("mask")]
            check_masks(self.model, masks, self.settings.refine)
        return Job(checked)

    def register(self, jobs: Sequence[Job]) -> list[Any]:
        """Registers pairs: of one kind, several only with a network.

        Args:
            jobs: the pairs.

        Returns:
            For each a ``Registration``, in physical space a ``PhysicalRegistration``.
        """
        if self.model is None:
            from tfreg.registration import register

            settings = self.settings
            voxelwise = [
                register(
                    **job.arrays,
                    **job.options,
                    transform=settings.transform,
                    similarity=settings.similarity,
                    pyramid=settings.pyramid,
                )
                for job in jobs
            ]
        elif len(jobs) == 1:
            voxelwise = [self._by_network(jobs[0].arrays)]
        else:
            import numpy as np

            names = jobs[0].arrays
            together = {name: np.stack([job.arrays[name] for job in jobs]) for name in names}
            answer = self._by_network(together)
            answer.jacobian_determinant  # noqa: B018 - once for all is sooner than one by one
            voxelwise = [answer.item(index) for index in range(len(jobs))]
        return voxelwise

    def _by_network(self, arrays: dict[str, Any]) -> Any:
        return self.model.register(**arrays, refine=self.settings.refine, **self.settings.network)


def concluded(job: Job, answer: Any) -> Any:
    """The voxel answer of a job, taken back to physical space if that is where its images are."""
    return answer if job.prepared is None else job.prepared.conclude(answer)


def physical_of(answer: Any) -> Any:
    """The registration of two arrays as one in physical space, of voxels of 1 mm."""
    from tfreg.geometry import Geometry
    from tfreg.image import Image
    from tfreg.registration.physical import in_physical_space
    from tfreg.transforms import Affine, Displacement

    fixed, moving = (Geometry.of_shape(a.shape) for a in (answer.fixed, answer.moving))
    return in_physical_space(
        Image(answer.fixed, fixed),
        Image(answer.moving, moving),
        Displacement.from_voxels(answer.displacement, fixed, moving),
        Affine.identity(fixed.ndim),
        answer,
    )


def _without_place(path: Path) -> bool:
    from tfreg.io.formats import WITHOUT_PLACE, existing, format_of

    return not existing(path).is_dir() and format_of(path) in WITHOUT_PLACE


def _is_slice(image: Any) -> bool:
    return image.geometry.ndim == 3 and image.geometry.size[2] == 1


def _sha256(path: Path) -> str:
    """Hash of a file with those that hold its voxels, or of the files of a folder."""
    from tfreg.io.headers import files_of

    return _digest(sorted(path.iterdir()) if path.is_dir() else files_of(path))


def _digest(parts: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if part.is_file():
            with open(part, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()
