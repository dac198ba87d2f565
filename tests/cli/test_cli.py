import json
import os
import subprocess
import sys

import numpy as np
import pytest
from shipped import DIGITS, RECIPE, STAGED

from tfreg import io
from tfreg.cli import main
from tfreg.data import phantoms
from tfreg.errors import InputError


@pytest.fixture
def pair(tmp_path):
    images = phantoms.digits(40, seed=8).images
    for name, image in (("fixed", images[4]), ("moving", images[14])):
        io.write_png(tmp_path / f"{name}.png", image, 0, 255)
    return tmp_path


def run(*words):
    # As where nobody has asked TensorFlow to be quiet.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    return subprocess.run(
        [sys.executable, "-m", "tfreg.cli", *map(str, words)],
        capture_output=True,
        text=True,
        env=environment,
    )


def test_register_as_a_user_types_it(pair):
    out = pair / "new" / "out"
    answer = run(
        "register", pair / "fixed.png", pair / "moving.png", "-m", DIGITS,
        "--refine", 20, "-o", out,
    )  # fmt: skip
    assert answer.returncode == 0 and answer.stdout.startswith("NCC ")
    assert answer.stderr == ""
    files = {"moved.png", "moved.npy", "displacement.npy", "figure.png", "registration.json"}
    assert {path.name for path in out.iterdir()} == files
    summary = json.loads((out / "registration.json").read_text())
    assert summary["ncc_after"] > max(0.95, summary["ncc_before"])
    moved, fixed = io.read_image(out / "moved.png"), io.read_image(pair / "fixed.png")
    assert np.corrcoef(moved.ravel(), fixed.ravel())[0, 1] > 0.95
    assert np.load(out / "displacement.npy").shape == (28, 28, 2)
    assert io.read_image(out / "figure.png").shape[0] > 200


def test_bad_input_as_a_user_types_it(pair):
    out = pair / "out"
    answer = run("register", pair / "none.png", pair / "moving.png", "-m", "x", "-o", out)
    assert answer.returncode == 2 and answer.stdout == "" and not out.exists()
    assert len(answer.stderr.splitlines()) == 1 and "none.png" in answer.stderr


def bad(folder, case):
    """A file that cannot be registered, and what the error must say."""
    path = folder / ("bad.npy" if case in {"nan", "3-D", "object"} else "bad.png")
    if case == "empty":
        path.touch()
    elif case == "garbage":
        path.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing of the kind")
    elif case == "truncated":
        content = (folder / "fixed.png").read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif case == "folder":
        path.mkdir()
    elif case == "other size":
        io.write_png(path, np.eye(32), 0, 1)
    elif case == "nan":
        np.save(path, np.full((28, 28), np.nan))
    elif case == "3-D":
        np.save(path, np.zeros((28, 28, 28)))
    elif case == "object":
        np.save(path, np.array([[None]]), allow_pickle=True)
    return path


def simpleitk_reads(path):
    """What the library does with a file, whatever the command makes of it."""
    import SimpleITK as sitk

    try:
        sitk.ReadImage(str(path))
    except RuntimeError:
        return False
    return True


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("empty", "empty"),
        ("garbage", "not an image"),
        ("truncated", ""),
        ("folder", "folder"),
        ("other size", "one shape"),
        ("nan", "finite"),
        ("3-D", "2-D images"),
        ("object", "not a NumPy array"),
        ("missing", "no such file"),
    ],
)
@pytest.mark.parametrize("place", ["fixed", "moving"])
def test_bad_files(pair, capfd, case, message, place):
    path = bad(pair, case)
    if case == "truncated" and simpleitk_reads(path):
        pytest.skip("this version of libpng reads what is there of a truncated file")
    words = {"fixed": str(pair / "fixed.png"), "moving": str(pair / "moving.png"), place: str(path)}
    out = pair / "out"
    capfd.readouterr()
    code = main(["register", *words.values(), "-m", DIGITS, "-o", str(out)])
    said = capfd.readouterr()
    assert code == 2 and not out.exists()
    lines = said.err.strip().splitlines()
    assert lines[-1].startswith("tfreg register: ") and message in lines[-1]
    assert len(lines) == 1 and "Traceback" not in said.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-m", f"{DIGITS}-77"], "no preset of this name"),
        (["-m", DIGITS, "--refine", "-5"], "refine"),
        (["-m", DIGITS, "--stages", "1"], "does not take this option"),
        (["-m", DIGITS, "--memory-gib", "1"], "Received: memory_gib"),
    ],
)
def test_bad_options(pair, capsys, options, message):
    files = [str(pair / "fixed.png"), str(pair / "moving.png")]
    assert main(["register", *files, *options, "-o", str(pair / "out")]) == 2
    assert message in capsys.readouterr().err and not (pair / "out").exists()


@pytest.fixture
def volumes(tmp_path, monkeypatch):
    """Two volumes of different size, and a network in two stages that takes them."""
    import zoo

    stages = [
        {"kind": "affine", "kernels": 2, "convolutions": 2},
        {"kind": "deformable", "spacing": [2, 4, 4], "kernels": 2},
    ]
    known, network = zoo.describe(DIGITS), type(zoo.load(STAGED))
    monkeypatch.setattr(zoo, "describe", lambda name, task=None: known)
    monkeypatch.setattr(zoo, "load", lambda name, task=None: network(3, stages))
    rng = np.random.default_rng(0)
    for name, shape in (("fixed", (6, 12, 16)), ("moving", (8, 13, 15))):
        np.save(tmp_path / f"{name}.npy", rng.random(shape).astype("float32"))
    return tmp_path


