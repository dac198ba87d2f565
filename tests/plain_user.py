"""Runs Python with the rights of a plain user, for whom disks fill and folders are locked."""

import ctypes
import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_DROP, _MAY_WRITE_ANYTHING = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE of Linux


def run(code, *words, file_bytes=None, folder=None):
    """Runs code in a process of its own, to which permissions apply even where it is root's.

    Args:
        code: of Python.
        words: its arguments.
        file_bytes: how large a file can become; beyond it writing fails as on a full disk.
        folder: where it runs.
    """

    def prepare():
        import resource

        if file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        if os.getuid() == 0 and ctypes.CDLL(None).prctl(_DROP, _MAY_WRITE_ANYTHING, 0, 0, 0):
            raise OSError("the rights of root cannot be laid down")

    path = os.pathsep.join([ROOT, os.path.join(ROOT, "tests"), os.environ.get("PYTHONPATH", "")])
    try:
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, words)],
            env={**os.environ, "PYTHONPATH": path, "TFREG_CACHE": "off"},
            capture_output=True,
            text=True,
            preexec_fn=prepare,
            cwd=folder,
            timeout=600,
            check=False,
        )
    except subprocess.SubprocessError as error:
        if "preexec_fn" not in str(error):
            raise
        pytest.skip("the rights of root cannot be laid down here")
