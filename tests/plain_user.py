"""Runs Python as a user who is not root, for whom disks fill and folders are locked."""

import os
import subprocess
import sys

import pytest

NOBODY = 65534
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def run(code, *words, file_bytes=None, folder=None):
    """Runs code in a process of its own.

    Args:
        code: of Python.
        words: its arguments.
        file_bytes: how large a file can become; beyond it writing fails as on a full disk.
        folder: what the user owns, with all in it; the folders above can be passed through.
    """
    root = hasattr(os, "getuid") and os.getuid() == 0
    if root:
        if not _readable_by_all():
            pytest.skip("a plain user could not read the installation")
        for place, _, files in os.walk(folder):
            for path in (place, *(os.path.join(place, name) for name in files)):
                os.chown(path, NOBODY, NOBODY)
        above = os.path.dirname(os.path.abspath(folder))
        while above != "/":
            mode = os.stat(above).st_mode
            if not mode & 0o001:
                os.chmod(above, mode | 0o011)
            above = os.path.dirname(above)

    def prepare():
        import resource

        if file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        if root:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)

    path = os.pathsep.join([ROOT, os.path.join(ROOT, "tests"), os.environ.get("PYTHONPATH", "")])
    place = {**os.environ, "PYTHONPATH": path, "HOME": str(folder), "TFREG_CACHE": "off"}
    place |= {"MPLCONFIGDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        env=place,
        capture_output=True,
        text=True,
        preexec_fn=prepare,
        cwd=folder,
        timeout=600,
        check=False,
    )


def _readable_by_all():
    """Whether every folder above the installation can be passed through by all."""
    for path in (sys.executable, os.path.realpath(sys.executable), ROOT, os.__file__):
        while path != "/":
            path = os.path.dirname(path)
            if not os.stat(path).st_mode & 0o001:
                return False
    return True
