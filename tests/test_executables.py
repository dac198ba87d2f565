import os
import subprocess
import sys

import numpy as np
import pytest

from tfreg import executables
from tfreg.errors import InputError, InputWarning

VARIABLES = ("TF_XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR", "TFREG_CACHE", "XDG_CACHE_HOME")


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A process that has loaded no backend, whose user has set nothing up."""
    for name in ("tensorflow", "jax"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that what is set is undone at the end
        monkeypatch.delenv(name)
    for name in ("TIME_SECS", "SIZE_BYTES"):
        long = f"JAX_PERSISTENT_CACHE_MIN_{'COMPILE' if name == 'TIME_SECS' else 'ENTRY'}_{name}"
        monkeypatch.setenv(long, "1")
    monkeypatch.setattr(executables, "_folder", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tfreg"


def test_both_backends_are_told_of_a_folder_that_is_the_users_alone(fresh, monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=0")
    folder = executables.keep()
    assert folder.parent.parent == fresh and executables.folder() == folder
    assert os.environ["TF_XLA_FLAGS"] == (
        f"--tf_xla_auto_jit=0 --tf_xla_persistent_cache_directory={folder}"
    )
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(folder)
    for path in (fresh, fresh / "executables", folder):
        assert path.stat().st_mode & 0o777 == 0o700


def test_every_version_and_processor_has_a_folder_of_its_own(fresh, monkeypatch):
    first = executables._key()
    monkeypatch.setattr(executables.importlib.metadata, "version", lambda package: "2.99")
    assert executables._key() != first


@pytest.mark.parametrize("reason", ["off", "loaded", "users"])
def test_nothing_is_kept(fresh, monkeypatch, reason):
    if reason == "off":
        monkeypatch.setenv("TFREG_CACHE", "off")
    elif reason == "loaded":
        monkeypatch.setitem(sys.modules, "tensorflow", sys)
    else:
        monkeypatch.setenv("TF_XLA_FLAGS", f"{executables._FLAG}=/mine")
    before = dict(os.environ)
    assert executables.keep() is None and executables.folder() is None
    assert dict(os.environ) == before and not fresh.exists()


def test_a_relative_path_is_refused(fresh, monkeypatch):
    monkeypatch.setenv("TFREG_CACHE", "here")
    with pytest.raises(InputError, match=r"off or an absolute path. Received: here"):
        executables.keep()


def test_a_folder_that_others_can_write_to_is_not_used(fresh):
    fresh.mkdir(parents=True)
    fresh.chmod(0o770)
    with pytest.warns(InputWarning, match="others can write to .*TFREG_CACHE names another"):
        assert executables.keep() is None
    assert "TF_XLA_FLAGS" not in os.environ


def test_a_file_in_the_way_is_no_failure(fresh):
    fresh.parent.mkdir()
    fresh.write_text("")
    with pytest.warns(InputWarning, match="not kept in"):
        assert executables.keep() is None


def test_what_was_not_used_for_longest_goes(fresh, monkeypatch):
    folder = executables.keep()
    for age in range(4):
        path = folder / f"{age}"
        path.write_bytes(bytes(10))
        os.utime(path, (1e9 - age, 1e9 - age))
    monkeypatch.setattr(executables, "LIMIT", 25)
    executables._trim(folder.parent)
    assert sorted(path.name for path in folder.iterdir()) == ["0", "1"]


_COMMAND = """
import sys
from tfreg.cli import main
sys.exit(main(["register", "fixed.npy", "moving.npy", "--transform", "translation",
               "--pyramid", "fast", "-o", sys.argv[1]]))
"""


@pytest.fixture
def command(tmp_path):
    """Registers a pair in a process of its own; answers the displacement, and what is kept."""
    rng = np.random.default_rng(1)
    fixed = np.pad(rng.random((12, 16)), 8)
    np.save(tmp_path / "fixed.npy", fixed)
    np.save(tmp_path / "moving.npy", np.roll(fixed, 2, axis=1))
    cache = tmp_path / "cache"
    environment = {**os.environ, "TFREG_CACHE": str(cache), "KERAS_BACKEND": "tensorflow"}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)

    def run(out):
        words = [sys.executable, "-c", _COMMAND, out]
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True)
        assert done.returncode == 0 and done.stderr == b"", done.stderr.decode()
        files = {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}
        return np.load(tmp_path / out / "displacement.npy"), files

    return run


@pytest.mark.long
@pytest.mark.compiled
def test_a_second_command_traces_and_compiles_nothing(command):
    first, made = command("first")
    traced = [path for path in made if path.suffix == ".traced"]
    assert traced and len(made) == 2 * len(traced)
    second, kept = command("second")
    np.testing.assert_array_equal(second, first)
    assert kept == made


@pytest.mark.long
@pytest.mark.compiled
def test_halves_of_files_do_no_harm(command):
    first, made = command("first")
    for path in made:  # as by a disk that failed
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for out in ("second", "third", "fourth"):
        np.testing.assert_array_equal(command(out)[0], first)
