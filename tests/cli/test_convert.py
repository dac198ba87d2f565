import os

import numpy as np
import pytest
import SimpleITK as sitk

from tfreg import transforms


def itk_points(path, points):
    transform = sitk.ReadTransform(str(path))
    return np.array([transform.TransformPoint(point) for point in points.tolist()])


@pytest.mark.parametrize(
    ("name", "grid", "tolerance"),
    [
        ("out.tfm", False, 1e-6),
        ("out.h5", False, 1e-6),
        ("TransformParameters.0.txt", True, 1e-4),
        ("out.nii.gz", True, 0.2),
        ("out.mha", True, 0.2),
        ("out.nrrd", True, 0.2),
    ],
)
def test_formats_hold_the_same_map(clinic, tfreg, tmp_path, name, grid, tolerance):
    words = ["convert", "whole.h5", "-o", tmp_path / name]
    answer = tfreg(*words, *(["--grid", "fixed.nii.gz"] if grid else []))
    assert answer.code == 0 and answer.err == "" and str(tmp_path / name) in answer.out
    found = transforms.load(tmp_path / name).apply_points(clinic.points)
    np.testing.assert_allclose(found, clinic.ends, atol=tolerance)
    said = answer.out.strip()
    assert said.endswith("exact") if tolerance < 1e-3 else "to within 0." in said
    if name.startswith("out.") and not grid:
        np.testing.assert_allclose(itk_points(tmp_path / name, clinic.points), found, atol=1e-6)


def test_several_become_one_and_its_inverse(clinic, tfreg, tmp_path):
    words = ("convert", "spline.tfm", "shift.mat", "-o", tmp_path / "one.h5")
    assert tfreg(*words).code == 0
    found = transforms.load(tmp_path / "one.h5").apply_points(clinic.points)
    np.testing.assert_allclose(found, clinic.ends, atol=1e-6)
    words = ("convert", "shift.mat", "--inverse", "-o", tmp_path / "back.mat", "--format", "ants")
    assert tfreg(*words).code == 0
    back = transforms.load(tmp_path / "back.mat")
    shift = transforms.load(clinic.folder / "shift.mat")
    round_trip = back.apply_points(shift.apply_points(clinic.points))
    np.testing.assert_allclose(round_trip, clinic.points, atol=1e-9)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.h5", "-o", "x.tfm"], "none.h5"),
        (["fixed.csv", "-o", "x.tfm"], "fixed.csv"),
        (["whole.h5", "-o", "x.foo"], "x.foo"),
        (["whole.h5", "-o", "x.nii.gz"], "--grid"),
        (["whole.h5", "-o", "TransformParameters.txt"], "--grid"),
        (["whole.h5", "-o", "x.mat"], "linear"),
        (["whole.h5", "-o", "x.tfm", "--format", "image"], "image"),
    ],
)
def test_unusable_input_is_one_line(clinic, tfreg, words, message):
    before = sorted(os.listdir(clinic.folder))
    answer = tfreg("convert", *words)
    assert answer.code == 2 and len(answer.err.splitlines()) == 1, answer.err
    assert message in answer.err and "grid=" not in answer.err
    assert sorted(os.listdir(clinic.folder)) == before


def test_a_folder_that_cannot_be_written_to(clinic, tfreg, tmp_path):
    (tmp_path / "taken").write_text("here first")
    answer = tfreg("convert", "whole.h5", "-o", tmp_path / "taken" / "x.tfm")
    assert answer.code == 2 and "taken" in answer.err
    assert (tmp_path / "taken").read_text() == "here first"
