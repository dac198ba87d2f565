"""From the files of a pair to its registration: what ``register`` and ``batch`` share."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tfreg.cli.settings import ALIGNMENTS, Settings
from tfreg.errors import InputError

SLICES = "the images are single slices: registered in two dimensions"  # a warning


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


class Registrar:
    """Registers pairs of files; the network is loaded once.

    Args:
        settings: how.
        anchor: the folder that paths of the settings are relative to.

    Raises:
        InputError: if there is no such preset, or the initial transform cannot be read.
    """

    def __init__(self, settings: Settings, anchor: Path = Path()) -> None:
        self.settings, self._anchor = settings, anchor
        self.preset = None
        if settings.model is not None:
            import zoo

            self.preset = zoo.describe(self._model, task="registration")

    @property
    def _model(self) -> Any:
        """The name of the preset, or its file."""
        name = str(self.settings.model)
        return str(self._anchor / name) if name.endswith(".json") else name

    @cached_property
    def model(self) -> Any:
        """The network, or ``None``."""
        if self.preset is None:
            return None
        import zoo

        return zoo.load(self._model, task="registration")

    @cached_property
    def initial(self) -> Any:
        """One of the named alignments, or the transform of a file."""
        if self.settings.initial in ALIGNMENTS:
            return self.settings.initial
        path = self._anchor / self.settings.initial
        if not path.exists():
            raise InputError(
                "--init must be geometry, centre, mass, search or the file of a transform. "
                f"Received: {path}"
            )
        from tfreg import transforms

        return transforms.load(path, self.settings.nifti_space)

    @cached_property
    def _initial_sha256(self) -> str:
        from tfreg import transforms

        return _digest(transforms.files_of(self._anchor / self.settings.initial))

    def method(self, masks: Sequence[str] = ()) -> Any:
        """What registers pairs with these masks.

        Raises:
            InputError: on settings with which no pair could be registered.
        """
        from tfreg.registration.inference import Inference
        from tfreg.registration.named import optimisation

        settings = self.settings
        if self.model is None:
            return optimisation(**settings.optimisation, masks=masks)
        return Inference(self.model, settings.refinement(self.model), settings.network, masks)

    def check(self) -> None:
        """Loads what is needed for any pair.

        Raises:
            InputError: on settings with which no pair could be registered.
        """
        self.method()
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

    def read(self, files: Files) -> "Read":
        """Reads and checks the files of a pair.

        Files without a place in space (PNG, TIFF, .npy, ...) are registered as arrays, pixel by
        pixel; if one of fixed and moving has a place, all are registered in physical space.

        Raises:
            InputError: if they cannot be registered.
        """
        from tfreg.registration import job

        method = self.method([name for name in files.named if name.endswith("mask")])
        if without_place(files.fixed) and without_place(files.moving):
            arrays = self._arrays(files)
            ndim = arrays["fixed"].ndim if self.model is None else None
            return Read(method, job.prepare(method, **arrays, ndim=ndim))
        from tfreg import io

        space = self.settings.nifti_space
        images = {name: io.read(path, nifti_space=space) for name, path in files.named.items()}
        said = ()
        flat = self.model is None or self.model.ndim == 2
        if flat and all(is_slice(image) for image in images.values()):
            images = {name: io.flattened(image) for name, image in images.items()}
            said = (SLICES,)
        return Read(method, job.prepare(method, **images, initial=self.initial), said)

    def _arrays(self, files: Files) -> dict[str, Any]:
        from tfreg import io

        if self.settings.initial != "geometry":
            raise InputError(
                "--init aligns images with a place in space; these files hold none. "
                f"Received: {files.fixed}, {files.moving}"
            )
        arrays = {name: io.read_image(path) for name, path in files.named.items()}
        for name, array in arrays.items():
            if self.model is not None and array.ndim != self.model.ndim:
                raise InputError(
                    f"{self.settings.model} registers {self.model.ndim}-D images. "
                    f"Received: {name} image of shape {array.shape}"
                )
        return arrays

    @staticmethod
    def register(pairs: Sequence["Read"]) -> list[Any]:
        """The voxel answers of pairs: of one kind, several only with a network."""
        from tfreg.registration import job

        return job.run(pairs[0].method, [pair.job for pair in pairs])


@dataclass(frozen=True)
class Read:
    """A pair of files that was read.

    Attributes:
        method: what registers it.
        job: the pair, prepared for that.
        said: what its files made of it.
    """

    method: Any
    job: Any
    said: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was found."""
        return self.said + self.job.warnings

    @property
    def physical(self) -> bool:
        """Whether its images have a place in space."""
        return self.job.space is not None

    def concluded(self, answer: Any) -> Any:
        """The voxel answer, taken back to where the images are."""
        from tfreg.registration import job

        found = job.conclude(self.job, answer)
        return replace(found, warnings=self.said + found.warnings) if self.said else found


def without_place(path: Path) -> bool:
    """Whether a file says nothing of where its voxels are."""
    from tfreg.io.formats import WITHOUT_PLACE, existing, format_of

    return not existing(path).is_dir() and format_of(path) in WITHOUT_PLACE


def is_slice(image: Any) -> bool:
    """Whether a 3-D image is a single slice."""
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
