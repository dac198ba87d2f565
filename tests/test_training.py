import functools
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
from zoo.dirnet.train import train
from zoo.presets import build, describe
from zoo.recipes import read_log

SETTINGS = {
    "data": "phantom",
    "digit": 3,
    "iterations": 100,
    "batch": 32,
    "learning_rate": 3e-3,
    "schedule": "cosine",
    "seed": 0,
    "deterministic": False,
}


def weights_of(folder, name="x"):
    import keras

    model = recipe.DIRNet(**recipe.ARCHITECTURE)
    model.build()
    model.load_weights(folder / "weights" / f"{name}.weights.h5")
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


@pytest.mark.long
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
        "200",
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
    assert done < 200 and not (killed / "presets").exists()
    for folder in (killed, whole):
        subprocess.run([*command, str(folder)], check=True, capture_output=True)
    name = "dirnet-phantom-3"
    for a, b in zip(weights_of(killed, name), weights_of(whole, name), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert read_log(killed)["iteration"] == [100, 200]
    assert json.loads((killed / "checkpoint.json").read_text())["step"] == 200


def test_a_finished_training_is_not_repeated_and_makes_a_loadable_preset(tmp_path, monkeypatch):
    from zoo import presets

    monkeypatch.setattr(recipe, "digits", functools.cache(recipe.digits))  # drawn once, not thrice
    first = train("x", tmp_path / "dirnet", SETTINGS, verbose=0)
    before = os.path.getmtime(tmp_path / "dirnet" / "checkpoint-100.weights.h5")
    again = train("x", tmp_path / "dirnet", SETTINGS, verbose=0)
    assert os.path.getmtime(tmp_path / "dirnet" / "checkpoint-100.weights.h5") == before
    assert again.score == first.score
    monkeypatch.setattr(presets, "_ROOT", tmp_path)
    preset = describe("x")
    assert preset.training["curve"]["iteration"] == [100]
    assert "--digit 3" in preset.training["command"]
    model = build(preset)
    model.load_weights(preset.weights_path)
    with pytest.raises(InputError, match="another learning_rate"):
        train("x", tmp_path / "dirnet", {**SETTINGS, "learning_rate": 1}, verbose=0)


def test_checkpoint_refuses_what_it_cannot_use(tmp_path):
    (tmp_path / "checkpoint.json").write_text("{")
    with pytest.raises(InputError, match=r"checkpoint\.json is damaged"):
        Checkpoint(tmp_path, {}, 100)


def test_iterations_must_fill_epochs(tmp_path):
    for steps in (0, 150, -100):
        with pytest.raises(InputError, match="multiple of 100"):
            fit(None, None, steps, tmp_path, {})


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", '"text"', '{"step": 2}', '{"step": "x", "weights": "w", "recipe": {}}',
     '{"step": 2, "weights": "w", "recipe": []}'],
)  # fmt: skip
def test_damaged_checkpoints_are_named(tmp_path, text):
    (tmp_path / "checkpoint.json").write_text(text)
    with pytest.raises(InputError, match=r"checkpoint\.json is damaged"):
        Checkpoint(tmp_path, {}, 100)


class Killed(Exception):
    pass


def tiny(folder, steps, killed_after=None):
    """Trains a very small network in epochs of two steps; may die while it writes a checkpoint."""
    import keras

    from tfreg.data import PairSampler, phantoms

    keras.utils.set_random_seed(0)
    phantom = phantoms.digits(20, seed=0)
    pairs = PairSampler(phantom.images, phantom.labels, 4, seed=0, scale=1 / 255)
    model = recipe.DIRNet(poolings=1, kernels=2, convolutions=1)
    model.build()
    model.compile(keras.optimizers.Adam(1e-2))
    save = model.save_weights

    def save_weights(path, **options):
        if killed_after is not None and f"checkpoint-{killed_after + 2}." in str(path):
            raise Killed
        save(path, **options)

    model.save_weights = save_weights
    held_out = (pairs.batch(99), None)
    fit(model, pairs.dataset, steps, folder, {"r": 1}, 2, validation=held_out, verbose=0)
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def test_resumed_in_process_is_the_whole_training(tmp_path):
    with pytest.raises(Killed):
        tiny(tmp_path / "killed", 6, killed_after=2)
    assert json.loads((tmp_path / "killed" / "checkpoint.json").read_text())["step"] == 2
    resumed, whole = (tiny(tmp_path / name, 6) for name in ("killed", "whole"))
    for a, b in zip(resumed, whole, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert sorted(p.name for p in (tmp_path / "killed").iterdir()) == [
        "checkpoint-6.weights.h5", "checkpoint.json", "log.csv",
    ]  # fmt: skip


def test_a_kill_during_a_checkpoint_leaves_no_line_twice_in_the_log(tmp_path):
    with pytest.raises(Killed):
        tiny(tmp_path, 6, killed_after=2)
    tiny(tmp_path, 6)
    lines = (tmp_path / "log.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == ["0", "1", "2"]


def test_damaged_checkpoint_weights_are_named(tmp_path):
    tiny(tmp_path, 2)
    path = tmp_path / "checkpoint-2.weights.h5"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"checkpoint-2\.weights\.h5 cannot be restored"):
        tiny(tmp_path, 4)
    path.unlink()
    with pytest.raises(InputError, match=r"checkpoint-2\.weights\.h5 cannot be restored"):
        tiny(tmp_path, 4)
