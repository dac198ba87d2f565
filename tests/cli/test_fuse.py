import json
import re

import numpy as np
import pytest
import SimpleITK as sitk
from shipped import DIGITS, FUSER

import zoo
from tfreg import Geometry, Image, io, transforms
from tfreg.data import heads

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
    assert said.code == 2 and "register them before, with --register affine" in said.err
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
