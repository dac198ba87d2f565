import argparse
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from shipped import CHESTS
from shipped import DIGITS as MODEL

import zoo
from tfreg import Geometry, Image, io, transforms
from tfreg.cli import main
from tfreg.cli.settings import Settings, add_settings
from tfreg.data import phantoms
from tfreg.errors import InputWarning
from tfreg.registration import Refinement, register
from tfreg.registration.named import optimisation

TURN = ((0.8, -0.6), (0.6, 0.8))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A pair on two oblique grids, the same far away, and the pair as arrays."""
    folder = tmp_path_factory.mktemp("digits")
    images = phantoms.digits(40, seed=8).images
    inner = Geometry((28, 28), (2.0, 2.0), (10.0, -20.0), TURN)
    for name, which, size in (("fixed", 4, (56, 56)), ("moving", 14, (84, 42))):
        image = Image(images[which].astype("float32"), inner).resample(inner.resampled(size=size))
        image = Image(np.rint(image.array).astype("int16"), image.geometry)
        io.write(image, folder / f"{name}.nii.gz")
        np.save(folder / f"{name}.npy", images[which])
        grid = image.geometry
        away = Geometry(grid.size, grid.spacing, (900.0, 100.0), grid.direction)
        io.write(Image(image.array, away), folder / f"{name}_away.mha")
        mask = Image((image.array > 50).astype("uint8"), grid)
        io.write(mask, folder / f"{name}_mask.nrrd")
    return folder


@pytest.fixture
def run(digits, tmp_path, monkeypatch, capfd):
    """Runs the command in the folder of the digits; answers code, output and errors."""
    monkeypatch.chdir(digits)

    def call(*words, out=tmp_path / "out"):
        capfd.readouterr()
        code = main(["register", *map(str, words), "-o", str(out)])
        said = capfd.readouterr()
        return code, said.out, said.err

    return call


def record(folder):
    return json.loads((folder / "registration.json").read_text())


def test_as_the_python_interface_has_it(run, tmp_path, digits):
    code, said, warned = run("fixed.nii.gz", "moving.nii.gz", "-m", MODEL)
    assert code == 0 and said.startswith("NCC 0.")
    assert warned.startswith("tfreg register: warning: the preset states no voxel size")
    pair = [io.read(digits / f"{name}.nii.gz") for name in ("fixed", "moving")]
    with pytest.warns(InputWarning):
        answer = zoo.load(MODEL).register(*pair)
    out = tmp_path / "out"
    moved = io.read(out / "moved.nii.gz")
    assert moved.geometry.matches(pair[0].geometry) and moved.array.dtype == np.int16
    np.testing.assert_array_equal(moved.array, np.rint(answer.moved.array))
    points = pair[0].geometry.to_physical([[10.0, 20.5], [40.0, 30.0]])
    for name in ("transform.h5", "TransformParameters.txt"):
        found = transforms.load(out / name).apply_points(points)
        np.testing.assert_allclose(found, answer.warp_points(points), atol=1e-4)
    written = record(out)
    assert written["similarity_after"] == round(answer.similarity_after, 6)
    assert written["warnings"] == list(answer.warnings)
    assert written["provenance"]["weights_sha256"] == zoo.describe(MODEL).sha256
    assert set(written["provenance"]["sha256"]) == {"fixed", "moving"}
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_refined_with_a_mask_and_a_report(run, tmp_path):
    words = ("fixed.nii.gz", "moving.nii.gz", "-m", MODEL, "--refine", "fast", "--report")
    code, *_ = run(*words, "--fixed-mask", "fixed_mask.nrrd")
    assert code == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "moving.nii.gz onto fixed.nii.gz" in page and MODEL in page
    assert "fixed_mask" in record(tmp_path / "out")["provenance"]["sha256"]


def test_refined_by_another_similarity(run, tmp_path, digits):
    words = ("fixed.nii.gz", "moving.nii.gz", "-m", MODEL, "--refine", "fast", "--confine")
    words += ("--similarity", "mse")
    for name in ("fixed", "moving"):
        words += (f"--{name}-mask", f"{name}_mask.nrrd")
    code, said, _ = run(*words)
    assert code == 0 and said.startswith("MSE -")
    images = {
        f"{name}{kind}": io.read(digits / f"{name}{kind}{end}")
        for name in ("fixed", "moving")
        for kind, end in (("", ".nii.gz"), ("_mask", ".nrrd"))
    }
    with pytest.warns(InputWarning):
        answer = zoo.load(MODEL).register(
            **images, refine=Refinement(similarity="mse", pyramid="fast", confine=True)
        )
    written = record(tmp_path / "out")
    assert written["similarity_after"] == round(answer.similarity_after, 6)
    assert written["refine"] == "fast" and written["confine"] is True


def test_without_a_network(run, tmp_path, digits):
    options = ("--transform", "translation", "--similarity", "mse", "--pyramid", "fast")
    code, said, warned = run("fixed.nii.gz", "moving.nii.gz", *options)
    assert code == 0 and said.startswith("MSE -") and warned == ""
    pair = [io.read(digits / f"{name}.nii.gz") for name in ("fixed", "moving")]
    answer = register(*pair, "translation", similarity="mse", pyramid="fast")
    found = transforms.load(tmp_path / "out" / "transform.h5").apply_points([[30.0, 20.0]])
    np.testing.assert_allclose(found, answer.warp_points([[30.0, 20.0]]), atol=1e-4)
    assert record(tmp_path / "out")["transform"] == ["translation"]


def test_a_sum_and_a_task(run, tmp_path, digits):
    words = ("fixed.nii.gz", "moving.nii.gz", "--settings", "cine", "--pyramid", "fast")
    code, said, _ = run(*words, "--similarity", "ncc=1, mind=0.5")
    assert code == 0 and said.startswith("NCC=1,MIND=0.5 ")
    pair = [io.read(digits / f"{name}.nii.gz") for name in ("fixed", "moving")]
    answer = register(*pair, settings="cine", similarity={"ncc": 1, "mind": 0.5}, pyramid="fast")
    written = record(tmp_path / "out")
    assert written["similarity_after"] == round(answer.similarity_after, 6)
    assert written["settings"] == "cine" and written["pyramid"] == "fast"
    assert written["similarity"] == "ncc=1,mind=0.5" and "transform" not in written


def test_a_search_and_both_directions(run, tmp_path, digits):
    words = ("fixed.nii.gz", "moving_away.mha", "--init", "search", "--pyramid", "fast")
    assert run(*words, "--transform", "rigid,velocity", "--symmetric")[0] == 0
    pair = [io.read(digits / name) for name in ("fixed.nii.gz", "moving_away.mha")]
    options = {"initial": "search", "symmetric": True, "pyramid": "fast"}
    answer = register(*pair, ["rigid", "velocity"], **options)
    written = record(tmp_path / "out")
    assert written["similarity_after"] == round(answer.similarity_after, 6) > 0.8
    assert written["initial"] == "search" and written["symmetric"] is True
    assert written["search"]["rotations"] == answer.inner.search.rotations == 72


def test_initial_alignments(run, tmp_path, digits):
    code, said, error = run("fixed.nii.gz", "moving_away.mha", "-m", MODEL)
    assert code == 2 and "--init mass" in error and len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists() and said == ""
    assert run("fixed.nii.gz", "moving_away.mha", "-m", MODEL, "--init", "mass")[0] == 0
    mass = record(tmp_path / "out")["similarity_after"]
    near, away = (io.read(digits / name) for name in ("moving.nii.gz", "moving_away.mha"))
    back = np.subtract(away.geometry.origin, near.geometry.origin)
    transforms.save(transforms.Affine(np.eye(2), back), tmp_path / "there.tfm")
    out = tmp_path / "from file"
    words = ("fixed.nii.gz", "moving_away.mha", "-m", MODEL, "--init", tmp_path / "there.tfm")
    assert run(*words, out=out)[0] == 0
    assert "initial_sha256" in record(out)["provenance"]
    assert run("fixed.nii.gz", "moving.nii.gz", "-m", MODEL)[0] == 0
    plain = record(tmp_path / "out")["similarity_after"]
    assert abs(record(out)["similarity_after"] - plain) < 1e-3 and mass > 0.8
    code, _, error = run("fixed.nii.gz", "moving.nii.gz", "-m", MODEL, "--init", "middle")
    assert code == 2 and "--init must be" in error


def test_landmarks_and_another_format(run, tmp_path, digits):
    points = io.read(digits / "fixed.nii.gz").geometry.to_physical([[20.0, 30], [30, 25]])
    io.write_points(points, tmp_path / "fixed.csv")
    io.write_points(points + 1, tmp_path / "moving.vtk")
    words = ("fixed.nii.gz", "moving.nii.gz", "-m", MODEL, "--fixed-points", tmp_path / "fixed.csv")
    more = ("--moving-points", tmp_path / "moving.vtk", "--save-transform", "warp.nii.gz")
    code, said, _ = run(*words, *more)
    assert code == 0 and "landmarks 1.414 -> " in said
    out = tmp_path / "out"
    warped = io.read_points(out / "warped-points.csv")
    found = transforms.load(out / "transform.h5").apply_points(points)
    np.testing.assert_allclose(warped, found, atol=1e-4)
    tre = np.linalg.norm(warped - points - 1, axis=1).mean()
    assert abs(record(out)["tre_after"] - tre) < 1e-3
    assert isinstance(transforms.load(out / "warp.nii.gz"), transforms.Displacement)
    io.write_points(points[:1], tmp_path / "moving.vtk")
    code, _, error = run(*words, *more)
    assert code == 2 and "as many" in error


def test_a_slice_of_a_volume(run, tmp_path, digits):
    for name in ("fixed", "moving"):
        image = io.read(digits / f"{name}.nii.gz")
        grid = image.geometry
        turn = np.eye(3)
        turn[:2, :2] = grid.direction
        slab = Geometry((*grid.size, 1), (*grid.spacing, 8.0), (*grid.origin, 5.0), turn.tolist())
        io.write(Image(image.array[None], slab), tmp_path / f"{name}.mha")
    code, _, warned = run(tmp_path / "fixed.mha", tmp_path / "moving.mha", "-m", MODEL)
    assert code == 0 and "single slices" in warned
    assert run("fixed.nii.gz", "moving.nii.gz", "-m", MODEL, out=tmp_path / "flat")[0] == 0
    moved = io.read(tmp_path / "out" / "moved.mha")
    np.testing.assert_array_equal(moved.array, io.read(tmp_path / "flat" / "moved.nii.gz").array)


def test_arrays_without_a_network_and_with_a_mask(run, tmp_path):
    code, said, _ = run("fixed.npy", "moving.npy", "--transform", "rigid", "--report")
    assert code == 0 and said.startswith("NCC")
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {
        *("moved.png", "moved.npy", "displacement.npy", "figure.png", "registration.json"),
        "report.html",
    }
    volume = np.random.default_rng(0).random((12, 10, 14))
    np.save(tmp_path / "v.npy", volume)
    np.save(tmp_path / "m.npy", (volume > 0.5).astype("uint8"))
    words = (tmp_path / "v.npy", tmp_path / "v.npy", "--transform", "translation")
    code, *_ = run(*words, "--fixed-mask", tmp_path / "m.npy", out=tmp_path / "3d")
    files = {path.name for path in (tmp_path / "3d").iterdir()}
    assert code == 0
    assert files == {"moved.npy", "displacement.npy", "figure.png", "registration.json"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fixed.nii.gz"], "Two images"),
        (["fixed.nii.gz", "moving.nii.gz", "-m", MODEL, "--transform", "rigid"], "--transform"),
        (["fixed.nii.gz", "moving.nii.gz", "-m", MODEL, "--pyramid", "fast"], "--pyramid"),
        (["fixed.nii.gz", "moving.nii.gz", "--refine", "3"], "--refine"),
        (["fixed.nii.gz", "moving.nii.gz", "-m", MODEL, "--similarity", "mse"], "--similarity"),
        (["fixed.nii.gz", "moving.nii.gz", "-m", MODEL, "--confine", "--refine", "3"], "--confine"),
        (["fixed.npy", "moving.npy", "--confine"], "confine needs the masks"),
        (["fixed.nii.gz", "moving.nii.gz", "--transform", "wobble"], "wobble"),
        (["fixed.nii.gz", "moving.nii.gz", "--similarity", "sad"], "sad"),
        (["fixed.nii.gz", "moving.nii.gz", "--similarity", "ncc=1,mi"], "lncc=1,mind=0.5"),
        (["fixed.nii.gz", "moving.nii.gz", "--similarity", "mi=1,mi=2"], "mi=1,mi=2"),
        (["fixed.nii.gz", "moving.nii.gz", "--similarity", "mi=0,ncc=1"], "weight of mi must be"),
        (["fixed.nii.gz", "moving.nii.gz", "--settings", "knee"], "settings must be one of"),
        (["fixed.nii.gz", "moving.nii.gz", "-m", MODEL, "--settings", "cine"], "--settings"),
        (["fixed.nii.gz", "moving.nii.gz", "--symmetric"], "symmetric is of a velocity"),
        (["fixed.nii.gz", "moving.nii.gz", "-m", MODEL, "--symmetric"], "--symmetric is for"),
        (["fixed.nii.gz", "moving.nii.gz", "--shard", "1/2"], "--shard"),
        (
            ["fixed.nii.gz", "moving.nii.gz", "-m", MODEL, "--fixed-mask", "fixed_mask.nrrd"],
            "effect",
        ),
        (["fixed.nii.gz", "moving.nii.gz", "--moving-points", "x.csv"], "missing"),
        (["fixed.nii.gz", "moving.nii.gz", "--fixed-points", "x.csv"], "x.csv"),
        (["fixed.npy", "moving.npy", "-m", MODEL, "--init", "mass"], "--init"),
        (["fixed.npy", "moving.npy", "-m", MODEL, "--save-transform", "a.h5"], "a.h5"),
        (["fixed.npy", "moving.npy", "-m", MODEL, "--fixed-mask", "fixed.npy"], "no effect"),
        (["fixed.nii.gz", "moving.npy", "-m", MODEL, "--fixed-mask", "none.mha"], "none.mha"),
        (["fixed.nii.gz", "moving.nii.gz", "-m", MODEL, "--save-transform", "a/b.h5"], "a/b.h5"),
        (["fixed.nii.gz", "moving.nii.gz", "-m", MODEL, "--save-transform", "b.xyz"], "b.xyz"),
        (["fixed.nii.gz", "moving.nii.gz", "--save-transform", "moved.nii.gz"], "another name"),
        (["fixed.nii.gz", "moving.nii.gz", "--save-transform", "a.mat"], "linear"),
        (["fixed.nii.gz", "moving.nii.gz", "--pairs", "p.csv"], "beside --pairs"),
    ],
)
def test_what_cannot_be_done_is_one_line(run, tmp_path, words, message):
    code, said, error = run(*words)
    errors = [line for line in error.splitlines() if ": warning: " not in line]
    assert code == 2 and said == "" and message in errors[0] and len(errors) == 1
    assert not (tmp_path / "out").exists()


def test_where_nothing_can_be_written_is_found_before_registering(run, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("a file")
    monkeypatch.setattr("tfreg.cli.registrar.Registrar.read", lambda *_: pytest.fail("it began"))
    code, _, error = run("fixed.npy", "moving.npy", "-m", MODEL, out=tmp_path / "file" / "out")
    assert code == 2 and f"{tmp_path / 'file'} is a file" in error
    monkeypatch.setattr("os.access", lambda *_: False)
    code, _, error = run("fixed.npy", "moving.npy", "-m", MODEL)
    assert code == 2 and f"{tmp_path} must not be written to" in error


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to(run, tmp_path):
    tmp_path.chmod(0o500)
    code, _, error = run("fixed.npy", "moving.npy", "-m", MODEL)
    assert code == 2 and "cannot be written" in error


_TRANSFORMIX = """
import sys, itk, numpy as np
image, parameters, points, out = sys.argv[1:]
given = itk.ParameterObject.New()
given.ReadParameterFile(parameters)
itk.transformix_filter(
    itk.imread(image, itk.F), given, fixed_point_set_file_name=points, output_directory=out
)
"""


@pytest.fixture
def lungs(tmp_path):
    """The lung pair of elastix' test data, in files too: images, masks and landmarks."""
    images, masks, points = {}, {}, {}
    with np.load(os.path.join(os.environ["TFREG_DATA"], "ct_lung_pair.npz")) as pack:
        for k in ("fixed", "moving"):
            array = np.clip(pack[k], -1000, 400)
            origin = tuple(pack[f"origin_{k}_xyz"])
            grid = Geometry(array.shape[::-1], tuple(pack["spacing_xyz"]), origin, np.eye(3))
            images[k], masks[k] = Image(array, grid), Image(pack[f"{k}_mask"], grid)
            points[k] = pack[f"landmarks_{k}_xyz"]
            io.write(images[k], tmp_path / f"{k}.mha")
            io.write(masks[k], tmp_path / f"{k}_mask.mha")
            io.write_points(points[k], tmp_path / f"{k}.csv")
    return images, masks, points


