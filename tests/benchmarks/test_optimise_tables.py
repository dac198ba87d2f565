import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import readme
from benchmarks.__main__ import main

RESULTS = Path(readme.ROOT, "benchmarks", "results")


def cells(path):
    rows = json.loads((Path(path) / "table.json").read_text())["rows"]
    return {(row["method"], row["metric"]): row for row in rows if row["group"] == "all"}


@pytest.mark.parametrize(
    ("words", "metrics"),
    [
        pytest.param(
            ["optimise-cine", "--data", "phantom", "--pairs", "2"],
            ("dice", "seconds_batched"),
            marks=pytest.mark.long,
        ),
        (["optimise-digits", "--data", "phantom", "--pairs", "1"], ("ncc", "seconds_batched")),
        pytest.param(
            ["optimise-chest-ct", "--data", "phantom"],
            ("tre", "tre_median", "tre_trimmed", "tre p95"),
            marks=pytest.mark.long,
        ),
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


@pytest.mark.long
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
