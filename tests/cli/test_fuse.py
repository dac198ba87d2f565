import json
import re

import numpy as np
import pytest
import SimpleITK as sitk
from shipped import DIGITS, FUSER

import zoo
from tfreg import Geometry, Image, io, transforms
from tfreg.cli import alignment
from tfreg.data import heads
from tfreg.errors import InputError
from tfreg.registration import pyramid

SMALL = slice(64, 192, 2)


@pytest.fixture(scope="module")
def head():
    """A small phantom head; its MRI is asymmetric."""
    one = heads.draw(np.random.default_rng(3))
    return one.ct[SMALL, SMALL], one.mri[SMALL, SMALL], one.colours[SMALL, SMALL]


@pytest.fixture
def fuse(tfreg, tmp_path):
    """Runs the command on files of the folder; answers what it said and where it wrote."""

    def run(first, second, *words):
        out = tmp_path / "out"
        paths = tmp_path / first, tmp_path / second
        return tfreg("fuse", *paths, "-m", FUSER, "-o", out, *words), out

    return run


def colours_of(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def write_dicom(path, array, height):
    """A slice of a CT that lies so many mm along z."""
    slab = sitk.GetImageFromArray(array.astype("uint16")[None])
    slab.SetSpacing((1.5, 1.5, 4.0))
    place = {"0020|0032": f"10\\-20\\{height}", "0020|0037": "1\\0\\0\\0\\1\\0"}
    for key, value in {"0008|0060": "CT", **place}.items():
        slab.SetMetaData(key, value)
    sitk.WriteImage(slab, str(path))


@pytest.mark.plain
def test_two_pictures(fuse, tmp_path, head):
    for name, image in zip("ab", head, strict=False):
        io.write_png(tmp_path / f"{name}.png", image, 0, 255)
    said, out = fuse("a.png", "b.png")
    assert said.code == 0, said.err
    assert re.match(r"fused, q_mi \d\.\d{4}, q_g 0\.", said.out) and f"written to {out}" in said.out
    files = {"fused.png", "weight.png", "fusion.json", "report.html"}
    assert {path.name for path in out.iterdir()} == files
    whole = {"first_range": (0, 255), "second_range": (0, 255)}
    answer = zoo.load(FUSER).fuse(head[0], head[1], **whole)
    for name in ("fused", "weight"):
        expected = np.rint(255 * getattr(answer, name))
        assert np.abs(io.read_image(out / f"{name}.png") - expected).max() <= 1
    record = json.loads((out / "fusion.json").read_text())
    assert 0 < record["q_g"] < 1 and set(record["sha256"]) == {"first", "second"}
    page = (out / "report.html").read_text()
    assert "a.png and b.png" in page and "first-fused" in page and f"{record['q_y']:.4f}" in page


@pytest.mark.plain
def test_light_of_a_picture_in_colour(fuse, tmp_path, head):
    io.write_png(tmp_path / "a.png", head[1], 0, 255)
    io.write_png(tmp_path / "b.png", head[2], 0, 255)
    said, out = fuse("a.png", "b.png")
    assert said.code == 0, said.err
    fused = colours_of(out / "fused.png")
    assert fused.shape == (64, 64, 3) and (fused[..., 0] > fused[..., 2]).any()
    said, _ = fuse("b.png", "a.png")
    assert said.code == 2 and "The image in colour must be the second one" in said.err
    said, _ = fuse("b.png", "b.png")
    assert said.code == 2 and "with --channels-apart" in said.err
    said, out = fuse("b.png", "b.png", "--channels-apart")
    assert said.code == 0, said.err
    assert np.abs(colours_of(out / "fused.png").astype(int) - head[2]).max() <= 1


@pytest.mark.plain
def test_grey_in_three_channels_is_grey(fuse, tmp_path, head):
    """Of 8 bits too: 0 to 255, not from the darkest to the brightest pixel."""
    dim = head[1] // 2
    for name, image in (("a", head[0]), ("grey", dim), ("rgb", np.stack([dim] * 3, axis=-1))):
        io.write_png(tmp_path / f"{name}.png", image, 0, 255)
    fused = []
    for name in ("grey", "rgb"):
        said, out = fuse("a.png", f"{name}.png")
        assert said.code == 0, said.err
        assert json.loads((out / "fusion.json").read_text())["second_range"] == [0, 255]
        fused.append(io.read_image(out / "fused.png"))
    np.testing.assert_array_equal(*fused)


def test_register_then_fuse_in_space(fuse, tmp_path, head):
    """The MRI on a grid of its own, 6 mm away: the fused image is on that of the CT."""
    grid = Geometry((64, 64), (1.5, 1.5), (10.0, -20.0), np.eye(2).tolist())
    there = Geometry((70, 60), (1.4, 1.6), (12.0, -18.0), np.eye(2).tolist())
    ct, mri = (Image(image.astype("float32"), grid) for image in head[:2])
    shift = transforms.Affine(np.eye(2), np.array([4.5, -3.0]))
    moved = shift.apply(mri, there, fill=0.0)
    io.write(ct, tmp_path / "ct.nii.gz")
    io.write(moved, tmp_path / "mri.mha")
    said, out = fuse("ct.nii.gz", "mri.mha")
    assert said.code == 2 and "register them before, with --register rigid" in said.err
    assert len(said.err.splitlines()) == 1 and not out.exists()
    said, out = fuse("ct.nii.gz", "mri.mha", "--register", "translation")
    assert said.code == 0, said.err
    names = {path.name for path in out.iterdir()}
    assert {"fused.nii.gz", "weight.nii.gz", "moved.nii.gz", "transform.h5"} <= names
    fused, back = io.read(out / "fused.nii.gz"), io.read(out / "moved.nii.gz")
    assert fused.geometry.matches(grid) and back.geometry.matches(grid)
    inside = back.array[8:-8, 8:-8], mri.array[8:-8, 8:-8]
    assert np.corrcoef(*(image.ravel() for image in inside))[0, 1] > 0.95
    assert back.array.max() > 150  # in its own intensities; the fused image is in [0, 1]
    found = transforms.load(out / "transform.h5").apply_points(np.array([grid.centre]))[0]
    expected = shift.inverse().apply_points(np.array([grid.centre]))[0]
    np.testing.assert_allclose(found, expected, atol=0.5)
    record = json.loads((out / "fusion.json").read_text())["registration"]
    assert (record["transform"], record["similarity"]) == ("translation", "mi")
    assert record["similarity_after"] > record["similarity_before"]


@pytest.mark.plain
def test_volumes_slice_by_slice(fuse, tmp_path, head):
    grid = Geometry((64, 64, 2), (1.5, 1.5, 4.0), (10.0, -20.0, 30.0), np.eye(3).tolist())
    for name, image in zip("ab", head, strict=False):
        io.write(Image(np.stack([image, image[::-1]]), grid), tmp_path / f"{name}.nii.gz")
    said, out = fuse("a.nii.gz", "b.nii.gz")
    assert said.code == 0, said.err
    fused = io.read(out / "fused.nii.gz")
    assert fused.geometry.matches(grid) and fused.array.dtype == np.float32
    assert json.loads((out / "fusion.json").read_text())["axis"] == 0
    said, _ = fuse("a.nii.gz", "b.nii.gz", "--axis", 2)
    assert said.code == 2 and "16 x 16 pixels or more. Received: 2 x 64" in said.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--similarity", "ngf"], "--similarity has no effect without --register"),
        (["--axis", 1], "--axis is for volumes"),
        (["--channels-apart"], "--channels-apart is for two images in colour"),
        (["--first-range", 9, 2], "first_range must be two finite numbers, the lower one first"),
        (["--second-range", 300, 400], "second must have intensities between 300 and 400"),
        (["-m", DIGITS], "what is needed here fuses: "),
    ],
)
def test_bad_options_are_refused_in_one_line(fuse, tmp_path, head, words, message):
    for name, image in zip("ab", head, strict=False):
        io.write_png(tmp_path / f"{name}.png", image, 0, 255)
    said, out = fuse("a.png", "b.png", *words)
    assert said.code == 2 and message in said.err and not out.exists()
    assert len(said.err.splitlines()) == 1


