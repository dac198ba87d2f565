import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import evaluate, pairs, readme
from benchmarks.__main__ import main
from benchmarks.harness import Table
from benchmarks.judge import judge
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.instance import Instance
from benchmarks.methods.others import NEEDS, Tool, installed
from benchmarks.methods.worker import WorkerError
from benchmarks.pairs import Pair
from benchmarks.tables.optimise import Measurement
from tfreg.registration import Level, Pyramid

RESULTS = Path(readme.ROOT, "benchmarks", "results")
QUICK = Pyramid((Level(shrink=2, grid_spacing=16, steps=30), Level(grid_spacing=8, steps=10)))


def cells(path):
    rows = json.loads((Path(path) / "table.json").read_text())["rows"]
    return {(row["method"], row["metric"]): row for row in rows if row["group"] == "all"}


@pytest.fixture(scope="module")
def blob():
    """A pair whose map is a known shift, on anisotropic voxels, and where to start."""
    grid = np.moveaxis(np.indices((20, 30, 26)), 0, -1).astype(float)
    spacing = np.array([2.0, 1.0, 1.0])
    rng = np.random.default_rng(2)
    places = np.array([10, 15, 13]) * spacing + rng.normal(0, 4, (8, 3))

    def image(where):
        distance = ((where * spacing)[..., None, :] - places) ** 2
        return (100 * np.exp(-distance.sum(axis=-1) / 12) * np.arange(1, 9)).sum(axis=-1)

    shift = np.array([1.5, -2.0, 3.0])
    points = places / spacing
    return Pair(
        "blob",
        image(grid),
        image(grid - shift),
        tuple(spacing),
        fixed_points=points,
        moving_points=points + shift,
        fixed_mask=(image(grid) > 5).astype("uint8"),
        start=(1.0, 0.0, 2.0),
    )


def assert_follows(pair, displacement, within=0.4):
    error = np.mean(judge(pair, displacement, {})["tre"])
    start = np.mean(judge(pair, np.broadcast_to(pair.start, displacement.shape), {})["tre"])
    assert start > 2.4 and error < within


def test_methods_agree_on_axes_spacing_mask_and_start(blob):
    found, seconds, compiling = Instance(pyramid=QUICK)([blob])
    assert_follows(blob, found[0])
    assert seconds > 0 and compiling > 0


def test_elastix_agrees_too(blob):
    pytest.importorskip("itk")
    settings = Settings(100, 8, samples=1000, affine=True)
    elastix = Elastix(settings)
    try:
        arguments = (blob.fixed, blob.moving, blob.spacing, blob.fixed_mask, blob.start)
        displacement, seconds, _ = elastix(*arguments)
        assert_follows(blob, displacement)
        assert seconds > 0
        with pytest.raises(WorkerError):
            elastix(blob.fixed, blob.moving, blob.spacing, 0 * blob.fixed_mask)
        affine, spline = settings.parameters(3)
        assert affine["Transform"] == ["AffineTransform"]
        assert spline["NumberOfSpatialSamples"] == ["1000"]
        assert replace(settings, samples=None).parameters(3)[1]["ImageSampler"] == ["Full"]
    finally:
        elastix.close()


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("name", NEEDS)
def test_other_tools_agree_too(blob, name, affine):
    if not installed(name):
        pytest.skip(f"{NEEDS[name]} is not installed")
    tool = Tool(name, affine)
    try:
        displacement, seconds, _ = tool(blob)
        assert_follows(blob, displacement, within=0.8)
        assert seconds > 0
    finally:
        tool.close()


def test_a_method_that_fails_counts_as_its_start_and_is_noted(blob):
    table = Table("t", "d", "p", {"seconds": "median"})
    measurement = Measurement(table, [blob, replace(blob, name="other")], {})
    rest = np.zeros((*blob.fixed.shape, 3), "float32")

    def fails(pair):
        if pair.name != "other":
            raise WorkerError("too many samples")
        return rest, 2.0, 0.0

    first, second = measurement._theirs("broken", fails)
    np.testing.assert_array_equal(first[0, 0, 0], blob.start)
    np.testing.assert_array_equal(second, rest)
    assert table.notes == ["broken failed on blob: too many samples"]
    assert [row.n for row in table.rows if row.metric == "seconds"] == [1]


def test_a_method_that_always_fails_has_no_row(blob):
    table = Table("t", "d", "p", {"seconds": "median"})
    measurement = Measurement(table, [blob, replace(blob, name="other")], {})

    def fails(pair):
        raise WorkerError("too many samples")

    assert measurement._theirs("broken", fails) == [] and not table.rows
    (note,) = table.notes
    assert note.startswith("broken: left out, it failed on every pair.") and "blob" in note


