"""What all commands have in common: exit codes, one line for an error, a quick start."""

import os
import signal
import subprocess
import sys
import time
import warnings

import pytest
from shipped import DIGITS, STACKS

from tfreg import cli
from tfreg.cli import main
from tfreg.errors import InputError


@pytest.fixture
def command(monkeypatch):
    """Makes ``tfreg models`` do something else."""
    import tfreg.cli.models as module

    def replace(function):
        monkeypatch.setattr(module, "run", function)

    return replace


def raises(error):
    def run(options):
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("The file\nis empty."), 2, "tfreg models: The file is empty."),
        (KeyboardInterrupt(), 130, "tfreg models: interrupted"),
        (
            ZeroDivisionError("by\nzero"),
            1,
            "tfreg models: unexpected failure: ZeroDivisionError: by zero (--verbose shows where)",
        ),
        (MemoryError(), 1, "tfreg models: unexpected failure: MemoryError (--verbose shows where)"),
    ],
)
def test_errors_are_one_line_and_a_code(command, capsys, error, code, line):
    command(raises(error))
    assert main(["models"]) == code
    assert capsys.readouterr().err == line + "\n"
    for words in (["models", "--verbose"], ["--verbose", "models"]):
        assert main(words) == code
        said = capsys.readouterr().err
        assert said.startswith("Traceback") and said.endswith(f"{line.split(' (--verb')[0]}\n")


def test_a_command_may_answer_a_code(command):
    command(lambda options: 3)
    assert main(["models"]) == 3
    command(lambda options: None)
    assert main(["models"]) == 0


def test_warnings_are_one_line(command, capsys):
    command(lambda options: warnings.warn("the spacing\nis odd", UserWarning, stacklevel=1))
    before = warnings.showwarning
    assert main(["models"]) == 0
    assert capsys.readouterr().err == "tfreg models: warning: the spacing is odd\n"
    assert warnings.showwarning is before


@pytest.mark.parametrize("words", [["fly"], ["warp"], ["evaluate", "--labels", "x"], []])
def test_unusable_words_are_one_line(words, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(words)
    said = capsys.readouterr().err
    assert exit_.value.code == 2 and len(said.splitlines()) == 1 and "--help" in said


@pytest.mark.parametrize("name", cli._COMMANDS)
def test_every_command_explains_itself_and_the_exit_codes(name, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([name, "--help"])
    said = capsys.readouterr().out
    assert exit_.value.code == 0 and "--verbose" in said
    for code in ("0", "1", "2", "3", "130"):
        assert f"\n  {code} " in said


def test_help_and_wrong_words_load_nothing_heavy():
    heavy = {"numpy", "tensorflow", "keras", "SimpleITK", "zoo", "tfreg.cli.register"}
    code = "import sys; from tfreg.cli import main\ntry: main(sys.argv[1:])\nexcept SystemExit: 0\n"
    code += f"print('loaded:', *({heavy} & set(sys.modules)))"
    for words in (["--help"], ["fly"], ["warp", "--help"], ["evaluate"], ["warp", "a"]):
        answer = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
        )
        assert answer.stdout.splitlines()[-1] == "loaded:", words


def test_a_reader_that_has_gone():
    running = subprocess.Popen(
        [sys.executable, "-m", "tfreg.cli", "models", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    running.stdout.close()
    assert running.stderr.read() == b"" and running.wait(60) == 0
    running.stderr.close()


def test_interrupted_as_a_user_does():
    code = (
        "import sys, time; from tfreg.cli import main; import tfreg.cli.models as m\n"
        "def run(options): print('on', flush=True); time.sleep(60)\n"
        "m.run = run; sys.exit(main(['models']))"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert running.stdout.readline() == "on\n"
    begin = time.monotonic()
    os.kill(running.pid, signal.SIGINT)
    said = running.communicate(timeout=30)[1]
    assert running.returncode == 130 and said == "tfreg models: interrupted\n"
    assert time.monotonic() - begin < 10


def test_tensorflow_loads_without_a_word():
    code = (
        "import os, sys; from tfreg import startup; startup.prepare()\n"
        "import keras, tensorflow; os.write(2, b'heard')\n"
        "tensorflow.get_logger().warning('advice')\n"
        "print(sum(type(f).__name__ == '_Finder' for f in sys.meta_path))\n"
        "print(*({'jax', 'matplotlib.pyplot'} & {*sys.modules}))\n"
        "import matplotlib.pyplot"
    )
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert answer.returncode == 0 and answer.stderr == "heard"
    assert answer.stdout.splitlines() == ["0", ""]


@pytest.mark.parametrize(
    "words", ["register a b -o c", f"register a b -o c -m {DIGITS}", f"train {STACKS}"]
)
def test_a_backend_of_keras_that_is_not_supported_is_one_line(tmp_path, words):
    for name in "ab":
        (tmp_path / name).write_bytes(b"\0" * 128 + b"DICM")
    done = subprocess.run(
        [sys.executable, "-m", "tfreg.cli", *words.split()],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
    )
    said = done.stderr.splitlines()
    assert done.returncode == 2 and len(said) == 1, said
    assert "set KERAS_BACKEND=tensorflow. Received: KERAS_BACKEND=torch" in said[0]
