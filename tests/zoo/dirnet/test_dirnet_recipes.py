import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tfreg.cli import main
from tfreg.cli.train import parser_of
from tfreg.data import acdc, cine, sunnybrook
from tfreg.data.source import licence_of
from zoo import recipes
from zoo.dirnet import train_cine, train_mnist
from zoo.dirnet.model import DIRNet

SETTINGS = {
    **{"variant": "bl", "data": "all", "symmetries": "no", "iterations": 100, "batch": 2},
    **{"learning_rate": 0.01, "schedule": "cosine", "seed": 0, "deterministic": False},
}


@pytest.fixture
def packs(tmp_path, monkeypatch):
    """Prepared files with one patient per split, each of one brightness: 1, 2 and 3."""
    values = np.arange(1, 4)
    ramp = np.arange(256).reshape(1, 16, 16)
    stack = (1000 * values[:, None, None] + ramp).astype("int16")
    label = np.zeros((3, 16, 16), "uint8")
    label[:, 4:12, 4:12] = 2
    np.savez(
        tmp_path / acdc.PACK,
        **{"ed": stack, "es": stack + 1, "seg_ed": label, "seg_es": label},
        patient=np.array([1, 15, 17]),
        slice=np.arange(3),
    )
    np.savez(
        tmp_path / sunnybrook.PACK,
        images=np.stack([stack, stack + 1, stack + 2], axis=1),
        **{name: label for name in ("endo_ed", "endo_es", "epi_ed")},
        ed_frame=np.zeros(3, int),
        es_frame=np.ones(3, int),
        subject=np.array(["SCD0000101", "SCD0000401", "SCD0000501"]),
        spacing_yx=np.ones((3, 2)),
    )
    monkeypatch.setenv("TFREG_DATA", str(tmp_path))


@pytest.mark.parametrize("data", ["all", "cc0"])
def test_no_recipe_reads_a_test_patient(packs, monkeypatch, data):
    asked = []
    for reader in (acdc, sunnybrook):
        listed = reader.patients
        monkeypatch.setattr(
            reader,
            "patients",
            lambda of, split, f=listed: asked.append((of, split)) or f(of, split),
        )
    found = train_cine.samples({**SETTINGS, "data": data})
    sources = train_cine.DATA[data]
    assert sorted(asked) == sorted(
        (of, split) for of in sources for split in ("train", "validation")
    )
    assert len(found.pairs.images) == {"all": 5, "cc0": 3}[data]
    held_out = np.unique(found.held_out["fixed"][:, 64, 64])
    seen = {patient.split()[1] for patient in found.training.patients}
    assert seen <= {"SC-HF-I-1", "patient001"} and len(held_out) >= 1


@pytest.mark.real_data
def test_training_frames_are_of_no_test_patient():
    seen = {split: {*cine.frames(split, train_cine.DATA["all"]).patients} for split in cine.SPLITS}
    assert seen["test"] and not seen["test"] & (seen["train"] | seen["validation"])
    assert not seen["train"] & seen["validation"]


@pytest.mark.parametrize(
    ("words", "name", "licence"),
    [
        (["--variant", "a1"], "dirnet-cine-a1", "CC BY-NC-SA 4.0"),
        (["--data", "cc0"], "dirnet-cine-bl-cc0", "CC0 1.0"),
        (["--data", "phantom", "--variant", "c2"], "dirnet-cine-c2-phantom", "Apache-2.0"),
    ],
)
def test_data_decides_name_and_licence(packs, monkeypatch, tmp_path, words, name, licence):
    seen = {}

    def write(training, recipe, settings, folder, name, curve):
        licence = licence_of(recipe.sources[settings["data"]])
        seen.update(name=name, licence=licence, settings=settings, folder=folder)
        return SimpleNamespace(score={"metric": "ncc", "value": 0.5})

    monkeypatch.setattr(recipes, "write", write)
    monkeypatch.setattr(train_cine.Cine, "fit", lambda *_: {})
    monkeypatch.setattr(
        cine, "frames", lambda *args, f=cine.frames: f(*args)._replace(patients=np.array(["p"]))
    )
    for split in ("train", "validation"):  # of phantoms, two are enough to be named
        monkeypatch.setitem(cine.SOURCES["phantom"].splits, split, 2)
    assert main(["train", "dirnet-cine", *words, "--out", str(tmp_path / "out")]) == 0
    assert seen["name"] == name and seen["licence"] == licence
    assert seen["folder"] == tmp_path / "out" and seen["settings"]["deterministic"] is False


@pytest.mark.long
def test_the_command_trains_writes_curves_and_repeats(tmp_path):
    """Deterministic training: the same weights to the bit; and curves for TensorBoard."""
    import subprocess
    import sys

    words = ["train", "dirnet-cine", "--data", "phantom", "--iterations", "100", "--batch", "2"]
    for name in ("one", "other"):
        more = ["--out", str(tmp_path / name), "--tensorboard", str(tmp_path / f"{name}-curves")]
        command = [sys.executable, "-m", "tfreg.cli", *words, "--deterministic", *more]
        subprocess.run(command, check=True, capture_output=True)
    model = DIRNet()
    model.build()
    found = []
    for name in ("one", "other"):
        model.load_weights(tmp_path / name / "weights" / "dirnet-cine-bl-phantom.weights.h5")
        found.append([keras.ops.convert_to_numpy(weight) for weight in model.weights])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    assert list((tmp_path / "one-curves").rglob("events*"))
    preset = json.loads((tmp_path / "one/presets/dirnet-cine-bl-phantom.json").read_text())
    assert preset["training"]["command"].endswith("--deterministic")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], "dirnet-mnist"),
        (["--digit", "3"], "dirnet-mnist-3"),
        (["--data", "phantom"], "dirnet-phantom"),
        (["--data", "phantom", "--digit", "0"], "dirnet-phantom-0"),
    ],
)
def test_a_network_for_a_digit_is_called_after_it(words, name):
    recipe = train_mnist.RECIPE
    given = vars(parser_of(recipe).parse_args(words))
    recipe.check(given)
    assert recipe.preset_name(given) == name


def test_a_digit_is_one_of_ten(monkeypatch, capsys):
    monkeypatch.setattr(train_mnist.Digits, "prepare", None)
    assert main(["train", "dirnet-mnist", "--digit", "10"]) == 2
    assert "--digit must be 0 to 9. Received: 10" in capsys.readouterr().err


def test_pairs_are_of_the_digit(tmp_path):
    settings = {**SETTINGS, "data": "phantom", "digit": 3}
    training = train_mnist.RECIPE.prepare(settings, tmp_path)
    assert training.batches.count == 400 and training.held_out["fixed"].shape == (500, 28, 28, 1)
    assert training.summary.startswith("DIRNet for the digit 3 of 28x28 pixels")
    assert training.model.get_config().items() >= train_mnist.ARCHITECTURE.items()
