import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.tables import command_line


@pytest.mark.long
def test_commands_are_typed_and_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(command_line, "REPEATS", 1)
    methods = "256x256 .npy by network,batch 256x256 .npy"
    words = ["--methods", methods, "--size", "128", "--pairs", "2", "--out", str(tmp_path)]
    assert main(["run", "command-line", *words]) == 0
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    found = {(row["method"], row["metric"]): row["median"] for row in rows}
    assert found.keys() == {
        ("256x256 .npy by network", "cold"),
        ("256x256 .npy by network", "again"),
        ("batch 256x256 .npy", "pairs per second"),
        ("batch 256x256 .npy", "pairs per second warm"),
    }
    assert 0.5 < found["256x256 .npy by network", "again"] < 300
    assert 0.5 < found["256x256 .npy by network", "cold"] < 300
    assert 0 < found["batch 256x256 .npy", "pairs per second"] < 100


@pytest.mark.parametrize("words", [["--pairs", "1"], ["--size", "100"]])
def test_unusable_options_are_named(words, capsys, tmp_path):
    assert main(["run", "command-line", *words, "--out", str(tmp_path)]) == 2
    assert f"{words[0]} must be" in capsys.readouterr().err


def test_a_command_that_fails_is_no_measurement(tmp_path):
    with pytest.raises(command_line.InputError, match=r"tfreg register.*failed.*no such file"):
        command_line._timed(
            tmp_path / "cache", "register", tmp_path / "a.npy", tmp_path / "b.npy", "-o", tmp_path
        )


def test_committed_results():
    """A pair of pictures in 6 s from nothing, a volume in 10 s, and 20 pairs a second."""
    path = Path(__file__).parents[2] / "benchmarks/results/command-line/table.json"
    rows = json.loads(path.read_text())["rows"]
    found = {(row["method"], row["metric"]): row["median"] for row in rows}
    assert found["256x256 .nii by network", "cold"] < 6
    assert found["256x256 .npy by network", "cold"] < 6
    assert found["128x128x128 .nii fast", "cold"] < 10
    for method in command_line.BATCHES:
        assert found[method, "pairs per second"] > 20
