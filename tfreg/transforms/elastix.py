"""elastix's ``TransformParameters*.txt``, as transformix reads them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.transforms import images, itk
from tfreg.transforms.affine import Affine
from tfreg.transforms.base import Transform
from tfreg.transforms.bspline import BSpline
from tfreg.transforms.displacement import Displacement
from tfreg.transforms.elastix_text import Parameters, named_file
from tfreg.transforms.itk_linear import linear
from tfreg.transforms.sequence import Sequence, Sum

_LINEAR = {
    "TranslationTransform": {2: "TranslationTransform", 3: "TranslationTransform"},
    "EulerTransform": {2: "Euler2DTransform", 3: "Euler3DTransform"},
    "SimilarityTransform": {2: "Similarity2DTransform", 3: "Similarity3DTransform"},
    "AffineTransform": {2: "AffineTransform", 3: "AffineTransform"},
}
_SPLINES = ("BSplineTransform", "RecursiveBSplineTransform")
_FILES = {"DeformationFieldTransform": "DeformationFieldFileName", "File": "TransformFileName"}
_INITIAL = ("InitialTransformParameterFileName", "InitialTransformParametersFileName")
_LONGEST = 100  # files in a chain


def read(path: Path) -> Transform:
    """Reads a file and those it builds on.

    Args:
        path: of the last file of a chain. Files that it names are looked for where
            :func:`tfreg.transforms.elastix_text.named_file` does, and nowhere else.

    Returns:
        The transform; a :class:`Sequence` where elastix composes, a :class:`Sum` where it adds.

    Raises:
        InputError: if a file is damaged or missing, or holds a transform of another kind.
    """
    chain = _chain(path)
    total: Transform | None = None
    for file, parameters in chain[::-1]:
        try:
            part = _transform(file, parameters)
            how = parameters.word("HowToCombineTransforms", "Compose")
            if how not in ("Compose", "Add"):
                raise InputError(f"HowToCombineTransforms is Compose or Add. Received: {how!r}")
            total = (
                part if total is None else (Sequence if how == "Compose" else Sum)([total, part])
            )
        except InputError as error:
            message = str(error)
            raise InputError(message if str(file) in message else f"{file}: {message}") from error
    return total


def files_of(path: Path) -> list[Path]:
    """The file and all that it builds on.

    Args:
        path: as for :func:`read`.

    Raises:
        InputError: as there.
    """
    found = []
    for file, parameters in _chain(path):
        found.append(file)
        key = _FILES.get(parameters.word("Transform"))
        if key is not None:
            found.append(named_file(file, parameters.word(key)))
        elif parameters.word("UseBinaryFormatForTransformationParameters", "false") == "true":
            found.append(named_file(file, parameters.word("TransformParameters")))
    return found


def _chain(path: Path) -> list[tuple[Path, Parameters]]:
    """The files of a chain, the last one first."""
    chain: list[tuple[Path, Parameters]] = []
    following: Path | None = path
    while following is not None:
        if any(following.resolve() == known.resolve() for known, _ in chain):
            raise InputError(f"{path} builds on itself: {following} is named again.")
        if len(chain) == _LONGEST:
            raise InputError(f"{path} builds on more than {_LONGEST} files.")
        parameters = Parameters.read(following)
        chain.append((following, parameters))
        names = [parameters.word(key, None) for key in _INITIAL]
        name = next((n for n in names if n not in (None, "NoInitialTransform", "")), None)
        following = None if name is None else named_file(following, name)
    return chain


def chain_of(transform: Transform) -> list[tuple[str, Transform]] | None:
    """How elastix combines the parts of a transform, the first one first.

    Returns:
        Pairs of "Compose" or "Add" and a linear transform, B-spline or displacement; None where
        elastix has no such transform.
    """
    if isinstance(transform, (Affine, BSpline, Displacement)):
        return [("Compose", transform)]
    if not isinstance(transform, (Sequence, Sum)):
        return None
    first, *rest = transform.transforms
    chain = chain_of(first)
    if chain is None or not all(isinstance(t, (Affine, BSpline, Displacement)) for t in rest):
        return None
    how = "Compose" if isinstance(transform, Sequence) else "Add"
    return [*chain, *((how, part) for part in rest)]


def writers(transform: Transform, path: Path, grid: Geometry) -> dict[str, Callable[[Path], Any]]:
    """What writes each file of a chain into the folder of ``path``.

    Args:
        transform: one of which :func:`chain_of` is not None.
        path: of the last file. elastix looks for the others from the folder it is started in, so
            the path of each is written in full: a folder that was moved is still read here, and for
            transformix has to be written again with ``tfreg convert``.
        grid: the fixed image's, on which transformix resamples.
    """
    if '"' in str(path.absolute()):
        raise InputError(f"elastix can read no path with a quotation mark. Received: {path}")
    chain = chain_of(transform)
    files: dict[str, Callable[[Path], Any]] = {}
    initial = "NoInitialTransform"
    for position, (how, part) in enumerate(chain):
        last = position == len(chain) - 1
        name = path.name if last else f"{path.stem}.initial{position}.txt"
        text = Parameters()
        if isinstance(part, Displacement):
            field = f"{Path(name).stem}.displacement.mha"
            files[field] = _field_writer(part)
            text.set("Transform", "DeformationFieldTransform")
            text.set("NumberOfParameters", 0)
            text.set("DeformationFieldFileName", str((path.parent / field).absolute()))
            text.set("DeformationFieldInterpolationOrder", 1)
        else:
            _set_parameters(text, part)
        text.set(_INITIAL[1], initial)
        text.set("HowToCombineTransforms", how)
        _set_grid(text, grid)
        files[name] = text.write
        initial = str((path.parent / name).absolute())
    return files


def _field_writer(part: Displacement) -> Callable[[Path], Any]:
    return lambda path: images.write(part, path)


def _transform(path: Path, parameters: Parameters) -> Transform:
    name, ndim = parameters.word("Transform"), parameters.integer("FixedImageDimension")
    if ndim not in (2, 3) or parameters.integer("MovingImageDimension", ndim) != ndim:
        raise InputError(f"Only transforms of 2-D or 3-D images are read. Received: {ndim}-D")
    if parameters.word("UseDirectionCosines", "true") != "true":
        direction = parameters.numbers("Direction", ndim * ndim, np.eye(ndim).ravel())
        if not np.array_equal(direction, np.eye(ndim).ravel()):
            raise InputError("A transform that leaves out the direction cosines cannot be used.")
    if name in _FILES:
        file = named_file(path, parameters.word(_FILES[name]))
        if name == "File":
            if file.suffix.lower() not in itk.SUFFIXES:
                raise InputError(f"{', '.join(itk.SUFFIXES)} can be read. Received: {file}")
            return itk.read(file)
        if parameters.integer("DeformationFieldInterpolationOrder", 0) != 1:
            raise InputError("Only DeformationFieldInterpolationOrder 1 can be read.")
        if not file.name.lower().endswith(images.READ):
            raise InputError(f"{', '.join(images.READ)} can be read. Received: {file}")
        return images.read(file)
    count = parameters.integer("NumberOfParameters")
    if name in _SPLINES:
        return _spline(path, parameters, ndim, count)
    if name not in _LINEAR:
        known = ", ".join((*_LINEAR, *_SPLINES, *_FILES))
        raise InputError(f"Of elastix, {known} can be read. Received: {name}")
    values = parameters.parameters(path, count)
    if name == "TranslationTransform":
        return linear(name, ndim, values, np.empty(0))
    centre = parameters.numbers("CenterOfRotationPoint", ndim)
    fixed = np.append(centre, parameters.word("ComputeZYX", "false") == "true")
    return linear(_LINEAR[name][ndim], ndim, values, fixed)


def _spline(path: Path, parameters: Parameters, ndim: int, count: int) -> BSpline:
    if parameters.word("UseCyclicTransform", "false") != "false":
        raise InputError("A cyclic B-spline cannot be read.")
    size = parameters.numbers("GridSize", ndim)
    first = parameters.numbers("GridIndex", ndim, np.zeros(ndim))
    spacing = parameters.numbers("GridSpacing", ndim)
    columns = parameters.numbers("GridDirection", ndim * ndim, np.eye(ndim).ravel())
    direction = columns.reshape(ndim, ndim).T
    origin = parameters.numbers("GridOrigin", ndim) + direction @ (spacing * first)
    if not all(float(length).is_integer() for length in size):
        raise InputError(f"GridSize is made of integers. Received: {size.tolist()}")
    geometry = Geometry(tuple(map(int, size)), spacing, origin, direction)
    values = parameters.parameters(path, count)
    if len(values) != ndim * np.prod([int(length) for length in size], dtype=object):
        raise InputError(
            f"A grid of {geometry.size} needs {ndim} parameters per node. Received: {len(values)}"
        )
    coefficients = np.moveaxis(values.reshape(ndim, *geometry.shape), 0, -1)
    order = parameters.integer("BSplineTransformSplineOrder", 3)
    return BSpline(np.ascontiguousarray(coefficients), geometry, order)


def _set_parameters(text: Parameters, part: Transform) -> None:
    if isinstance(part, Affine):
        text.set("Transform", "AffineTransform")
        values = np.append(part.matrix.ravel(), part.translation)
        text.set("NumberOfParameters", len(values))
        text.set("TransformParameters", *values.tolist())
        text.set("CenterOfRotationPoint", *part.centre.tolist())
        return
    values = np.moveaxis(part.coefficients, -1, 0).astype("float64").ravel()
    geometry = part.geometry
    text.set("Transform", "BSplineTransform")
    text.set("NumberOfParameters", len(values))
    text.set("TransformParameters", *values.tolist())
    text.set("GridSize", *geometry.size)
    text.set("GridIndex", *[0] * part.ndim)
    text.set("GridSpacing", *geometry.spacing)
    text.set("GridOrigin", *geometry.origin)
    text.set("GridDirection", *np.transpose(geometry.direction).ravel().tolist())
    text.set("BSplineTransformSplineOrder", part.order)
    text.set("UseCyclicTransform", "false")


def _set_grid(text: Parameters, grid: Geometry) -> None:
    for side in ("Fixed", "Moving"):
        text.set(f"{side}ImageDimension", grid.ndim)
        text.set(f"{side}InternalImagePixelType", "float")
    text.set("Size", *grid.size)
    text.set("Index", *[0] * grid.ndim)
    text.set("Spacing", *grid.spacing)
    text.set("Origin", *grid.origin)
    text.set("Direction", *np.transpose(grid.direction).ravel().tolist())
    text.set("UseDirectionCosines", "true")
    text.set("ResampleInterpolator", "FinalBSplineInterpolator")
    text.set("FinalBSplineInterpolationOrder", 3)
    text.set("Resampler", "DefaultResampler")
    text.set("DefaultPixelValue", 0)
    text.set("ResultImageFormat", "mha")
    text.set("ResultImagePixelType", "float")
