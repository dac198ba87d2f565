import json

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.tables import dirnet_cine_choices as choices


@pytest.mark.long
def test_choices_are_trained_and_judged(tmp_path, monkeypatch):
    monkeypatch.setattr(choices.data_sets, "cine", lambda *_: pairs[:4])
    out, runs = tmp_path / "out", tmp_path / "runs"
    words = ["run", "dirnet-cine-choices", "--data", "phantom", "--iterations", "100"]
    words += ["--batch", "2", "--runs", str(runs), "--out", str(out)]
    assert main([*words, "--methods", "bl,one NCC per batch"]) == 0
    rows = json.loads((out / "table.json").read_text())["rows"]
    assert {row["method"] for row in rows} == {"bl", "one NCC per batch"}
    assert {row["metric"] for row in rows} == {"dice", "ncc", "folding"}
    assert sorted(folder.name for folder in runs.iterdir()) == ["bl", "one-NCC-per-batch"]
    # The second time they are read, not trained.
    monkeypatch.setattr("keras.Model.fit", None)
    assert main([*words, "--methods", "bl"]) == 0
    again = json.loads((out / "table.json").read_text())["rows"]
    assert [row["mean"] for row in again] == [row["mean"] for row in rows if row["method"] == "bl"]


pairs = choices.data_sets.cine("validation", "phantom")


def test_scalings(rng):
    image = rng.uniform(3, 5, (32, 32)).astype("float32")
    image[0, 0] = 100
    cut = choices.percentiles(image)
    assert cut.min() == 0 and cut.max() == 1 and cut.mean() > 0.4
    assert abs(choices.standardised(image).mean()) < 1e-5
    assert choices.standardised(image).std() == pytest.approx(1, abs=1e-5)
    for scaling in (choices.percentiles, choices.standardised):
        assert not scaling(np.full((4, 4), 7.0)).any()


def test_one_ncc_per_batch(rng, numpy):
    one, other = rng.uniform(size=(2, 3, 8, 8, 1)).astype("float32")
    expected = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert float(numpy(choices._batch_ncc(one, other))) == pytest.approx(-expected, abs=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--iterations", "150"], "multiple of 100"), (["--batch", "0"], "--batch")],
)
def test_bad_options_exit_with_2(tmp_path, capsys, words, message):
    assert main(["run", "dirnet-cine-choices", *words, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
