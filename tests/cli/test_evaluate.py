import json

import numpy as np
import pytest

from tfreg import Image, io, metrics, transforms
from tfreg.metrics import l2r_compatible

LABELS = ("--fixed-labels", "fixed_labels.nii.gz", "--moving-labels", "moving_labels.nrrd")
POINTS = ("--fixed-points", "fixed.csv", "--moving-points", "moving.csv")


def of(answer):
    assert answer.code == 0 and answer.err == "", answer.err
    return json.loads(answer.out)


def test_the_true_transform(tfreg):
    found = of(tfreg("evaluate", "-t", "whole.h5", *LABELS, *POINTS, "--json"))
    assert found["labels"].keys() == {"2", "7"}
    for score in [*found["labels"].values(), found["mean"]]:
        assert score == {"dice": 1.0, "hd95_mm": 0.0, "surface_distance_mm": 0.0}
    assert found["landmarks"]["count"] == 15 and found["landmarks"]["max_mm"] < 1e-6
    assert found["transform"].keys() == {
        "folding_percent", "jacobian_min", "jacobian_max", "sd_log_jacobian",
    }  # fmt: skip


def test_without_a_transform_the_headers_count(clinic, tfreg):
    found = of(tfreg("evaluate", *LABELS, *POINTS, "--json"))
    moved = clinic.moving_labels.resample(clinic.fixed, "nearest", fill=0).array
    expected = metrics.dice(clinic.fixed_labels.array, moved)
    spacing = clinic.fixed.spacing[::-1]
    for label, score in found["labels"].items():
        assert score["dice"] == expected[int(label)] < 0.5
        masks = [array == int(label) for array in (clinic.fixed_labels.array, moved)]
        distance = metrics.hausdorff95(*masks, spacing)
        assert score["hd95_mm"] == (None if np.isnan(distance) else pytest.approx(distance))
    distances = np.linalg.norm(clinic.points - clinic.ends, axis=1)
    assert found["landmarks"]["mean_mm"] == pytest.approx(distances.mean())
    assert found["landmarks"]["median_mm"] == pytest.approx(np.median(distances))
    assert found["landmarks"]["sd_mm"] == pytest.approx(distances.std())
    assert found["landmarks"]["max_mm"] == pytest.approx(distances.max())
    assert "transform" not in found


