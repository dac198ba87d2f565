"""Parameter files of elastix, against transformix."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from transform_cases import affine, bspline, displacement, geometry, points

from tfreg.errors import InputError
from tfreg.transforms import Sequence, Sum, ThinPlate, Velocity, compose, load

# transformix takes minutes for all 200 on a small machine.
COUNT = 200 if os.environ.get("TFREG_LONG_TESTS") else 8
PRECISE = 2e-5  # mm: transformix prints six digits and keeps displacements in float32
WRITTEN = ("affine", "bspline", "displacement", "chain", "sum")
THEIRS = ("euler", "similarity", "translation", "spline", "added")
WORKER = Path(__file__).with_name("transformix_worker.py")
FRAME = """(FixedImageDimension {ndim})
(MovingImageDimension {ndim})
(FixedInternalImagePixelType "float")
(MovingInternalImagePixelType "float")
(Size {size})
(Index {zeros})
(Spacing {size})
(Origin {zeros})
(Direction {identity})
(UseDirectionCosines "true") // a comment
(ResampleInterpolator "FinalBSplineInterpolator")
(FinalBSplineInterpolationOrder 3)
(Resampler "DefaultResampler")
(DefaultPixelValue 0)
(ResultImageFormat "mha")
(ResultImagePixelType "float")
"""


def numbers(values):
    return " ".join(repr(float(value)) for value in np.ravel(values))


def written(kind, rng, grid, k):
    if kind == "affine":
        return affine(rng, grid)
    if kind == "bspline":
        return bspline(rng, grid, 1 + k % 3)
    if kind == "displacement":
        return displacement(rng, grid)
    parts = [affine(rng, grid), bspline(rng, grid)]
    return Sequence(parts[::-1]) if kind == "chain" else Sum(parts)


def their_file(path, kind, rng, grid, k):
    """A file as elastix writes it, of the classes and with the keys that are not written here."""
    ndim = grid.ndim
    shift = rng.normal(0, 9, ndim)
    lines = [f"(CenterOfRotationPoint {numbers(grid.centre)})"]
    if kind in ("translation", "added"):
        name, values = "TranslationTransform", shift
    elif kind == "euler":
        name, values = "EulerTransform", [*rng.uniform(-2, 2, 1 if ndim == 2 else 3), *shift]
        lines.append(f'(ComputeZYX "{"true" if k % 2 else "false"}")')
    elif kind == "similarity":
        name, scale = "SimilarityTransform", rng.uniform(0.5, 2)
        turn = [scale, rng.uniform(-2, 2)] if ndim == 2 else rng.uniform(-0.5, 0.5, 3)
        values = [*turn, *shift] if ndim == 2 else [*turn, *shift, scale]
    else:
        name, values = "BSplineTransform", rng.normal(0, 3, ndim * np.prod(grid.size))
        first = rng.integers(-3, 4, ndim)
        origin = grid.origin - np.array(grid.direction) @ (first * np.array(grid.spacing))
        lines = [
            f"(GridSize {' '.join(map(str, grid.size))})",
            f"(GridIndex {' '.join(map(str, first))})",
            f"(GridSpacing {numbers(grid.spacing)})",
            f"(GridOrigin {numbers(origin)})",
            f"(GridDirection {numbers(np.transpose(grid.direction))})",
            "(BSplineTransformSplineOrder 3)",
            '(UseCyclicTransform "false")',
        ]
    frame = FRAME.format(
        ndim=ndim,
        size=" ".join("4" * ndim),
        zeros=" ".join("0" * ndim),
        identity=numbers(np.eye(ndim)),
    )
    how = ""
    initial = "NoInitialTransform"
    if kind == "added":
        initial = path.with_name(f"first-{path.name}")
        their_file(initial, "similarity", rng, grid, k)
        how = ("", '(HowToCombineTransforms "Add")\n', '(HowToCombineTransforms "Compose")\n')[
            k % 3
        ]
    key = "InitialTransformParameterFileName" if k % 2 else "InitialTransformParametersFileName"
    path.write_text(
        f'(Transform "{name}")\n(NumberOfParameters {len(values)})\n'
        f'(TransformParameters {numbers(values)})\n({key} "{initial}")\n'
        f"{how}\n{frame}" + "\n".join(lines) + "\n"
    )


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """By kind and dimension: what is expected and what transformix answers, for each geometry."""
    if importlib.util.find_spec("itk") is None:
        pytest.skip("itk-elastix is not installed")
    folder = tmp_path_factory.mktemp("elastix")
    jobs, expected, keys = [], [], []
    for ndim in (2, 3):
        rng = np.random.default_rng(ndim)
        for k in range(COUNT):
            grid = geometry(rng, ndim)
            for kind in (*WRITTEN, *THEIRS):
                path = folder / f"TransformParameters.{kind}.{ndim}.{k}.txt"
                where = points(rng, grid)
                if kind in WRITTEN:
                    transform = written(kind, rng, grid, k)
                    assert transform.save(path, grid).loss == 0
                    again = load(path).apply_points(where)
                    np.testing.assert_allclose(again, transform.apply_points(where), atol=1e-5)
                else:
                    their_file(path, kind, rng, grid, k)
                    transform = load(path)
                jobs.append([str(path), where.tolist()])
                expected.append(transform.apply_points(where))
                keys.append((kind, ndim))
    (folder / "jobs.json").write_text(json.dumps(jobs))
    command = [sys.executable, str(WORKER), str(folder / "jobs.json"), str(folder / "out.json")]
    subprocess.run(command, check=True, timeout=900, cwd=folder, capture_output=True)
    answers = json.loads((folder / "out.json").read_text())
    found = {}
    for key, ours, theirs in zip(keys, expected, answers, strict=True):
        found.setdefault(key, []).append(np.abs(ours - theirs).max())
    return found


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("kind", [*WRITTEN, *THEIRS])
def test_transformix_agrees(cases, kind, ndim):
    errors = cases[kind, ndim]
    assert len(errors) == COUNT
    assert max(errors) < PRECISE


def test_a_chain_that_was_moved_is_found(tmp_path, rng):
    grid = geometry(rng, 3)
    transform = compose(affine(rng, grid), bspline(rng, grid), displacement(rng, grid))
    (tmp_path / "there").mkdir()
    transform.save(tmp_path / "there" / "TransformParameters.2.txt", grid)
    names = {path.name for path in (tmp_path / "there").iterdir()}
    assert names == {
        "TransformParameters.2.txt",
        "TransformParameters.2.initial0.txt",
        "TransformParameters.2.initial1.txt",
        "TransformParameters.2.displacement.mha",
    }
    (tmp_path / "there").rename(tmp_path / "here")
    where = points(rng, grid)
    found = load(tmp_path / "here" / "TransformParameters.2.txt").apply_points(where)
    np.testing.assert_allclose(found, transform.apply_points(where), atol=1e-5)


def test_a_copy_of_a_folder_holds_what_belongs_to_it(tmp_path, rng):
    """The files name each other in full: those at the old place may be of a later registration."""
    grid = geometry(rng, 3)
    first, later = (compose(displacement(rng, grid), affine(rng, grid)) for _ in range(2))
    old, copy = tmp_path / "out", tmp_path / "kept"
    first.save(old / "TransformParameters.txt", grid)
    shutil.copytree(old, copy)
    later.save(old / "TransformParameters.txt", grid)
    where = points(rng, grid)
    for folder, transform in ((old, later), (copy, first)):
        found = load(folder / "TransformParameters.txt").apply_points(where)
        np.testing.assert_allclose(found, transform.apply_points(where), atol=1e-4)


def shift_file(path, x, initial="NoInitialTransform", more=""):
    frame = FRAME.format(ndim=2, size="4 4", zeros="0 0", identity="1 0 0 1")
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f'(Transform "TranslationTransform")\n(NumberOfParameters 2)\n(TransformParameters {x} 0)\n'
        f'(InitialTransformParameterFileName "{initial}")\n{frame}{more}'
    )
    return path


def test_a_neighbour_of_the_same_name_is_another_transform(tmp_path):
    """As transformix, which refuses: one patient's first stage is not the template's."""
    shift_file(tmp_path / "pet" / "TransformParameters.0.txt", 7)
    missing = tmp_path / "template" / "TransformParameters.0.txt"
    last = shift_file(tmp_path / "pet" / "TransformParameters.1.txt", 1, missing)
    with pytest.raises(InputError) as error:
        load(last)
    assert str(error.value) == (
        f"{last} builds on a file that is not there; if TransformParameters.0.txt beside it is "
        f'meant, name it as "TransformParameters.0.txt". Received: {missing}'
    )
    shift_file(missing, 100)
    np.testing.assert_array_equal(load(last).apply_points([[0.0, 0.0]]), [[101, 0]])


def test_the_chain_of_another_registration_is_not_taken_for_the_own(tmp_path):
    """A name that tfreg gives, but to the chain of another file."""
    shift_file(tmp_path / "here" / "a.initial0.txt", 7)
    last = shift_file(tmp_path / "here" / "b.txt", 1, tmp_path / "there" / "a.initial0.txt")
    with pytest.raises(InputError, match="is not there"):
        load(last)


@pytest.mark.parametrize(("name", "x"), [("first.txt", 3), ("out/first.txt", 3), ("in/a.txt", 5)])
def test_relative_names_are_found_from_anywhere_as_elastix_wrote_them(
    tmp_path, monkeypatch, name, x
):
    """elastix writes them from the folder that it was started in, "out" being its -out."""
    shift_file(tmp_path / "out" / "first.txt", 2)
    shift_file(tmp_path / "in" / "a.txt", 4)
    last = shift_file(tmp_path / "out" / "last.txt", 1, name)
    monkeypatch.chdir(tmp_path if x == 5 else "/")
    np.testing.assert_array_equal(load(last).apply_points([[0.0, 0.0]]), [[x, 0]])


def test_what_elastix_has_no_words_for(tmp_path, rng):
    grid = geometry(rng, 2)
    velocity = Velocity(rng.normal(size=(*grid.shape, 2)), grid)
    fixed = grid.to_physical(rng.uniform(0, 3, (6, 2)))
    spline = ThinPlate(fixed, fixed + rng.normal(size=(6, 2)))
    path = tmp_path / "TransformParameters.0.txt"
    for transform in (velocity, spline, compose(affine(rng, grid), velocity)):
        with pytest.raises(InputError, match="grid= is needed"):
            transform.save(path)
        assert not list(tmp_path.iterdir())
        saved = transform.save(path, grid)
        assert saved.loss > 0
        nodes = grid.to_physical(np.argwhere(np.ones(grid.shape)))
        found = load(path).apply_points(nodes)
        np.testing.assert_allclose(found, transform.apply_points(nodes), atol=1e-4)
        for file in tmp_path.iterdir():
            file.unlink()


def test_chain_in_a_circle(tmp_path, rng):
    path = tmp_path / "TransformParameters.0.txt"
    affine(rng, geometry(rng, 2)).save(path, geometry(rng, 2))
    path.write_text(path.read_text().replace("NoInitialTransform", path.name))
    with pytest.raises(InputError, match="builds on itself"):
        load(path)


def test_binary_parameters(tmp_path, rng):
    grid = geometry(rng, 2)
    transform = affine(rng, grid)
    path = tmp_path / "TransformParameters.0.txt"
    transform.save(path, grid)
    lines = path.read_text().splitlines()
    values = np.append(transform.matrix.ravel(), transform.translation)
    values.astype("<f8").tofile(tmp_path / "values.dat")
    lines[2] = '(TransformParameters "values.dat")'
    lines.append('(UseBinaryFormatForTransformationParameters "true")')
    path.write_text("\n".join(lines))
    np.testing.assert_array_equal(load(path).matrix, transform.matrix)
    path.write_text("\n".join(lines).replace("values.dat", "/there/values.dat"))
    with pytest.raises(InputError, match=r"is not there; if values\.dat beside it is meant"):
        load(path)
    path.write_text("\n".join(lines))
    (tmp_path / "values.dat").write_bytes(b"\0" * 40)
    with pytest.raises(InputError, match="6 numbers of eight bytes"):
        load(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"AffineTransform"', '"AffineDTITransform"', "can be read"),
        ('(Transform "AffineTransform")', "", "The key Transform is missing"),
        ("(NumberOfParameters 6)", "(NumberOfParameters 7)", "must hold 7 finite numbers"),
        ("(NumberOfParameters 6)", "(NumberOfParameters six)", "must be a whole number"),
        ("(FixedImageDimension 2)", "(FixedImageDimension 4)", "2-D or 3-D"),
        ("(CenterOfRotationPoint", "(CenterOfRotation", "CenterOfRotationPoint is missing"),
        ('"NoInitialTransform"', '"elsewhere.txt"', "is not there"),
        ('"Compose"', '"Multiply"', "Compose or Add"),
        ("(Index 0 0)", "(Index 0 0", "has a line"),
        ("(Index 0 0)", "(Size 0 0)", "Size twice"),
    ],
)
def test_unusable_files(tmp_path, rng, old, new, message):
    path = tmp_path / "TransformParameters.0.txt"
    grid = geometry(rng, 2)
    affine(rng, grid).save(path, grid)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        load(path)
    assert path.name in str(error.value)
    assert "\n" not in str(error.value)
