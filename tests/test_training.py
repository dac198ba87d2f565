import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import zoo
from tfreg.errors import InputError
from tfreg.training import Checkpoint, fit

NAME = "trial-digits"


@pytest.mark.long
def test_kill_and_resume_is_no_different_from_not_being_killed(outside, tmp_path):
    """A user's command, killed the hard way after its first checkpoint, then typed again."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    words = ["train", NAME, "--iterations", "400", "--out"]
    command = [sys.executable, "-m", "tfreg.cli", *words]
    path = os.pathsep.join([str(outside), os.environ.get("PYTHONPATH", "")])
    options = {"env": {**os.environ, "PYTHONPATH": path}, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*command, str(killed)], stdout=subprocess.DEVNULL, **options)
    deadline = time.monotonic() + 240
    while not (killed / "checkpoint.json").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = json.loads((killed / "checkpoint.json").read_text())["step"]
    assert done < 400 and not (killed / "presets").exists()
    for folder in (killed, whole):
        subprocess.run([*command, str(folder)], check=True, stdout=subprocess.DEVNULL, **options)
    presets = [folder / "presets" / f"{NAME}.json" for folder in (killed, whole)]
    for a, b in zip(*(zoo.load(preset).get_weights() for preset in presets), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert zoo.describe(presets[0]).training["curve"]["iteration"] == [100, 200, 300, 400]
    assert json.loads((killed / "checkpoint.json").read_text())["step"] == 400


@pytest.mark.long
def test_killed_twenty_times_it_ends_with_the_very_weights(outside, tmp_path):
    """At random moments: while it loads, trains, or writes a checkpoint or the preset."""
    words = ["train", NAME, "--iterations", "2000", "--batch", "8", "--deterministic", "--out"]
    command = [sys.executable, "-m", "tfreg.cli", *words]
    path = os.pathsep.join([str(outside), os.environ.get("PYTHONPATH", "")])
    nowhere = subprocess.DEVNULL
    options = {"env": {**os.environ, "PYTHONPATH": path}, "stderr": nowhere, "stdout": nowhere}
    begin = time.monotonic()
    subprocess.run([*command, str(tmp_path / "whole")], check=True, **options)
    whole = time.monotonic() - begin
    chance, killed, steps = np.random.default_rng(1), 0, [0]
    folder = tmp_path / "killed"
    state = folder / "checkpoint.json"
    while killed < 20:
        process = subprocess.Popen([*command, str(folder)], **options)
        # Half of them once it has come one checkpoint further, so that they are spread over all;
        # the others mostly while it loads and restores.
        further = killed % 2 == 0
        deadline = time.monotonic() + (600 if further else chance.uniform(0, 0.4) * whole)
        while process.poll() is None and time.monotonic() < deadline:
            if further and state.exists() and json.loads(state.read_text())["step"] > steps[-1]:
                time.sleep(chance.uniform(0, 0.1))
                break
            time.sleep(0.01)
        process.kill()
        assert process.wait() != 0  # it was not done before
        killed += 1
        steps.append(json.loads(state.read_text())["step"] if state.exists() else 0)
    assert steps == sorted(steps) and 1000 <= steps[-1] < 2000
    subprocess.run([*command, str(folder)], check=True, **options)
    presets = [tmp_path / place / "presets" / f"{NAME}.json" for place in ("whole", "killed")]
    for a, b in zip(*(zoo.load(preset).get_weights() for preset in presets), strict=True):
        np.testing.assert_array_equal(a, b)
    logs = [(tmp_path / place / "log.csv").read_text() for place in ("whole", "killed")]
    assert logs[0] == logs[1]
    assert not list(folder.glob("*.partial"))


def test_a_finished_training_is_not_repeated(outside, tmp_path):
    from trial.train_digits import RECIPE

    settings = {
        **{"data": "phantom", "iterations": 100, "batch": 4, "learning_rate": 3e-3},
        **{"schedule": "constant", "seed": 0, "deterministic": False},
    }
    first = RECIPE.train(settings, tmp_path, verbose=0)
    before = os.path.getmtime(tmp_path / "checkpoint-100.weights.h5")
    again = RECIPE.train(settings, tmp_path, verbose=0)
    assert os.path.getmtime(tmp_path / "checkpoint-100.weights.h5") == before
    assert again.score == first.score and zoo.load(again.path).classes[3] == "3"


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

    from tfreg.data import Array, Batches

    class Noise(Batches):
        def batch(self, step):
            rng = np.random.default_rng([self.seed, step])
            return {"x": rng.random((4, 6), "float32"), "y": rng.random((4, 2), "float32")}

    keras.utils.set_random_seed(0)
    noise = Noise(4, 0, {"x": Array((6,)), "y": Array((2,))}, targets=("y",))
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    save = model.save_weights

    def save_weights(path, **options):
        if killed_after is not None and f"checkpoint-{killed_after + 2}." in str(path):
            raise Killed
        save(path, **options)

    model.save_weights = save_weights
    held_out = noise.split(noise.batch(99))
    fit(model, noise.dataset, steps, folder, {"r": 1}, 2, validation=held_out, verbose=0)
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