def test_volumes(volumes, capsys):
    out = volumes / "out"
    words = [str(volumes / "fixed.npy"), str(volumes / "moving.npy"), "-m", "x", "-o", str(out)]
    assert main(["register", *words, "--memory-gib", "4", "--stages", "1"]) == 0
    files = {"moved.npy", "displacement.npy", "figure.png", "registration.json"}
    assert {path.name for path in out.iterdir()} == files
    assert np.load(out / "moved.npy").shape == (6, 12, 16)
    assert np.load(out / "displacement.npy").shape == (6, 12, 16, 3)
    summary = json.loads((out / "registration.json").read_text())
    assert summary["stages"] == 1 and summary["memory_gib"] == 4
    assert "(slices, rows, columns, 3), in pixels" in summary["displacement"]
    assert io.read_image(out / "figure.png").shape[0] > 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stages", "3"], "stages must be 1 to 2"),
        (["--memory-gib", "0"], "memory_gib must be positive"),
        (["--memory-gib", "1e-6"], "need at least"),
    ],
)
def test_bad_options_of_a_network_in_stages(volumes, capsys, options, message):
    words = [str(volumes / f"{name}.npy") for name in ("fixed", "moving")]
    words += ["-m", "x", "-o", str(volumes / "out")]
    assert main(["register", *words, *options]) == 2
    assert message in capsys.readouterr().err and not (volumes / "out").exists()


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("0", "0")])
def test_onednn_is_on_unless_the_user_says_otherwise(given, expected):
    environment = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    if given is not None:
        environment["TF_ENABLE_ONEDNN_OPTS"] = given
    code = "import os, tfreg; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    found = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)
    assert found.strip() == expected


def test_a_file_in_the_place_of_the_folder(pair, capsys):
    files = [str(pair / "fixed.png"), str(pair / "moving.png")]
    (pair / "out").write_text("here first")
    assert main(["register", *files, "-m", DIGITS, "-o", str(pair / "out")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert (pair / "out").read_text() == "here first"


def test_nothing_half_written(tmp_path):
    def fails(path):
        path.write_text("half")
        raise OSError("No space left on device")

    with pytest.raises(InputError, match="No space left"):
        io.write_together(tmp_path / "out", {"a": lambda p: p.write_text("whole"), "b": fails})
    assert list((tmp_path / "out").iterdir()) == []


def test_models(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(f"{DIGITS} ") for line in lines)
    licence = lines[0].index("licence")
    assert {line[licence - 1] for line in lines} == {" "}  # the columns are aligned
    assert {line[licence:].split()[0] for line in lines[1:]} == {
        "Apache-2.0",
        "CC",
        "CC0",
        "GPL-2",
        "unrestricted",
    }
    assert main(["models", "--json"]) == 0
    assert {p["licence"] for p in json.loads(capsys.readouterr().out)} == {
        "Apache-2.0",
        "CC BY 3.0",
        "CC BY-NC-SA 3.0",
        "CC BY-NC-SA 4.0",
        "CC BY-SA 3.0",
        "CC BY-SA 4.0",
        "CC0 1.0",
        "GPL-2",
        "unrestricted use (Eastman Kodak Company)",
    }


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["fly"],
        ["register", "a.png"],
        ["train", RECIPE, "--digit", "12"],
        ["train", RECIPE, "--learning-rate", "0"],
        ["train", RECIPE, "--data", "phantom", "--iterations", "50"],
    ],
)
def test_unusable_commands_exit_with_2(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(words)
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2 and capsys.readouterr().err


@pytest.mark.timed
def test_start_up_is_quick():
    """`import tfreg` under 0.2 s, `tfreg --help` under 0.5 s, beyond the interpreter's start."""

    def seconds(*words):
        code = "import subprocess, sys, time; t = time.perf_counter(); "
        code += "subprocess.run([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL); "
        code += "print(time.perf_counter() - t)"
        runs = [
            float(subprocess.check_output([sys.executable, "-c", code, *words], text=True))
            for _ in range(4)
        ]
        return min(runs)

    bare = seconds("-c", "pass")
    assert seconds("-c", "import tfreg") - bare < 0.2
    assert seconds("-m", "tfreg.cli", "--help") < 0.5 + bare
    loaded = "import sys, tfreg; heavy = {'keras', 'tensorflow', 'matplotlib', 'SimpleITK'}; "
    loaded += "print(heavy & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", loaded], text=True).strip() == "set()"


def test_environment_is_not_needed(pair):
    """No home, no TFREG_DATA: `tfreg models` still answers."""
    environment = {k: v for k, v in os.environ.items() if k in ("PATH", "LD_LIBRARY_PATH")}
    answer = subprocess.run(
        [sys.executable, "-m", "tfreg.cli", "models"],
        capture_output=True,
        text=True,
        env={**environment, "HOME": str(pair)},
    )
    assert answer.returncode == 0 and DIGITS in answer.stdout


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((28, 28), "complex64"), "real numbers"),
        (np.zeros((0, 28)), "not be empty"),
        (np.zeros(28), "2-D images"),
        (np.full((28, 28), "a"), "real numbers"),
    ],
)
def test_arrays_that_are_no_images_say_so_in_one_line(tmp_path, capfd, array, message):
    np.save(tmp_path / "a.npy", array)
    files = [str(tmp_path / "a.npy")] * 2
    code = main(["register", *files, "-m", DIGITS, "-o", str(tmp_path / "out")])
    lines = capfd.readouterr().err.splitlines()
    assert code == 2 and len(lines) == 1 and message in lines[0]
    assert not (tmp_path / "out").exists()