def test_what_shows_nothing_is_refused(fuse, tmp_path, head):
    io.write_png(tmp_path / "a.png", head[0], 0, 255)
    io.write_png(tmp_path / "b.png", np.full((64, 64), 7), 0, 255)
    said, _ = fuse("a.png", "b.png")
    assert said.code == 2 and "second must show something. Received: the value 7" in said.err
    np.save(tmp_path / "b.npy", np.full((64, 64), np.nan))
    said, _ = fuse("a.png", "b.npy")
    assert said.code == 2 and "not finite" in said.err


def test_slices_of_dicom_at_two_heights(fuse, tmp_path, head):
    """Which have the same x and y, and one of which lies 40 mm above the other."""
    for name, image, height in zip("ab", head, (0, 40), strict=False):
        write_dicom(tmp_path / f"{name}.dcm", 3 * image[::2, ::2].astype("uint16"), height)
    said, out = fuse("a.dcm", "b.dcm")
    assert said.code == 2 and "register them before" in said.err and not out.exists()
    assert said.err.count("size=(32, 32, 1)") == 2
    said, out = fuse("a.dcm", "b.dcm", "--register", "translation")
    assert said.code == 0, said.err
    assert "single slices: registered in two dimensions" in said.err
    record = json.loads((out / "fusion.json").read_text())
    assert "single slices" in record["registration"]["warnings"][0]
    assert "single slices" in (out / "report.html").read_text()
    fused = io.read(out / "fused.nii.gz")
    assert fused.geometry.matches(Geometry((32, 32), (1.5, 1.5), (10, -20), np.eye(2).tolist()))
    write_dicom(tmp_path / "b.dcm", head[1][::2, ::2], 0)
    assert fuse("a.dcm", "b.dcm")[0].code == 0


