"""The public door, and the command on workers; workers load TensorFlow, so these are long."""

import argparse
import contextlib
import csv
import json
import os
import signal
import threading
from dataclasses import asdict

import numpy as np
import pytest
from shipped import DIGITS

from tfreg import cohort
from tfreg.cli import main, work
from tfreg.cli.registrar import Registrar
from tfreg.cli.settings import Settings, add_settings
from tfreg.errors import InputError

MODEL = DIGITS


@pytest.fixture
def images(tmp_path):
    from tfreg.data import phantoms

    digits = phantoms.digits(12, seed=8).images.astype("float32")
    for number in range(4):
        np.save(tmp_path / f"f{number}.npy", digits[number])
        np.save(tmp_path / f"m{number}.npy", np.roll(digits[number], 1, axis=1))
    return [{"fixed": tmp_path / f"f{n}.npy", "moving": tmp_path / f"m{n}.npy"} for n in range(4)]


def test_results_one_by_one_and_there_the_second_time(images, tmp_path):
    bad = {"fixed": tmp_path / "f0.npy", "moving": tmp_path / "none.npy", "name": "bad"}
    for status in ("done", "there"):
        found = {
            result.name: result
            for result in cohort.register(
                [*images[:2], bad], tmp_path / "out", transform="translation", pyramid="fast"
            )
        }
        assert {found[name].status for name in ("m0-to-f0", "m1-to-f1")} == {status}
        assert (found["m0-to-f0"].folder / "moved.npy").exists() and not found["m0-to-f0"].error
        assert found["bad"].folder is None and "no such file" in found["bad"].error


@pytest.mark.parametrize(
    ("pairs", "given", "message"),
    [
        ([], {}, "pairs, number lists no pair"),
        ([{"fixed": "a.npy"}], {}, "number 1: moving is empty"),
        ([{"fixed": "a", "moving": "b", "colour": "c"}], {}, "colour"),
        ([{"fixed": "a", "moving": "b"}], {"colour": 1}, "The settings are model, "),
        ([{"fixed": "a", "moving": "b"}], {"refine": 5}, "refine has an effect only with"),
        ([{"fixed": "a", "moving": "b"}], {"model": MODEL, "pyramid": "fast"}, "only without"),
        ([{"fixed": "a", "moving": "b"}], {"model": MODEL, "settings": "cine"}, "only without"),
        ([{"fixed": "a", "moving": "b"}], {"settings": "heart"}, "settings must be one of"),
        ([{"fixed": "a", "moving": "b"}], {"timeout": 0}, "timeout must be positive"),
        ([{"fixed": "a", "moving": "b"}], {"limit_failures": 0}, "limit_failures must be"),
    ],
)
def test_what_cannot_be_used(tmp_path, pairs, given, message):
    with pytest.raises(InputError, match=message):
        list(cohort.register(pairs, tmp_path / "out", **given))


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--settings", "lung-ct", "--pyramid", "fast"],
        ["--settings", "cine", "--transform", "affine,bspline"],
        ["--similarity", "lncc=1,mind=0.5", "--transform", "velocity", "--symmetric"],
        ["--init", "search", "--confine"],
    ],
)
def test_a_worker_has_the_settings_of_the_command(words):
    parser = argparse.ArgumentParser()
    add_settings(parser)
    settings = Settings.of(parser.parse_args(words))
    there = work.of(work.options_of(asdict(settings), "out", False, "run")).registrar
    assert there.settings == settings
    here = Registrar(settings)
    assert there.method() == here.method() and there.settings.record() == settings.record()


def test_the_door_takes_what_register_takes():
    """A task, and weights of similarities, as they are called there."""
    given = {"settings": "cine", "similarity": {"lncc": 1, "mind": 0.5}}
    found = work.of(work.options_of(given, "out", False, "run")).registrar
    assert found.settings.task == "cine" and found.settings.transform is None
    assert str(found.method().similarity) == "lncc=1,mind=0.5"
    assert found.method().transform == ("bspline",)


@pytest.mark.long
def test_on_workers_as_in_one_process(images, tmp_path, client, capfd):
    pytest.importorskip("distributed", reason="needs tfreg[cluster]")
    given = {"transform": "translation", "pyramid": "fast"}
    found = list(cohort.register(images, tmp_path / "theirs", client=client, **given))
    assert {result.status for result in found} == {"done"} and len(found) == 4
    list(cohort.register(images, tmp_path / "ours", **given))
    for result in found:
        moved = [
            np.load(tmp_path / place / result.name / "moved.npy") for place in ("ours", "theirs")
        ]
        np.testing.assert_allclose(*moved, atol=1e-4)
    # What workers did is there for a process that knows nothing of them.
    again = list(cohort.register(images, tmp_path / "theirs", **given))
    assert {result.status for result in again} == {"there"}


@pytest.mark.long
def test_the_command_on_workers_one_of_which_is_killed(images, tmp_path, capfd, monkeypatch):
    pytest.importorskip("distributed", reason="needs tfreg[cluster]")
    import psutil

    with open(tmp_path / "pairs.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["fixed", "moving"])
        writer.writerows([[pair["fixed"], pair["moving"]] for pair in images])
        writer.writerow([tmp_path / "f0.npy", tmp_path / "none.npy"])
    ended, killed = threading.Event(), []

    def kill():
        """The first worker that has a chunk, in the middle of it."""
        while not ended.wait(0.05):
            for child in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if any("chunk-" in file.path for file in child.open_files()):
                        os.kill(child.pid, signal.SIGKILL)
                        killed.append(child.pid)
                        return

    killer = threading.Thread(target=kill)
    killer.start()
    words = [str(tmp_path / "pairs.csv"), "-m", MODEL, "-o", str(tmp_path / "out")]
    try:
        code = main(["batch", *words, "--cluster", "local:2"])
    finally:
        ended.set()
        killer.join()
    assert killed
    said = capfd.readouterr()
    assert code == 3 and "5 of 5 pairs: 4 done, 0 there before, 1 failed" in said.out
    assert "dashboard at http://127.0.0.1:" in said.err
    folders = [path for path in (tmp_path / "out").iterdir() if path.is_dir()]
    assert {path.name for path in folders} == {*(f"m{n}-to-f{n}" for n in range(4)), "logs"}
    for number in range(4):
        folder = tmp_path / "out" / f"m{number}-to-f{number}"
        assert json.loads((folder / "registration.json").read_text())["model"] == MODEL
    assert main(["batch", *words]) == 3
    assert "0 done, 4 there before, 1 failed" in capfd.readouterr().out
