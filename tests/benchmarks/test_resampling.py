import json
from pathlib import Path

import keras
import numpy as np
import pytest

from benchmarks import readme
from benchmarks.__main__ import main
from benchmarks.methods import resamplers
from benchmarks.methods.resampler_worker import Worker
from benchmarks.methods.resamplers import Case
from tfreg import ops


@pytest.mark.long
def test_table_from_the_command_line(tmp_path, capsys):
    out = tmp_path / "out"
    words = ["run", "resampling", "--small", "--repeats", "2", "--out", str(out)]
    assert main([*words, "--methods", "SciPy,tfreg tensorflow,SimpleITK"]) == 0
    assert "| linear + gradient (ms) | 32^2 x 2 |" in capsys.readouterr().out
    rows = json.loads((out / "table.json").read_text())["rows"]
    cells = {(row["method"], row["group"], row["metric"]): row["median"] for row in rows}
    for case in ("32^2 x 2", "12^3 x 2"):
        for method in ("SciPy", "SimpleITK", "tfreg tensorflow"):
            assert cells[method, case, "linear"] > 0 and cells[method, case, "peak"] >= 0
            if method != "SciPy":
                assert cells[method, case, "error of linear"] < 1e-5
                assert cells[method, case, "error of cubic"] < 1e-5
        assert cells["tfreg tensorflow", case, "cubic + gradient"] > 0
        assert ("SciPy", case, "linear + gradient") not in cells
    assert ("tfreg tensorflow", "32^2 x 2", "spline") in cells


def test_what_is_not_installed_is_skipped_with_a_note(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(resamplers.NEEDS, "SciPy", "a_package_that_is_not_there")
    words = ["run", "resampling", "--small", "--repeats", "1", "--out", str(tmp_path / "out")]
    assert main([*words, "--methods", "SciPy,copy"]) == 0
    assert "SciPy: skipped, a_package_that_is_not_there is not installed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--repeats", "0"], "--repeats"), (["--seed", "-3"], "--seed"), (["--methods", "x"], "x")],
)
def test_bad_options_exit_with_2(tmp_path, capsys, words, message):
    assert main(["run", "resampling", "--small", "--out", str(tmp_path / "out"), *words]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("shape", [(28, 28), (12, 20, 16)])
def test_displacement_of_a_case_stays_inside_and_is_smooth(shape):
    inputs = Case(shape, 2).inputs(0)
    where = np.moveaxis(np.indices(shape), 0, -1) + inputs["displacement"]
    assert where.min() >= 0 and (where <= np.array(shape) - 1).all()
    assert inputs["displacement"].dtype == np.float32
    largest = np.abs(inputs["displacement"]).max(axis=tuple(range(1 + len(shape))))
    np.testing.assert_array_less(0.02 * np.array(shape), largest)
    assert np.abs(np.diff(inputs["displacement"], axis=1)).max() < 1  # neighbours keep their order


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="the comparison is TensorFlow's")
def test_transposed_convolution_is_the_same_spline(rng, numpy):
    control_points = rng.normal(size=(2, 16, 16, 2)).astype("float32")
    found = numpy(resamplers.transposed_convolution(control_points, 16))
    expected = numpy(ops.bspline_displacement(control_points, (16, 16)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_error_of_a_method_reaches_the_caller():
    worker = Worker("copy")
    try:
        with pytest.raises(TypeError):
            worker.ask("run")  # nothing was prepared
    finally:
        worker.close()


def test_committed_results_clear_the_bars():
    """The promises of the toolbox, on the machine and in the run that the table names."""
    path = Path(readme.ROOT, "benchmarks", "results", "resampling", "table.json")
    rows = json.loads(path.read_text())["rows"]
    cells = {(row["method"], row["group"], row["metric"]): row["median"] for row in rows}

    def ratio(other, group, metric):
        return cells[other, group, metric] / cells["tfreg tensorflow", group, metric]

    assert ratio("torch", "128^3", "linear") >= 3
    assert ratio("SciPy", "128^3", "linear") >= 5
    assert ratio("torch", "128^3", "linear + gradient") >= 1.8
    assert ratio("transposed convolution", "256^2 x 32", "spline") >= 2
    # Beyond its inputs: the output, and twice the image.
    assert cells["tfreg tensorflow", "192^3", "peak in images"] <= 3
    errors = {key: value for key, value in cells.items() if key[2].startswith("error")}
    assert len(errors) > 20 and max(errors.values()) < 1e-4
