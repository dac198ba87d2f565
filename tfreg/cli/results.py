"""What ``register`` and ``batch`` write of a registration: the parts that they share."""

from pathlib import Path
from typing import Any

from tfreg.cli.registrar import Registrar

# The format of the moved image by the end of the fixed image's name; of all others, the first.
_SUFFIXES = {
    ".nii.gz": ".nii.gz",
    ".nii": ".nii",
    ".mha": ".mha",
    ".mhd": ".mha",
    ".nrrd": ".nrrd",
    ".nhdr": ".nrrd",
}


def report_writer(files: Any, registrar: Registrar, answer: Any) -> Any:
    """The function that writes the report.

    Args:
        files: ``fixed`` and ``moving``.
        registrar: how it was registered.
        answer: its registration in physical space.
    """
    from tfreg import report

    known = registrar.preset
    known = None if known is None else {k: v for k, v in vars(known).items() if k != "path"}
    title = f"{files.moving.name} onto {files.fixed.name}"
    content = report.html(answer, known, title)
    return lambda path: path.write_text(content, encoding="utf-8")


def suffix_of(fixed: Path) -> str:
    """The end of the moved image's name: the fixed image's where that is one file with a place."""
    name = fixed.name.lower()
    return next((end for start, end in _SUFFIXES.items() if name.endswith(start)), ".nii.gz")


def array_summary(files: Any, registrar: Registrar, answer: Any) -> dict[str, Any]:
    """What ``registration.json`` says of a pair of arrays.

    Args:
        files: ``fixed`` and ``moving``.
        registrar: how it was registered.
        answer: its registration.
    """
    axes = "rows, columns" if answer.moved.ndim == 2 else "slices, rows, columns"
    return {
        **registrar.settings.record(),
        "fixed": str(files.fixed),
        "moving": str(files.moving),
        "displacement": f"displacement.npy: ({axes}, {answer.moved.ndim}), in pixels, in the order "
        "of the axes; moved(x) = moving(x + u(x))",
        "similarity": answer.similarity,
        f"{answer.similarity}_before": round(answer.similarity_before, 6),
        f"{answer.similarity}_after": round(answer.similarity_after, 6),
        "folding": float((answer.jacobian_determinant <= 0).mean()),
        "seconds": round(answer.seconds, 4),
    }


def physical_of(answer: Any) -> Any:
    """The registration of two arrays as one in physical space, of voxels of 1 mm."""
    from tfreg.geometry import Geometry
    from tfreg.image import Image
    from tfreg.registration.space.physical import in_physical_space
    from tfreg.transforms import Affine, Displacement

    fixed, moving = (Geometry.of_shape(a.shape) for a in (answer.fixed, answer.moving))
    return in_physical_space(
        Image(answer.fixed, fixed),
        Image(answer.moving, moving),
        Displacement.from_voxels(answer.displacement, fixed, moving),
        Affine.identity(fixed.ndim),
        answer,
    )
