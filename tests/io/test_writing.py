import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from test_geometry import random_geometry

from tfreg import io
from tfreg.errors import InputError
from tfreg.geometry import Geometry
from tfreg.image import Image

WITH_PLACE = ("nii", "nii.gz", "mha", "mhd", "nrrd", "nhdr")


@pytest.mark.parametrize("suffix", WITH_PLACE)
@pytest.mark.parametrize("ndim", [2, 3])
def test_any_geometry_comes_back_here_and_in_sitk(tmp_path, suffix, ndim):
    rng = np.random.default_rng(0)
    path = tmp_path / "new" / f"image.{suffix}"
    for dtype in ("uint8", "int16", "float32", "float64") * 3:
        geometry = random_geometry(rng, ndim)
        image = Image((50 * rng.normal(size=geometry.shape)).astype(dtype), geometry)
        io.write(image, path)
        for found in (io.read(path), Image.from_sitk(sitk.ReadImage(str(path)))):
            np.testing.assert_array_equal(found.array, image.array)
            assert found.array.dtype == dtype and found.geometry.matches(geometry)
    beside = {"mhd": "image.raw", "nhdr": "image.raw"}.get(suffix)
    assert {p.name for p in path.parent.iterdir()} == {path.name, beside or path.name}


def test_pictures_and_arrays(tmp_path):
    grid = Geometry.of_shape((3, 4))
    for name, dtype in (("a.png", "uint8"), ("a.png", "uint16"), ("a.tif", "float32")):
        image = Image(np.arange(12, dtype=dtype).reshape(3, 4), grid)
        io.write(image, tmp_path / name)
        np.testing.assert_array_equal(io.read(tmp_path / name).array, image.array)
    volume = Image(np.arange(24, dtype="int16").reshape(2, 3, 4), Geometry.of_shape((2, 3, 4)))
    for name in ("b.tif", "b.npy"):
        io.write(volume, tmp_path / name)
        np.testing.assert_array_equal(io.read(tmp_path / name).array, volume.array)
    io.write(Image(np.eye(3, dtype=bool), Geometry.of_shape((3, 3))), tmp_path / "mask.png")
    np.testing.assert_array_equal(io.read(tmp_path / "mask.png").array, np.eye(3))


FLOAT = Image(np.zeros((3, 4), "float32"), Geometry.of_shape((3, 4)))
SHEARED = Geometry((4, 3, 2), (1, 1, 1), (0, 0, 0), ((1, 0.5, 0), (0, 1, 0), (0, 0, 1)))


