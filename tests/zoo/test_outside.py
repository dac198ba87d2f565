"""A method in a folder of its own, of another package: no file outside of it knows of it."""

import argparse
import importlib
import json
from pathlib import Path

import conformance
import keras
import numpy as np
import pytest
from conformance import classification, common

import zoo
from tfreg.cli import main
from tfreg.data import digits
from zoo import methods

NAME = "trial-digits"


@pytest.fixture
def case(outside):
    return next(c for c in conformance.cases("classification") if c.preset.name == NAME)


def test_it_is_listed(outside, capsys):
    assert NAME in zoo.list_presets(task="classification")
    assert main(["models", "--task", "classification"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(NAME))
    assert row.split()[:5] == [NAME, "classification", "28x28", "accuracy", "0.972"]


def test_it_classifies_what_it_has_not_seen(outside):
    images, labels = digits.load("test", "phantom")
    answer = zoo.load(NAME, task="classification").classify(images)
    assert (answer.labels == labels).mean() > methods.find()["trial"].numbers[NAME]["accuracy"]


def test_it_conforms(case, tmp_path, pytestconfig):
    common.check_preset(case)
    common.check_weights(case)
    common.check_configuration(case, tmp_path)
    classification.check_answer(case)
    classification.check_bfloat16(case)
    classification.check_refusals(case)
    found = classification.answered(case)
    if pytestconfig.getoption("--record"):
        case.record(found)
    classification.check_golden(case, found)


def test_a_command_that_cannot_use_it_says_so_in_one_line(outside, tmp_path, capsys):
    for name in ("fixed.npy", "moving.npy"):
        np.save(tmp_path / name, np.eye(28))
    files = [str(tmp_path / name) for name in ("fixed.npy", "moving.npy")]
    assert main(["register", *files, "-m", NAME, "-o", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tfreg register: {NAME} classifies; what is needed here registers")


def test_its_recipe_trains_and_the_preset_is_loaded_from_where_it_lies(outside, tmp_path, capsys):
    words = ["--iterations", "100", "--batch", "8", "--out", str(tmp_path)]
    assert main(["train", NAME, *words]) == 0
    assert f"{NAME}: validation accuracy 0." in capsys.readouterr().out
    preset = zoo.describe(tmp_path / "presets" / f"{NAME}.json")
    assert preset.training["curve"] == {
        "iteration": [100],
        "accuracy": [pytest.approx(preset.score["value"], abs=1e-4)],
    }
    assert preset.score["metric"] == "accuracy" and preset.licence == "Apache-2.0"
    assert preset.score["data"] == "500 random images of the validation split"
    assert preset.provenance["data"] == "phantom digits of tfreg.data.phantoms: 4000 images"
    assert preset.training["command"].startswith("tfreg train trial-digits --data phantom ")
    assert preset.preprocessing == {
        "size": [28, 28],
        "intensity_range": None,
        "percentiles": [0.1, 99.9],
    }
    images, labels = digits.load("test", "phantom")
    found = zoo.load(preset.path).classify(images[:100])
    assert (found.labels == labels[:100]).mean() > 0.4
    log = (tmp_path / "log.csv").read_text().splitlines()[0]
    assert {"accuracy", "loss", "val_accuracy", "val_loss"} < {*log.split(",")}


def test_any_classifier_learns_with_keras_alone(outside):
    """Images and labels, no recipe: what a user does with the class."""
    from trial.model import TrialNet

    keras.utils.set_random_seed(0)
    images, labels = digits.load("train", "phantom")
    model = TrialNet([str(digit) for digit in range(10)])
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    pixels = images[:640, ..., None].astype("float32") / 255
    losses = model.fit(pixels, labels[:640].astype("int64"), epochs=3, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]


def test_its_table_is_made(outside):
    tables = methods.find()["trial"].tables
    assert tables == {NAME: "trial.tables.trial_digits"}
    module = importlib.import_module(tables[NAME])
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    lines = module.run(parser.parse_args(["--images", "50"])).markdown().splitlines()
    header, row = (next(line for line in lines if line.startswith(s)) for s in ("| m", "| trial"))
    assert header == "| method | accuracy | seconds (s) | paper: accuracy |"
    assert float(row.split()[3]) > 0.9 and row.endswith("| 0.9 |")


def test_nothing_but_its_folder_names_it(outside):
    """Beside the tests of this file and those that use it as an example of a method."""
    root = Path(zoo.__file__).parent.parent
    for folder in ("tfreg", "zoo", "benchmarks"):
        for path in (root / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert "TrialNet" not in text and NAME not in text, path
    assert json.loads((outside / "trial/presets/trial-digits.json").read_text())["format"] == 2
