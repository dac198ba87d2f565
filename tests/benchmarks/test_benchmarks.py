import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from benchmarks import evaluate, readme
from benchmarks.__main__ import main
from benchmarks.harness import Row
from benchmarks.methods.elastix import Elastix, Settings
from benchmarks.methods.worker import WorkerError
from tfreg import losses, ops
from tfreg.data import phantoms


def test_evaluator_agrees_with_the_library(rng, numpy):
    image = rng.random((9, 13)).astype("float32")
    displacement = (2 * rng.normal(size=(9, 13, 2))).astype("float32")
    moved = numpy(ops.resample(image[None, ..., None], displacement[None]))[0, ..., 0]
    np.testing.assert_allclose(evaluate.warp(image, displacement), moved, atol=1e-5)
    batch = (image[None, ..., None], moved[None, ..., None])
    assert evaluate.ncc(image, moved) == pytest.approx(
        float(numpy(losses.ncc(*batch))[0]), abs=1e-5
    )
    determinant = numpy(ops.jacobian_determinant(displacement[None]))
    assert evaluate.folding(displacement) == pytest.approx(
        100 * (determinant <= 0).mean(), abs=1e-4
    )
    assert evaluate.folding(np.zeros((5, 6, 2))) == 0
    assert evaluate.ncc(image, np.ones_like(image)) == 0


def test_row_statistics():
    row = Row.of("none", "all", "ncc", "1", [1, 2, 3, 10], paper=0.5)
    assert (row.mean, row.median, row.q1, row.q3, row.n) == (4, 2.5, 1.75, 4.75, 4)
    assert row.sd == pytest.approx(np.std([1, 2, 3, 10], ddof=1), rel=1e-5)


@pytest.fixture(scope="module")
def shifted():
    """A phantom digit, and itself three rows down and one column to the right."""
    pytest.importorskip("itk")
    image = phantoms.digits(1, seed=1, which=[3]).images[0].astype("float32")
    return image, np.roll(image, (3, 1), axis=(0, 1))


def test_elastix_registers_and_its_worker_is_replaced_after_a_crash(shifted):
    fixed, moving = shifted
    elastix = Elastix(Settings(iterations=100, spacing=8))
    try:
        displacement, seconds, peak = elastix(fixed, moving)
        assert displacement.shape == (28, 28, 2) and 0 < seconds < 60 and peak > 10
        assert evaluate.ncc(fixed, evaluate.warp(moving, displacement)) > 0.95
        ink = fixed > 200
        np.testing.assert_allclose(np.median(displacement[ink], axis=0), (3, 1), atol=0.5)
        os.kill(elastix.worker.pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match="died"):
            elastix(fixed, moving)
        again, _, _ = elastix(fixed, moving)
        np.testing.assert_allclose(again, displacement, atol=1e-3)  # a fixed seed: the same answer
        elastix.worker.timeout = 0.001
        with pytest.raises(WorkerError, match="no answer within"):
            elastix(fixed, moving)
    finally:
        elastix.close()


def test_table_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("TFREG_DATA", raising=False)
    monkeypatch.setattr("benchmarks.tables.dirnet_mnist.BATCH", 8)
    out, extra, method = tmp_path / "out", tmp_path / "deep" / "table.json", "dirnet + refine"
    words = ["run", "dirnet-mnist", "--pairs", "2", "--data", "phantom"]
    words += ["--methods", f"none,{method}", "--out", str(out), "--json", str(extra)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "phantom digits" in printed and f"| {method} |" in printed
    table = json.loads(extra.read_text())
    assert table == json.loads((out / "table.json").read_text())
    assert table["data"] == "phantom digits" and table["machine"]["cores"] == os.cpu_count()
    keys = {
        "method",
        "group",
        "metric",
        "unit",
        "mean",
        "sd",
        "median",
        "q1",
        "q3",
        "n",
        "paper",
        "paper_sd",
    }
    assert all(row.keys() == keys for row in table["rows"])
    cells = {(r["method"], r["group"], r["metric"]): r for r in table["rows"]}
    ncc = [cells[m, "all", "ncc"]["mean"] for m in ("none", method)]
    assert ncc[0] < 0.9 < 0.97 < ncc[1]
    assert cells[method, "all", "ncc"]["n"] == 20 and cells[method, "7", "ncc"]["n"] == 2
    assert all(cells[method, "all", m]["median"] > 0 for m in ("seconds", "seconds_batched"))
    assert cells[method, "all", "ncc"]["paper"] is None  # the paper has no phantoms
    assert len((out / "table.csv").read_text().splitlines()) == 1 + len(table["rows"])
    assert {p.name for p in out.glob("*.png")} == {"mean-images.png", "speed.png"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "none,magic"], "magic"),
        (["--pairs", "0"], "--pairs"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_bad_options_exit_with_2(tmp_path, capsys, words, message):
    assert main(["run", "dirnet-mnist", "--out", str(tmp_path / "out"), *words]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_list(capsys):
    assert main(["list"]) == 0
    assert "dirnet-mnist" in capsys.readouterr().out


@pytest.mark.parametrize("page", readme.pages(), ids=lambda p: str(p.relative_to(readme.ROOT)))
def test_pages_show_the_committed_tables(page):
    assert page.read_text(encoding="utf-8") == readme.updated(page)


def committed(name):
    path = Path(readme.ROOT, "benchmarks", "results", name, "table.json")
    return json.loads(path.read_text())["rows"]


def test_committed_results_clear_the_papers_bar():
    """The networks on 500 test pairs per digit against the paper's validation values."""
    rows = committed("dirnet-mnist-500")
    found = {r["group"]: r for r in rows if (r["method"], r["metric"]) == ("dirnet", "ncc")}
    assert all(found[str(d)]["mean"] >= found[str(d)]["paper"] - 0.01 for d in range(10))
    assert all(found[str(d)]["n"] >= 500 for d in range(10)) and found["all"]["mean"] > 0.904