@pytest.mark.long
@pytest.mark.real_data
def test_a_network_and_its_refinement_on_the_lung_pair(run, tmp_path, lungs):
    """The rows of its table, by the call of a user and by the command."""
    images, masks, points = lungs
    model = zoo.load(CHESTS)
    words = [tmp_path / "fixed.mha", tmp_path / "moving.mha", "--init", "mass"]
    words += ["-m", CHESTS]
    for k in ("fixed", "moving"):
        words += [f"--{k}-mask", tmp_path / f"{k}_mask.mha"]
        words += [f"--{k}-points", tmp_path / f"{k}.csv"]
    for refine, expected in ((0, 3.40), ("fast", 1.81)):
        answer = model.register(
            *(images["fixed"], images["moving"], refine),
            initial="mass",
            fixed_mask=masks["fixed"],
            moving_mask=masks["moving"],
        )
        here = answer.warp_points(points["fixed"])
        error = np.linalg.norm(here - points["moving"], axis=1).mean()
        assert error == pytest.approx(expected, abs=0.06)
        assert run(*words, "--refine", str(refine))[0] == 0
        assert abs(record(tmp_path / "out")["tre_after"] - error) < 2e-3
    assert answer.similarity == "lncc" and answer.check().folding < 0.01


@pytest.mark.long
@pytest.mark.real_data
def test_the_lung_pair_of_elastix_from_files(tmp_path, lungs):
    """35 mm apart by their headers: as through Python, and as transformix takes the landmarks."""
    pytest.importorskip("itk")
    images, masks, points = lungs
    out = tmp_path / "out"
    words = ["register", "fixed.mha", "moving.mha", "--init", "mass", "-o", "out"]
    for k in ("fixed", "moving"):
        words += [f"--{k}-mask", f"{k}_mask.mha", f"--{k}-points", f"{k}.csv"]
    command = [sys.executable, "-m", "tfreg.cli", *words]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    answer = register(
        images["fixed"], images["moving"], initial="mass",
        fixed_mask=masks["fixed"], moving_mask=masks["moving"],
    )  # fmt: skip
    here = answer.warp_points(points["fixed"])
    error = np.linalg.norm(here - points["moving"], axis=1).mean()
    written = record(out)
    assert written["tre_before"] > 35 and error < 1.8
    assert abs(written["tre_after"] - error) < 1e-3
    with open(tmp_path / "points.txt", "w") as file:
        file.write(f"point\n{len(here)}\n")
        np.savetxt(file, points["fixed"], "%.9f")
    arguments = ["moving.mha", "out/TransformParameters.txt", "points.txt", "."]
    command = [sys.executable, "-c", _TRANSFORMIX, *arguments]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    theirs = [
        [float(v) for v in line.split("OutputPoint = [")[1].split("]")[0].split()]
        for line in (tmp_path / "outputpoints.txt").read_text().splitlines()
    ]
    np.testing.assert_allclose(theirs, here, atol=1e-3)


@pytest.mark.parametrize(("words", "said"), [([], None), (["--no-confine"], False)])
def test_what_a_task_says_of_confining_can_be_undone(words, said):
    parser = argparse.ArgumentParser()
    add_settings(parser)
    settings = Settings.of(parser.parse_args(["--settings", "lung-ct", *words]))
    assert settings.optimisation["confine"] is said
    assert settings.record().get("confine") is said
    method = optimisation("lung-ct", confine=said, masks=("fixed_mask", "moving_mask"))
    assert method.confine is (said is None)
