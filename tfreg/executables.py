"""Compiled functions that outlive a process: where the backend keeps its executables on disk.

Compiling is most of what a command does; a second one of the same sizes finds its executables in
the user's cache. They are programs: the folder belongs to the user alone, and what the processor,
the system or a version changes has a folder of its own.
"""

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import stat
import sys
import warnings
from pathlib import Path

from tfreg import __version__
from tfreg.errors import InputError, InputWarning

LIMIT = 512 * 2**20  # bytes; beyond, what was not used for longest goes
_FLAG = "--tf_xla_persistent_cache_directory"
_folder: Path | None = None


def folder() -> Path | None:
    """Where this process keeps its executables; ``None``: nowhere."""
    return _folder


def keep(root: Path | None = None) -> Path | None:
    """Has TensorFlow and JAX keep their executables from now on, for the processes after this one.

    The environment variable ``TFREG_CACHE`` turns that off (``off``) or names another folder.
    Must be called before the backend loads; a cache that the user has set up stays as it is.

    Args:
        root: the folder; by default ``TFREG_CACHE``, else ``tfreg`` in the user's cache.

    Returns:
        The folder, or ``None`` where nothing is kept: it is turned off, the backend is loaded
        already, or the folder cannot be used, of which a warning tells.

    Raises:
        InputError: on a relative path in ``TFREG_CACHE``.
    """
    setting = os.environ.get("TFREG_CACHE", "")
    if setting == "off" or "tensorflow" in sys.modules or "jax" in sys.modules:
        return None
    if _FLAG in os.environ.get("TF_XLA_FLAGS", "") or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return None
    if setting and not Path(setting).is_absolute():
        raise InputError(f"TFREG_CACHE must be off or an absolute path. Received: {setting}")
    root = root or (Path(setting) if setting else _users_cache())
    global _folder
    folder = root / "executables" / _key()
    try:
        reason = _made_private(root, folder)
        if reason is None:
            _trim(root / "executables")
    except OSError as error:
        reason = error.strerror or str(error)
    if reason is not None:
        warnings.warn(
            f"compiled functions are not kept in {root}: {reason}; TFREG_CACHE names another "
            "folder, or off",
            InputWarning,
            stacklevel=2,
        )
        return None
    flags = os.environ.get("TF_XLA_FLAGS", "")
    os.environ["TF_XLA_FLAGS"] = f"{flags} {_FLAG}={folder}".strip()
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    # JAX would keep only what took long to compile; here it is many small functions that add up.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    _folder = folder
    return folder


def clear() -> None:
    """Deletes what this process's folder holds."""
    for path in () if _folder is None else _folder.iterdir():
        with contextlib.suppress(OSError):
            path.unlink()


def _users_cache() -> Path:
    """The folder that the system gives a user's programs for what can be made again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tfreg"
    base = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "tfreg"


def _key() -> str:
    """Name of the folder of this processor and these versions."""
    parts = [__version__, platform.machine(), platform.system(), platform.python_version()]
    for package in ("tensorflow", "tensorflow-cpu", "jaxlib", "keras"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            parts.append(f"{package} {importlib.metadata.version(package)}")
    with contextlib.suppress(OSError):  # Linux; elsewhere the machine's name has to do
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = ("model name", "flags", "Features")
        parts += sorted({line for line in lines if line.split("\t")[0].strip() in names})
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _made_private(root: Path, folder: Path) -> str | None:
    """Makes the folders with the user's rights alone; else says what speaks against them."""
    folders = (root, root / "executables", folder)
    for path in folders:  # one by one: `parents` would be made with the rights of any folder
        path.mkdir(mode=0o700, parents=path is root, exist_ok=True)
    if os.name == "nt":
        return None
    for path in folders:
        state = path.stat()
        if state.st_uid != os.getuid():
            return f"{path} belongs to another user"
        if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"others can write to {path}"
    return None if os.access(folder, os.W_OK | os.X_OK) else f"{folder} is read-only"


def _trim(folder: Path) -> None:
    """Deletes what was used longest ago, until the rest is small enough."""
    files = []
    for path in folder.glob("*/*"):
        with contextlib.suppress(OSError):  # another process may be trimming too
            state = path.stat()
            files.append((max(state.st_atime, state.st_mtime), state.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= LIMIT:
            return
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size