def test_colours_are_moved_with_their_light(fuse, tmp_path, head):
    grey = head[1][::2, ::2]
    colours = np.rint(grey[..., None] * np.array([0.9, 0.6, 0.3])).astype("uint8")
    io.write_png(tmp_path / "a.png", grey, 0, 255)
    io.write_png(tmp_path / "b.png", np.roll(colours, (2, -1), (0, 1)), 0, 255)
    said, out = fuse("a.png", "b.png", "--register", "translation")
    assert said.code == 0, said.err
    files = {"fused.png", "weight.png", "moved.png", "transform.h5", "fusion.json", "report.html"}
    assert files <= {path.name for path in out.iterdir()}
    inside = slice(4, -4), slice(4, -4)
    moved = colours_of(out / "moved.png").astype(int)
    assert np.abs(moved - colours)[inside].mean() < 4
    assert np.abs(np.roll(colours, (2, -1), (0, 1)).astype(int) - colours)[inside].mean() > 8
    fused = colours_of(out / "fused.png")[inside].reshape(-1, 3).mean(axis=0)
    assert fused[0] > 1.2 * fused[1] > 1.2 * fused[2]


def test_the_similarity_is_the_one_that_was_asked_for(fuse, tmp_path, head):
    for name, image in zip("ab", head, strict=False):
        small = image[::2, ::2].astype("int16")
        io.write(Image(small, Geometry.of_shape(small.shape, 1.5)), tmp_path / f"{name}.mha")
    said, out = fuse("a.mha", "b.mha", "--register", "translation", "--similarity", "ngf")
    assert said.code == 0, said.err
    record = json.loads((out / "fusion.json").read_text())["registration"]
    assert record["similarity"] == "ngf" and (out / "moved.mha").exists()
    assert "ngf after" in (out / "report.html").read_text()


SAGITTAL = [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


@pytest.mark.plain
@pytest.mark.parametrize(
    ("shape", "axis", "direction", "suffix"),
    [((3, 33, 31), 0, SAGITTAL, ".nii.gz"), ((33, 3, 29), 1, np.eye(3).tolist(), ".nrrd")],
)
def test_volumes_of_odd_sizes_and_any_orientation(
    fuse, tmp_path, head, shape, axis, direction, suffix
):
    grid = Geometry(shape[::-1], (1.5, 1.2, 4.0), (10.0, -20.0, 30.0), direction)
    sides = [n for k, n in enumerate(shape) if k != axis]
    volumes = []
    for name, image in zip("ab", head, strict=False):
        slices = np.stack([image, image[::-1], image.T])[:, : sides[0], : sides[1]]
        volumes.append(np.moveaxis(slices, 0, axis))
        io.write(Image(volumes[-1], grid), tmp_path / f"{name}{suffix}")
    said, out = fuse(f"a{suffix}", f"b{suffix}", "--axis", axis)
    assert said.code == 0, said.err
    fused = io.read(out / f"fused{suffix}")
    assert fused.geometry.matches(grid)
    whole = {"first_range": (0, 255), "second_range": (0, 255)}
    alone = zoo.load(FUSER).fuse(*(volume.take(1, axis) for volume in volumes), **whole)
    np.testing.assert_allclose(fused.array.take(1, axis), alone.fused, atol=1e-5)


def test_nothing_is_registered_in_vain(fuse, tmp_path, head, monkeypatch):
    """What cannot be fused is refused before."""

    def aligned(*_):
        pytest.fail("images were registered")

    monkeypatch.setattr("tfreg.cli.fuse.aligned", aligned)
    for name, image in zip(("ct", "mri", "pet"), head, strict=True):
        io.write_png(tmp_path / f"{name}.png", image, 0, 255)
        io.write_png(tmp_path / f"{name}_small.png", image[:15], 0, 255)
    for first, second, words, message in (
        ("pet", "mri", (), "The image in colour must be the second one"),
        ("pet", "pet", (), "with --channels-apart"),
        ("ct_small", "mri_small", (), "16 x 16 pixels or more. Received: 15 x 64"),
        ("ct", "mri", ("--second-range", 3, 3), "second_range must be two finite numbers"),
    ):
        said, out = fuse(f"{first}.png", f"{second}.png", "--register", "rigid", *words)
        assert said.code == 2 and message in said.err and not out.exists()


def test_free_form_transforms_are_stiff():
    """Mutual information alone would bend what lies between the outlines."""
    grid = Geometry.of_shape((40, 80, 90), (4.0, 2.0, 1.5))
    stiff, rigid = (alignment._pyramid(kind, grid).levels for kind in ("bspline", "rigid"))
    usual = pyramid("default", "bspline", grid.shape, grid.spacing[::-1]).levels
    assert rigid == pyramid("default", "rigid", grid.shape, grid.spacing[::-1]).levels
    assert {(level.grid_spacing, level.weight) for level in stiff} == {(48.0, 1.0)}
    assert [level.shrink for level in stiff] == [level.shrink for level in usual[:-1]]
    with pytest.raises(InputError, match="transform must be one of"):
        alignment._pyramid("bend", grid)
