import argparse
import importlib
import json

import pytest
from scipy import stats

import zoo
from benchmarks import measurement
from benchmarks.__main__ import main
from benchmarks.tables import _stn, stn_mnist
from tfreg.errors import InputError
from zoo.stn import METHOD
from zoo.stn.networks import name_of


@pytest.mark.parametrize(("hits", "count"), [(0, 100), (15, 148), (70, 10_000), (9, 9)])
def test_wilson(hits, count):
    expected = stats.binomtest(hits, count).proportion_ci(0.95, "wilson")
    assert _stn.wilson(hits, count) == pytest.approx(tuple(expected), abs=1e-7)


def test_lines_are_those_of_the_paper():
    for name in ("mnist", "mnist_clutter", "mnist_addition"):
        module = importlib.import_module(f"benchmarks.tables.stn_{name}")
        methods = [line.method for line in module.LINES]
        paper = METHOD.numbers[f"stn-{name.replace('_', '-')}"]
        assert {*paper} <= {*methods} and len({*methods}) == len(methods)


def test_clutter_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("TFREG_DATA", raising=False)
    monkeypatch.setattr(_stn, "BATCH", 12)
    monkeypatch.setattr(measurement, "REPEATS", 2)
    words = ["run", "stn-mnist-clutter", "--images", "12", "--methods", "st-cnn attention"]
    assert main([*words, "--out", str(tmp_path)]) == 0
    assert "phantom digits" in capsys.readouterr().out
    rows = {row["metric"]: row for row in json.loads((tmp_path / "table.json").read_text())["rows"]}
    assert rows["error"]["n"] == 12 and rows["error"]["paper"] is None
    assert rows["error_low"]["mean"] <= rows["error"]["mean"] <= rows["error_high"]["mean"]
    assert rows["parameters"]["mean"] == pytest.approx(254.809, abs=1e-3)
    seeds = zoo.describe(name_of("mnist", "clutter", "st-cnn", "attention")).training["seeds"]
    assert rows["error_seeds"]["n"] == len(seeds["test_error"]) == 3
    assert rows["seconds"]["median"] > 0 and rows["seconds"]["group"] == "all"
    assert {path.name for path in tmp_path.glob("*.png")} == {"examples.png", "grids.png"}


@pytest.mark.long
def test_training_steps_are_timed(monkeypatch):
    monkeypatch.setattr(_stn, "BATCH", 4)
    monkeypatch.setattr(measurement, "REPEATS", 1)
    line = _stn.Network("st-fcn affine", "st-fcn", "affine")
    rows = {row.metric: row for row in _stn.cost(line, "R", "r")}
    assert 0 < rows["warp"].mean < rows["step"].mean and rows["step"].method == line.method


def test_no_images_are_refused():
    parser = argparse.ArgumentParser()
    stn_mnist.add_arguments(parser)
    options = parser.parse_args(["--images", "0"])
    with pytest.raises(InputError, match="--images must be positive"):
        stn_mnist.run(options)
