"""``--nifti-space`` in every command that reads images, on a header that states two places."""

import json
import shutil

import numpy as np
import pytest

from tfreg import Geometry, Image, io, transforms
from tfreg.data import phantoms

nib = pytest.importorskip("nibabel")
COMMANDS = ("warp", "points", "convert", "evaluate", "register", "batch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A slice whose qform puts it 6 mm from where its sform does, and its labels by nibabel."""
    folder = tmp_path_factory.mktemp("twice")
    voxels = phantoms.digits(10, seed=8).images[4].T[:, :, None]
    sform = np.diag([-2.0, -3, 4, 1])
    qform = sform.copy()
    qform[1, 3] = -6
    image = nib.Nifti1Image(voxels.astype("i2"), sform)
    image.set_sform(sform, 2)
    image.set_qform(qform, 1)
    nib.save(image, folder / "image.nii")
    shutil.copy(folder / "image.nii", folder / "moving.nii")
    labels = nib.Nifti1Image((voxels > 99).astype("u1"), nib.load(folder / "image.nii").affine)
    nib.save(labels, folder / "labels.nii")
    transforms.save(transforms.Affine.identity(3), folder / "none.tfm")
    (folder / "pairs.csv").write_text("fixed,moving\nimage.nii,moving.nii\n")
    (folder / "points.csv").write_text("i,j,k\n1,2,0\n")
    return folder


def words_of(command, out):
    """The words of a command that reads ``image.nii``."""
    grid, quick = ("--grid", "image.nii"), ("--transform", "translation", "--pyramid", "fast")
    return {
        "warp": ("warp", "labels.nii", "-t", "none.tfm", "--labels", *grid, "-o", out / "o.nii"),
        "points": ("warp", "image.nii", "-t", "none.tfm", *grid, "-o", out / "o.nii"),
        "convert": ("convert", "none.tfm", *grid, "-o", out / "o.mha"),
        "evaluate": (
            *("evaluate", "--fixed-labels", "image.nii", "--moving-labels", "image.nii"),
            *("--labels", "255", "--json"),
        ),
        "register": ("register", "image.nii", "labels.nii", *quick, "-o", out),
        "batch": ("batch", "pairs.csv", *quick, "-o", out),
    }[command]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_warns_once_and_lets_choose(folder, tfreg, tmp_path, monkeypatch, command):
    monkeypatch.chdir(folder)
    for choice in ((), ("--nifti-space", "sform"), ("--nifti-space", "qform")):
        out = tmp_path / "-".join((command, *choice))
        out.mkdir()
        answer = tfreg(*words_of(command, out), *choice)
        assert answer.code == 0, answer.err
        said = [line for line in answer.err.splitlines() if "image.nii states its place" in line]
        assert len(said) == int(not choice), answer.err
        if said:
            assert "its qform up to 6 mm from it; --nifti-space qform" in said[0]


def test_labels_meet_the_image_where_the_sform_counts(folder, tfreg, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    labels = io.read("labels.nii").array
    for choice, meets in (((), True), (("--nifti-space", "qform"), False)):
        assert tfreg(*words_of("warp", tmp_path), *choice).code == 0
        assert (io.read(tmp_path / "o.nii").array == labels).all() == meets


def test_the_choice_is_kept_with_the_answer(folder, tfreg, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    words = words_of("register", tmp_path)
    assert tfreg(*words, "--nifti-space", "qform").code == 0
    record = json.loads((tmp_path / "registration.json").read_text())
    assert record["nifti_space"] == "qform"
    assert record["provenance"]["nifti_space"] == "qform"


def test_a_choice_that_there_is_not(folder, tfreg, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit):
        tfreg(*words_of("warp", tmp_path), "--nifti-space", "scanner")


@pytest.mark.long
@pytest.mark.parametrize("slices", [1, 2])
def test_volumes_of_few_slices(tfreg, tmp_path, slices):
    images = phantoms.digits(10, seed=8).images[[4, 4]].astype("float32")
    images[1] = np.roll(images[0], 1, axis=1)
    grid = Geometry((*images[0].shape[::-1], slices), (1.2, 1.2, 8.0), (3.0, 4, 5), np.eye(3))
    for name, image in zip(("fixed", "moving"), images, strict=True):
        io.write(Image(np.repeat(image[None], slices, 0), grid), tmp_path / f"{name}.nii")
    files = (tmp_path / "fixed.nii", tmp_path / "moving.nii")
    answer = tfreg("register", *files, "--transform", "translation", "-o", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert ("single slices: registered in two dimensions" in answer.err) == (slices == 1)
    transform = transforms.load(tmp_path / "out" / "transform.h5")
    centre = grid.centre[: transform.ndim]
    shift = transform.apply_points(centre[None])[0] - centre
    np.testing.assert_allclose(shift[:2], [1.2, 0], atol=0.05)