def test_folding_under_a_mask_counts_the_voxels_of_the_mask():
    displacement = np.zeros((10, 12, 2))
    displacement[5, 6, 1] = -3.0  # folds around one voxel
    everywhere = evaluate.folding(displacement)
    mask = np.zeros((10, 12), bool)
    mask[:3] = True
    assert everywhere > 0 and evaluate.folding(displacement, mask) == 0
    assert evaluate.folding(displacement, ~mask) > everywhere


@pytest.mark.parametrize(
    ("words", "metrics"),
    [
        (["optimise-cine", "--data", "phantom", "--pairs", "2"], ("dice", "seconds_batched")),
        (["optimise-digits", "--data", "phantom", "--pairs", "1"], ("ncc", "seconds_batched")),
        (["optimise-chest-ct", "--data", "phantom"], ("tre", "tre p95")),
    ],
)
def test_tables_on_phantoms(tmp_path, capsys, monkeypatch, words, metrics):
    monkeypatch.setattr("benchmarks.tables.optimise_cine.BATCH", 2)
    monkeypatch.setattr("benchmarks.tables.optimise_digits.BATCH", 2)
    out = tmp_path / "out"
    assert main(["run", *words, "--methods", "none,tfreg fast", "--out", str(out)]) == 0
    assert "| tfreg fast |" in capsys.readouterr().out
    found = cells(out)
    first, better = metrics[0], -1 if metrics[0] == "tre" else 1
    gain = found["tfreg fast", first]["mean"] - found["none", first]["mean"]
    assert better * gain > 0.03
    for metric in (*metrics, "folding", "seconds", "compile"):
        assert found["tfreg fast", metric]["n"] > 0
    assert (out / "pareto.png").stat().st_size > 5000
    assert (out / "landmarks.png").exists() == (words[0] == "optimise-chest-ct")


def test_growth(tmp_path):
    out = tmp_path / "out"
    words = ["run", "optimise-growth", "--sizes", "16,20", "--methods", "affine"]
    assert main([*words, "--largest-others", "16", "--out", str(out)]) == 0
    rows = json.loads((out / "table.json").read_text())["rows"]
    found = {(row["group"], row["metric"]): row["median"] for row in rows}
    assert {group for group, _ in found} == {"16^3"}
    assert found["16^3", "per voxel"] == pytest.approx(
        1e9 * found["16^3", "seconds"] / 16**3, rel=1e-4
    )
    assert found["16^3", "compile"] > 0 and found["16^3", "peak"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimise-cine", "--pairs", "0"], "--pairs"),
        (["optimise-cine", "--seed", "-1"], "--seed"),
        (["optimise-cine", "--methods", "demons"], "demons"),
        (["optimise-digits", "--pairs", "-2"], "--pairs"),
        (["optimise-chest-ct", "--seed", "-1"], "--seed"),
        (["optimise-growth", "--sizes", "4"], "--sizes"),
        (["optimise-growth", "--sizes", "a,b"], "--sizes"),
    ],
)
def test_bad_options_exit_with_2(tmp_path, capsys, words, message):
    assert main(["run", *words, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("read", [pairs.cine, pairs.chest])
def test_absent_data_is_named(monkeypatch, tmp_path, read):
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))
    arguments = ("test", "acdc") if read is pairs.cine else ("ct",)
    with pytest.raises(ValueError, match="TFREG_DATA"):
        read(*arguments)


@pytest.mark.real_data
def test_no_patient_is_in_two_splits():
    names = {
        split: {p.name.split(" slice")[0] for p in pairs.cine(split, "acdc")}
        for split in ("test", "validation")
    }
    assert names["test"] and names["validation"] and not names["test"] & names["validation"]


def test_committed_results_on_cine_mri():
    """On the same pairs in one run: better than all others, and how much sooner."""
    found = cells(RESULTS / "optimise-cine")
    others = [m for m, metric in found if metric == "dice" and not m.startswith(("tfreg", "none"))]
    assert len(others) >= 7 and found["none", "dice"]["n"] >= 100
    best = max(others, key=lambda m: found[m, "dice"]["mean"])
    for ours, limit in (("tfreg fast", 0.02), ("tfreg default", 0.025)):
        assert found[ours, "dice"]["mean"] > found[best, "dice"]["mean"]
        assert found[ours, "seconds"]["median"] < 0.05
        assert found[ours, "seconds_batched"]["median"] < limit
        assert found[ours, "folding"]["mean"] < 0.1


def test_committed_results_of_growth():
    rows = json.loads((RESULTS / "optimise-growth" / "table.json").read_text())["rows"]
    found = {(row["method"], row["group"], row["metric"]): row["median"] for row in rows}
    times = [found["bspline", f"{n}^3", "seconds"] for n in (64, 96, 128, 192, 256)]
    exponent = np.polyfit(np.log([64, 96, 128, 192, 256]), np.log(times), 1)[0] / 3
    assert exponent < 1.2  # of the number of voxels
    assert found["bspline", "256^3", "peak"] < 4
