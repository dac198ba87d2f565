import os

import numpy as np
import pytest
import SimpleITK as sitk

from tfreg import Image, io, transforms
from tfreg.io.points import SUFFIXES


def resampled_by_itk(clinic, path, interpolator, fill):
    """The moving image through SimpleITK, which reads the same transform."""
    moving, fixed = sitk.ReadImage(str(path)), sitk.ReadImage(str(clinic.folder / "fixed.nii.gz"))
    transform = sitk.ReadTransform(str(clinic.folder / "whole.h5"))
    return sitk.GetArrayFromImage(sitk.Resample(moving, fixed, transform, interpolator, fill))


def test_an_image(clinic, tfreg, tmp_path):
    out = tmp_path / "moved.nii.gz"
    answer = tfreg("warp", "moving.mha", "-t", "whole.h5", "--grid", "fixed.nii.gz", "-o", out)
    assert answer.code == 0 and answer.err == "" and "20 x 16 x 12" in answer.out
    moved = io.read(out)
    assert moved.geometry.matches(clinic.fixed) and moved.array.dtype == np.int16
    low = float(clinic.image.array.min())
    expected = resampled_by_itk(clinic, clinic.folder / "moving.mha", sitk.sitkLinear, low)
    inside = expected != low
    assert np.abs(moved.array.astype(float) - expected)[inside].max() <= 1.01  # both round
    assert inside.mean() > 0.5 and moved.array.min() == low
    assert os.listdir(tmp_path) == ["moved.nii.gz"]


def test_labels_stay_labels(clinic, tfreg, tmp_path):
    out = tmp_path / "moved.nrrd"
    words = ("warp", "moving_labels.nrrd", "-t", "whole.h5", "--grid", "fixed.nii.gz", "-o", out)
    assert tfreg(*words, "--labels").code == 0
    moved = io.read(out)
    np.testing.assert_array_equal(moved.array, clinic.fixed_labels.array)
    assert moved.array.dtype == np.uint8 and {*np.unique(moved.array)} == {0, 2, 7}
    assert tfreg(*words, "--interpolation", "label").code == 0
    smooth = io.read(out).array
    assert {*np.unique(smooth)} == {0, 2, 7} and 0 < (smooth != moved.array).mean() < 0.1
    assert tfreg(*words).code == 0  # as intensities they would mix
    assert len(np.unique(io.read(out).array)) > 3
    answer = tfreg(*words, "--labels", "--interpolation", "cubic")
    assert answer.code == 2 and "must not be mixed" in answer.err


def test_several_transforms_in_the_order_of_points(clinic, tfreg, tmp_path):
    for name, files in (("one", ["whole.h5"]), ("two", ["spline.tfm", "shift.mat"])):
        words = ("warp", "fixed.csv", "-t", *files, "-o", tmp_path / f"{name}.csv")
        assert tfreg(*words).code == 0
        np.testing.assert_allclose(io.read_points(tmp_path / f"{name}.csv"), clinic.ends, atol=1e-6)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_points_of_every_format(clinic, tfreg, tmp_path, suffix):
    io.write_points(clinic.points, tmp_path / f"in{suffix}")
    out = tmp_path / f"out{suffix}"
    answer = tfreg("warp", tmp_path / f"in{suffix}", "-t", "whole.h5", "-o", out)
    assert answer.code == 0 and answer.out.startswith("15 points")
    np.testing.assert_allclose(io.read_points(out), clinic.ends, atol=1e-4)


def test_points_as_voxels(clinic, tfreg, tmp_path):
    voxels = clinic.fixed.to_physical([[3, 4, 5], [8, 2, 11]])
    io.write_points(voxels, tmp_path / "in.txt", clinic.fixed)
    words = ("warp", tmp_path / "in.txt", "-t", "whole.h5", "-o", tmp_path / "out.csv")
    assert tfreg(*words).code == 2
    assert tfreg(*words, "--grid", "fixed.nii.gz").code == 0
    found = io.read_points(tmp_path / "out.csv")
    np.testing.assert_allclose(found, clinic.whole.apply_points(voxels), atol=1e-6)


def test_the_inverse_takes_points_back(clinic, tfreg, tmp_path):
    out = tmp_path / "back.csv"
    assert tfreg("warp", "moving.csv", "-t", "whole.h5", "--inverse", "-o", out).code == 0
    np.testing.assert_allclose(io.read_points(out), clinic.points, atol=1e-3)


def test_a_displacement_brings_its_grid(clinic, tfreg, tmp_path):
    transforms.save(clinic.whole, tmp_path / "u.nii.gz", clinic.fixed)
    words = ("warp", "moving.mha", "-t", tmp_path / "u.nii.gz", "-o", tmp_path / "moved.mha")
    assert tfreg(*words).code == 0
    assert io.read(tmp_path / "moved.mha").geometry.matches(clinic.fixed)
    answer = tfreg(*words, "--inverse")
    assert answer.code == 2 and "--grid IMAGE is needed" in answer.err