def test_surfaces_in_millimetres_of_the_grid(clinic, tfreg, tmp_path):
    """A label moved by two voxels along z, 3 mm each."""
    array = np.zeros(clinic.fixed.shape, "uint8")
    array[3:6, 5:9, 6:12] = 4
    io.write(Image(array, clinic.fixed), tmp_path / "a.mha")
    io.write(Image(np.roll(array, 2, axis=0), clinic.fixed), tmp_path / "b.mha")
    files = ("--fixed-labels", tmp_path / "a.mha", "--moving-labels", tmp_path / "b.mha")
    found = of(tfreg("evaluate", *files, "--json"))
    assert found["labels"]["4"]["hd95_mm"] == pytest.approx(6.0)
    assert found["labels"]["4"]["dice"] == pytest.approx(1 / 3)
    found = of(tfreg("evaluate", *files, "--labels", 4, 9, "--json"))
    assert found["labels"]["9"] == {"dice": None, "hd95_mm": None, "surface_distance_mm": None}
    assert found["mean"]["dice"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("protocol", [(), ("--l2r",)])
def test_ids_of_uint64_stay_what_they_are(clinic, tfreg, tmp_path, protocol):
    """Also where the grids differ, and the moving labels are resampled."""
    top = 2**63 + 5
    ids = np.array([0, 0, top, 0, 0, 0, 0, top + 1], "uint64")
    for name, labels in (("a", clinic.fixed_labels), ("b", clinic.moving_labels)):
        io.write(Image(ids[labels.array], labels.geometry), tmp_path / f"{name}.nii.gz")
    files = ("--fixed-labels", tmp_path / "a.nii.gz", "--moving-labels", tmp_path / "b.nii.gz")
    words = ("evaluate", "-t", "whole.h5", *protocol, "--json")
    found = of(tfreg(*words, *files))["labels"]
    assert list(found) == [str(top), str(top + 1)]
    small = of(tfreg(*words, *LABELS))["labels"]
    assert found[str(top)] == small["2"] and found[str(top + 1)] == small["7"]
    assert list(of(tfreg(*words, *files, "--labels", top))["labels"]) == [str(top)]


def test_folding_and_jacobian(clinic, tfreg, tmp_path):
    """Of a stretch by 2 along x only; and of steps back on a part of the grid."""
    stretch = transforms.Affine(np.diag([2.0, 1.0, 1.0]), np.zeros(3))
    transforms.save(stretch, tmp_path / "stretch.tfm")
    words = ("evaluate", "-t", tmp_path / "stretch.tfm", "--grid", "fixed.nii.gz", "--json")
    found = of(tfreg(*words))["transform"]
    assert found["folding_percent"] == 0 and found["sd_log_jacobian"] == pytest.approx(0, abs=1e-6)
    assert found["jacobian_min"] == pytest.approx(2) and found["jacobian_max"] == pytest.approx(2)
    field = np.zeros((*clinic.fixed.shape, 3))
    field[6:] = -3 * 3.0 * np.array(clinic.fixed.direction)[:, 2]
    transforms.save(transforms.Displacement(field, clinic.fixed), tmp_path / "fold.mha")
    words = ("evaluate", "-t", tmp_path / "fold.mha", "--grid", "fixed.nii.gz", "--json")
    assert of(tfreg(*words))["transform"]["folding_percent"] == pytest.approx(100 / 6)
    mask = np.zeros(clinic.fixed.shape, "uint8")
    mask[5:7] = 1
    io.write(Image(mask, clinic.fixed), tmp_path / "mask.nrrd")
    found = of(
        tfreg("evaluate", "-t", tmp_path / "fold.mha", "--mask", tmp_path / "mask.nrrd", "--json")
    )
    assert found["transform"]["folding_percent"] == 100
    assert found["transform"]["jacobian_max"] == pytest.approx(-0.5)


def test_learn2reg(clinic, tfreg):
    found = of(tfreg("evaluate", "-t", "whole.h5", *LABELS, *POINTS, "--l2r", "--json"))
    index = np.moveaxis(np.indices(clinic.fixed.shape), 0, -1)
    ends = clinic.whole.apply_points(clinic.fixed.to_physical(index).reshape(-1, 3))
    u = clinic.moving.to_index(ends).reshape(index.shape) - index
    maps = clinic.fixed_labels.array, clinic.moving_labels.array
    moved = l2r_compatible.warp_labels(maps[1], u)
    dice = l2r_compatible.dice(*maps, moved, (2, 7))
    distance = l2r_compatible.hausdorff95(*maps, moved, (2, 7))
    for label in (2, 7):
        assert found["labels"][str(label)] == {
            "dice": pytest.approx(dice[label]), "hd95_voxels": pytest.approx(distance[label]),
        }  # fmt: skip
    errors = l2r_compatible.target_registration_error(
        clinic.fixed.to_index(clinic.points), clinic.moving.to_index(clinic.ends), u,
        clinic.moving.spacing[::-1],
    )  # fmt: skip
    assert found["landmarks"]["mean_mm"] == pytest.approx(errors.mean(), abs=1e-6)
    assert found["transform"].keys() == {"folding_percent", "sd_log_jacobian"}
    assert "Learn2Reg" in found["protocol"]


def test_the_table(tfreg):
    answer = tfreg("evaluate", "-t", "whole.h5", *LABELS, *POINTS)
    lines = answer.out.splitlines()
    assert answer.code == 0 and lines[0].split() == [
        *("label", "Dice", "HD95", "(mm)", "surface", "distance", "(mm)")
    ]
    assert lines[1].split() == ["2", "1.0000", "0.0000", "0.0000"]
    assert lines[3].split()[0] == "mean" and len({len(line) for line in lines[:4]}) == 1
    assert any(line.split() == ["landmarks", "15"] for line in lines)
    assert any(line.startswith("folding (%)") for line in lines)
    assert lines[-1].startswith("protocol tfreg: labels of the nearest voxel")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to measure"),
        (["-t", "whole.h5"], "--grid FIXED is needed"),
        (["--mask", "fixed.nii.gz", *LABELS], "--mask has no effect"),
        (["--inverse", *LABELS], "--inverse has no effect"),
        (["--labels", "2", *POINTS], "--labels has no effect"),
        (["--grid", "fixed.nii.gz", *LABELS], "--grid has no effect"),
        ([*LABELS[:2]], "needed together"),
        ([*POINTS[2:]], "needed together"),
        ([*POINTS, "--l2r"], "--grid FIXED is needed"),
        ([*LABELS[:3], "none.nrrd"], "none.nrrd"),
        ([*LABELS[:3], "half.mha"], "whole numbers"),
        ([*POINTS[:3], "few.csv"], "as many"),
        ([*LABELS[:3], "flat.mha"], "all 3-D"),
        (["-t", "flat.tfm", *LABELS], "all 3-D"),
        (["-t", "flat.tfm", "--grid", "flat.mha", "--l2r"], "3-D images"),
        (["-t", "whole.h5", "--grid", "thin.mha"], "2 voxels"),
        (["-t", "whole.h5", "--grid", "thin.mha", "--l2r"], "5 voxels"),
        (["-t", "whole.h5", "--mask", "empty.mha"], "no voxel"),
    ],
)
def test_unusable_input_is_one_line(clinic, tfreg, words, message):
    grid = clinic.fixed
    io.write(Image(np.full(grid.shape, 0.5, "float32"), grid), clinic.folder / "half.mha")
    io.write(Image(np.zeros(grid.shape, "uint8"), grid), clinic.folder / "empty.mha")
    flat = clinic.fixed_labels.array[0]
    from tfreg import Geometry

    io.write(Image(flat, Geometry.of_shape(flat.shape)), clinic.folder / "flat.mha")
    thin = Geometry((20, 16, 1), grid.spacing, grid.origin, grid.direction)
    io.write(Image(np.zeros(thin.shape, "uint8"), thin), clinic.folder / "thin.mha")
    io.write_points(clinic.points[:3], clinic.folder / "few.csv")
    transforms.save(transforms.Affine.identity(2), clinic.folder / "flat.tfm")
    answer = tfreg("evaluate", *words)
    assert answer.code == 2 and len(answer.err.splitlines()) == 1, answer.err
    assert message in answer.err and answer.out == ""


