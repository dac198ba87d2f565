import numpy as np
import pytest
import SimpleITK as sitk

from tfreg import io
from tfreg.errors import InputError

RAMP = np.arange(35, dtype="uint8").reshape(5, 7)


@pytest.mark.parametrize("suffix", ["npy", "png", "tif", "mha", "nrrd"])
def test_reads_rows_before_columns_in_the_files_dtype(tmp_path, suffix):
    path = tmp_path / f"image.{suffix}"
    if suffix == "npy":
        np.save(path, RAMP)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(RAMP), str(path))
    found = io.read_image(str(path))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, RAMP)


def test_reads_three_dimensions(tmp_path):
    volume = np.arange(2 * 3 * 4, dtype="int16").reshape(2, 3, 4)
    sitk.WriteImage(sitk.GetImageFromArray(volume), str(tmp_path / "v.mha"))
    np.testing.assert_array_equal(io.read_image(tmp_path / "v.mha"), volume)


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_becomes_luminance(tmp_path, channels):
    colour = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype("uint8")
    sitk.WriteImage(sitk.GetImageFromArray(colour, isVector=True), str(tmp_path / "c.png"))
    expected = 0.299 * colour[..., 0] + 0.587 * colour[..., 1] + 0.114 * colour[..., 2]
    np.testing.assert_allclose(io.read_image(tmp_path / "c.png"), expected)


def test_two_channels_are_refused(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((5, 7, 2), "float32"), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "two.mha"))
    with pytest.raises(InputError, match=r"two\.mha.*Received: 2"):
        io.read_image(tmp_path / "two.mha")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.png", None, "no such file"),
        ("a.png", b"", "empty"),
        ("a.npy", b"", "empty"),
        ("a.png", b"what is this", "not an image"),
        ("a.npy", b"what is this", "not a NumPy array"),
        ("a.npy", b"\x93NUMPY\x01\x00", "not a NumPy array"),
    ],
)
def test_unreadable_files_are_named(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        io.read_image(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a folder"):
        io.read_image(tmp_path)


def test_png_runs_from_low_to_high_and_clips(tmp_path):
    io.write_png(tmp_path / "a.png", np.array([[-5.0, 0.0, 5.0], [10.0, 11.0, 2.0]]), 0, 10)
    np.testing.assert_array_equal(io.read_image(tmp_path / "a.png"), [[0, 0, 128], [255, 255, 51]])
    io.write_png(tmp_path / "b.png", np.full((2, 3), 4.0), 4, 4)  # no range at all
    np.testing.assert_array_equal(io.read_image(tmp_path / "b.png"), np.zeros((2, 3)))


def test_write_together_replaces_and_leaves_nothing_else(tmp_path):
    folder = tmp_path / "new" / "folder"
    for text in ("one", "two"):
        io.write_together(folder, {n: lambda p, t=text: p.write_text(t) for n in ("a", "b")})
    assert {p.name: p.read_text() for p in folder.iterdir()} == {"a": "two", "b": "two"}


def test_write_together_writes_nothing_when_one_place_is_taken(tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        io.write_together(tmp_path, {n: lambda p: p.write_text("x") for n in ("a", "b")})
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_write_together_keeps_the_old_files_when_a_writer_fails(tmp_path):
    def fails(path):
        raise RuntimeError("encoder says no")

    (tmp_path / "a").write_text("old")
    with pytest.raises(InputError, match="encoder says no"):
        io.write_together(tmp_path, {"a": lambda p: p.write_text("new"), "b": fails})
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "old")]
