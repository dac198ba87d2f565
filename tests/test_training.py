import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tfreg.errors import InputError
from tfreg.training import Checkpoint, fit
from zoo.dirnet import train as recipe
from zoo.dirnet.train import read_log, train
from zoo.presets import build, describe

OPTIONS = {"data": "phantom", "digit": 3, "learning_rate": 3e-3, "schedule": "cosine", "seed": 0}


def weights_of(folder, name="x"):
    import keras

    model = recipe.DIRNet(**recipe.ARCHITECTURE)
    model.build()
    model.load_weights(folder / "weights" / f"{name}.weights.h5")
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def test_kill_and_resume_is_no_different_from_not_being_killed(tmp_path):
    """A user's command, killed the hard way after its first checkpoint, then typed again."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    words = [
        "train",
        "dirnet-mnist",
        "--data",
        "phantom",
        "--digit",
        "3",
        "--iterations",
        "300",
        "--out",
    ]
    command = [sys.executable, "-m", "tfreg.cli", *words]
    process = subprocess.Popen(
        [*command, str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 240
    while not (killed / "checkpoint.json").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = json.loads((killed / "checkpoint.json").read_text())["step"]
    assert done < 300 and not (killed / "presets").exists()
    for folder in (killed, whole):
        subprocess.run([*command, str(folder)], check=True, capture_output=True)
    name = "dirnet-phantom-3"
    for a, b in zip(weights_of(killed, name), weights_of(whole, name), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)  # sums on two threads may round differently
    assert read_log(killed)["iteration"] == [100, 200, 300]
    assert json.loads((killed / "checkpoint.json").read_text())["step"] == 300


def test_a_finished_training_is_not_repeated_and_makes_a_loadable_preset(tmp_path, monkeypatch):
    from zoo import presets

    first = train("x", tmp_path / "dirnet", iterations=100, verbose=0, **OPTIONS)
    before = os.path.getmtime(tmp_path / "dirnet" / "checkpoint-100.weights.h5")
    again = train("x", tmp_path / "dirnet", iterations=100, verbose=0, **OPTIONS)
    assert os.path.getmtime(tmp_path / "dirnet" / "checkpoint-100.weights.h5") == before
    assert again.score == first.score
    monkeypatch.setattr(presets, "_ROOT", tmp_path)
    preset = describe("x")
    assert preset.training["curve"]["iteration"] == [100]
    assert "--digit 3" in preset.training["command"]
    model = build(preset)
    model.load_weights(preset.weights_path)
    with pytest.raises(InputError, match="another learning_rate"):
        train(
            "x", tmp_path / "dirnet", iterations=100, verbose=0, **{**OPTIONS, "learning_rate": 1}
        )


def test_checkpoint_refuses_what_it_cannot_use(tmp_path):
    (tmp_path / "checkpoint.json").write_text("{")
    with pytest.raises(InputError, match=r"checkpoint\.json is damaged"):
        Checkpoint(tmp_path, {}, 100)


def test_iterations_must_fill_epochs(tmp_path):
    for steps in (0, 150, -100):
        with pytest.raises(InputError, match="multiple of 100"):
            fit(None, None, steps, tmp_path, {})