@pytest.mark.parametrize(
    ("image", "name", "message"),
    [
        (FLOAT, "a.xyz", r"can be written as \.nii.*a\.xyz"),
        (FLOAT, "a.jpg", "can be written as"),
        (FLOAT, "a.dcm", "can be written as"),
        (FLOAT, "a.png", "uint8, uint16. Received: dtype=float32"),
        (Image(np.zeros((2, 3, 4), "uint8"), Geometry.of_shape((2, 3, 4))), "a.png", "2-D image"),
        (Image(np.zeros((3, 4)), FLOAT.geometry), "a.tif", "dtype=float64"),
        (FLOAT, "folder.mha", "is a folder"),
        (FLOAT, "file.txt/a.mha", "cannot be written"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(tmp_path, image, name, message):
    (tmp_path / "folder.mha").mkdir()
    (tmp_path / "file.txt").write_text("file")
    with pytest.raises(InputError, match=message) as error:
        io.write(image, tmp_path / name)
    assert "\n" not in str(error.value)
    assert {p.name for p in tmp_path.iterdir()} == {"folder.mha", "file.txt"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(InputError, match="cannot be written: Permission denied"):
            io.write(FLOAT, tmp_path / "a.mha")
        with pytest.raises(InputError, match="cannot be written"):
            io.write_points(np.zeros((1, 2)), tmp_path / "a.csv")
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_a_folder_that_refuses_the_file(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(InputError, match=r"a\.mha cannot be written: Permission denied"):
        io.write(FLOAT, tmp_path / "a.mha")


def test_no_space_left_on_the_device(tmp_path, monkeypatch):
    (tmp_path / "a.npy").write_bytes(b"old")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.save", full)
    with pytest.raises(InputError, match=r"a\.npy cannot be written: No space left on device"):
        io.write(FLOAT, tmp_path / "a.npy")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


def test_a_disk_that_takes_only_a_part(tmp_path):
    """The writers of NIfTI say nothing; a limit on the size of files stands for the full disk."""
    code = """
        import resource, signal, sys
        from pathlib import Path
        import numpy as np
        from tfreg import io
        from tfreg.errors import InputError
        from tfreg.image import Image
        from tfreg.geometry import Geometry

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        noise = np.random.default_rng(0).integers(0, 60000, (40, 50, 30)).astype("uint16")
        image = Image(noise, Geometry.of_shape(noise.shape))
        flat = Image(noise.reshape(400, 150), Geometry.of_shape((400, 150)))
        for suffix in "nii nii.gz mha mhd nrrd nhdr tif npy png".split():
            path = Path(sys.argv[1]) / f"a.{suffix}"
            path.write_text("old")
            try:
                io.write(flat if suffix == "png" else image, path)
            except InputError as error:
                assert "cannot be written" in str(error) and "\\n" not in str(error), error
                assert path.read_text() == "old", suffix
                print(suffix)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.split() == [*WITH_PLACE, "tif", "npy", "png"]
    assert not list(tmp_path.glob(".partial*")) and not list(tmp_path.glob("*.raw"))


def texts(**contents):
    return {name: lambda path, text=text: path.write_text(text) for name, text in contents.items()}


def test_a_folder_is_whole_or_absent(tmp_path):
    folder = tmp_path / "deep" / "pair"
    io.write_folder(folder, texts(a="1", record="1"), last="record", mark="x")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "1", "record": "1"}
    (tmp_path / "plain").mkdir()
    assert folder.stat().st_mode == (tmp_path / "plain").stat().st_mode  # not private

    def fails(path):
        assert path.parent.name.startswith(".partial-x-")
        raise OSError(28, "No space left on device")

    new = folder.with_name("new")
    with pytest.raises(InputError, match="new cannot be written to: No space left on device"):
        io.write_folder(new, {**texts(a="2"), "record": fails}, last="record", mark="x")
    with pytest.raises(InputError, match="No space left"):
        io.write_folder(folder, {**texts(a="2"), "record": fails}, last="record", mark="x")
    assert (folder / "a").read_text() == (folder / "record").read_text() == "1"
    assert [path.name for path in folder.parent.iterdir()] == ["pair"]


def test_a_folder_that_another_process_made_meanwhile_stays(tmp_path, monkeypatch):
    folder = tmp_path / "pair"

    def late(source, target):
        target.mkdir()
        (target / "record").write_text("theirs")
        raise OSError(39, "Directory not empty")

    monkeypatch.setattr(os, "rename", late)
    io.write_folder(folder, texts(a="1", record="1"), last="record")
    assert [path.name for path in tmp_path.iterdir()] == ["pair"]
    assert [path.read_text() for path in folder.iterdir()] == ["theirs"]


def test_while_files_of_a_folder_are_replaced_its_record_is_absent(tmp_path, monkeypatch):
    folder = tmp_path / "pair"
    io.write_folder(folder, texts(a="1", b="1", record="1"), last="record")
    (folder / "mine").write_text("a user's own")
    replace, seen = os.replace, []

    def watched(source, target):
        seen.append((Path(target).name, (folder / "record").exists()))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    io.write_folder(folder, texts(record="2", b="2", a="2"), last="record")
    assert [name for name, _ in seen][-1] == "record" and not any(there for _, there in seen)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        **{"a": "2", "b": "2", "record": "2"},
        "mine": "a user's own",
    }
    (folder / "a").unlink()
    (folder / "a").mkdir()
    with pytest.raises(InputError, match="a is a folder there"):
        io.write_folder(folder, texts(a="3", record="3"), last="record")
    assert (folder / "record").read_text() == "2"
