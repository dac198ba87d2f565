"""An implementation of resampling in a process of its own, asked for one run at a time."""

import ctypes
import gc
import multiprocessing
import os
import time
from collections.abc import Callable
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.methods.resamplers import METHODS, NotOffered
from tfreg import startup


class Worker:
    """A method in a process of its own.

    Args:
        method: a key of ``METHODS``.
        memory: return freed memory to the system at once, so that peaks can be measured.
    """

    def __init__(self, method: str, memory: bool = False) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        with _environment(_RETURN_MEMORY if memory else {}):
            self._process = context.Process(target=_work, args=(theirs, method), daemon=True)
            self._process.start()
        theirs.close()

    def ask(self, *request: Any) -> Any:
        """``("prepare", case, seed, operation)``, ``("run",)``, ``("result",)`` or ``("peak",)``.

        ``prepare`` answers whether the method offers the operation, ``run`` seconds, ``peak`` MiB
        beyond what was held before.
        """
        self._pipe.send(request)
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


# glibc keeps freed blocks below a size that grows by itself; a fixed one makes peaks repeatable.
_RETURN_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


@contextmanager
def _environment(values: dict[str, str]) -> Any:
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def _work(pipe: Connection, name: str) -> None:
    startup.prepare()
    method = METHODS[name]()
    function: Any = None
    while True:
        try:
            request, *arguments = pipe.recv()
        except EOFError:
            return
        try:
            if request == "prepare":
                function = None
                case, seed, operation = arguments
                try:
                    function = method.prepare(case.inputs(seed), operation)
                except NotOffered:
                    pipe.send(False)
                    continue
                function()  # compiles
                function()
                pipe.send(True)
            elif request == "run":
                begin = time.perf_counter()
                function()
                pipe.send(time.perf_counter() - begin)
            elif request == "result":
                answer = getattr(function, "result", None) or function
                pipe.send(np.asarray(answer(), "float64"))
            else:
                pipe.send(_peak(function))
        except Exception as error:  # the parent reports it
            pipe.send(error)


def _peak(function: Callable) -> float:
    """MiB that a warm run holds at most beyond its inputs, the output included."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak
    before = _status("VmRSS")
    answer = function()
    peak = _status("VmHWM")
    del answer
    return (peak - before) / 1024


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    raise RuntimeError(f"The system does not say {key}.")