def test_values_outside(clinic, tfreg, tmp_path):
    far = transforms.Affine(np.eye(3), [500.0, 0.0, 0.0])
    transforms.save(far, tmp_path / "far.tfm")
    words = ("warp", "moving.mha", "-t", tmp_path / "far.tfm", "--grid", "fixed.nii.gz")
    out = tmp_path / "moved.mha"
    for options, value in (((), clinic.image.array.min()), (("--fill", -1024), -1024)):
        assert tfreg(*words, *options, "-o", out).code == 0
        assert np.unique(io.read(out).array).tolist() == [value]


def test_cubic_overshoot_does_not_wrap_round(tfreg, tmp_path):
    stripes = np.zeros((16, 16), "uint8")
    stripes[:, 8:] = 255
    io.write_png(tmp_path / "a.png", stripes, 0, 255)
    half = transforms.Affine(np.eye(2), [0.4, 0.0])
    transforms.save(half, tmp_path / "half.tfm")
    words = ("warp", tmp_path / "a.png", "-t", tmp_path / "half.tfm", "--grid", tmp_path / "a.png")
    assert tfreg(*words, "--interpolation", "cubic", "-o", tmp_path / "b.png").code == 0
    moved = io.read(tmp_path / "b.png").array
    assert (moved[:, :6] < 20).all() and (moved[:, 9:15] > 235).all()


def test_values_beyond_the_stored_type_are_counted(clinic, tfreg, tmp_path):
    io.write(Image(clinic.image.array.astype("uint16"), clinic.moving), tmp_path / "a.mha")
    transforms.save(transforms.Affine(np.eye(3), [500.0, 0.0, 0.0]), tmp_path / "far.tfm")
    words = ("warp", tmp_path / "a.mha", "-t", tmp_path / "far.tfm", "--grid", "fixed.nii.gz")
    answer = tfreg(*words, "--fill", -1024, "-o", tmp_path / "b.mha")
    assert answer.code == 0 and answer.err == (
        "tfreg warp: warning: 3840 of 3840 voxels are beyond uint16 and take its ends, 0 and 65535."
        " Received: -1024 to -1024\n"
    )
    assert not io.read(tmp_path / "b.mha").array.any()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["moving.mha", "-t", "none.h5", "--grid", "fixed.nii.gz", "-o", "x.mha"], "none.h5"),
        (["none.mha", "-t", "whole.h5", "--grid", "fixed.nii.gz", "-o", "x.mha"], "none.mha"),
        (["moving.mha", "-t", "whole.h5", "--grid", "none.nii", "-o", "x.mha"], "none.nii"),
        (["moving.mha", "-t", "whole.h5", "-o", "x.mha"], "--grid IMAGE is needed"),
        (["moving.mha", "-t", "whole.h5", "--grid", "fixed.nii.gz", "-o", "x.foo"], "x.foo"),
        (["moving.mha", "-t", "moving.mha", "--grid", "fixed.nii.gz", "-o", "x.mha"], "moving.mha"),
        (["fixed.csv", "-t", "whole.h5", "--labels", "-o", "x.csv"], "--labels is for images"),
        (["fixed.csv", "-t", "whole.h5", "--fill", "0", "-o", "x.csv"], "--fill is for images"),
        (["fixed.csv", "-t", "whole.h5", "-o", "x.mha"], "Points are written to"),
        (["fixed.csv", "-t", "flat.tfm", "-o", "x.csv"], "2-D"),
        (["moving.mha", "-t", "flat.tfm", "--grid", "fixed.nii.gz", "-o", "x.mha"], "2-D"),
        (["moving.mha", "-t", "whole.h5", "flat.tfm", "-o", "x.mha"], "2-D"),
        (["moving.mha", "-t", "u.mha", "-o", "fixed.csv/x.mha"], "fixed.csv"),
    ],
)  # fmt: skip
def test_unusable_input_is_one_line(clinic, tfreg, words, message):
    transforms.save(transforms.Affine.identity(2), clinic.folder / "flat.tfm")
    transforms.save(clinic.whole, clinic.folder / "u.mha", clinic.fixed)
    before = sorted(os.listdir(clinic.folder))
    answer = tfreg("warp", *words)
    assert answer.code == 2 and len(answer.err.splitlines()) == 1, answer.err
    assert message in answer.err and answer.out == ""
    assert sorted(os.listdir(clinic.folder)) == before


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_voxels_that_are_no_numbers(clinic, tfreg, tmp_path, value):
    array = clinic.image.array.astype("float32")
    array[2, 3, 4] = value
    io.write(Image(array, clinic.moving), tmp_path / "bad.mha")
    words = ("warp", tmp_path / "bad.mha", "-t", "whole.h5", "--grid", "fixed.nii.gz")
    answer = tfreg(*words, "-o", tmp_path / "x.mha")
    assert answer.code == 2 and "bad.mha has voxels that are not finite" in answer.err
    assert not (tmp_path / "x.mha").exists()