def test_landmarks_of_a_flat_image_and_as_voxels(clinic, tfreg, tmp_path):
    shift = transforms.Affine(np.eye(2), [3.0, -1.0])
    points = np.array([[1.0, 2.0], [5.0, 3.0], [4.0, 7.5]])
    for suffix in ("vtk", "csv"):
        io.write_points(points, tmp_path / f"fixed.{suffix}")
        io.write_points(points + np.array([3.0, 1.0]), tmp_path / f"moving.{suffix}")
    transforms.save(shift, tmp_path / "flat.tfm")
    for one, other in (("vtk", "vtk"), ("csv", "vtk"), ("vtk", "csv")):
        words = ("--fixed-points", tmp_path / f"fixed.{one}")
        words += ("--moving-points", tmp_path / f"moving.{other}", "--json")
        found = of(tfreg("evaluate", "-t", tmp_path / "flat.tfm", *words))
        assert found["landmarks"]["mean_mm"] == pytest.approx(2.0)
        assert of(tfreg("evaluate", *words))["landmarks"]["mean_mm"] == pytest.approx(10**0.5)
    io.write_points(clinic.points, tmp_path / "fixed.txt", clinic.fixed)
    words = ("--fixed-points", tmp_path / "fixed.txt", "--moving-points", "moving.csv", "--json")
    for more in (("--grid", "fixed.nii.gz"), ("-t", "whole.h5", "--grid", "fixed.nii.gz"), LABELS):
        found = of(tfreg("evaluate", *words, *more))["landmarks"]
        exact = 0.0 if "-t" in more else np.linalg.norm(clinic.points - clinic.ends, axis=1).mean()
        assert found["mean_mm"] == pytest.approx(exact, abs=1e-4)
