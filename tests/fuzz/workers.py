"""Processes that may die or hang, each with its memory limited."""

import contextlib
import logging
import multiprocessing
import os
import resource
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

_MEMORY = 2 << 30
_PERTURB = "glibc.malloc.perturb=165"  # memory that nobody wrote does not happen to be zero


_START = 60.0
_READY = "ready"


class Worker:
    """A process that does one job after the other."""

    def __init__(self, work: Callable[[Any], Any]):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        with _environment("GLIBC_TUNABLES", _PERTURB):
            self.process = context.Process(target=_serve, args=(work, theirs), daemon=True)
            self.process.start()
        theirs.close()
        self.job: Any = None
        self.since = time.monotonic() + _START

    def give(self, job: Any) -> None:
        self.job, self.since = job, max(self.since, time.monotonic())
        self.pipe.send(job)

    def outcome(self, seconds: float) -> tuple[Any, str] | None:
        """The answer and "" or how the process failed; None while it is at work."""
        if not self.pipe.poll():
            late = time.monotonic() - self.since > seconds
            return (None, f"hung for {seconds:.0f} s") if late else None
        try:
            answer, failed = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(5)
            return None, f"died, exit code {self.process.exitcode}"
        if failed == _READY:
            self.since = time.monotonic()
            return None
        return answer, failed

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def run(
    work: Callable[[Any], Any], jobs: Sequence[Any], processes: int = 2, seconds: float = 60
) -> Iterator[tuple[Any, Any, str]]:
    """Each job, its answer, and "" or how its process failed.

    Args:
        work: a function of a module, called with each job in a process of its own.
        jobs: to do.
        processes: how many.
        seconds: that a job may take; the start of a process has a minute more.
    """
    left, workers = list(jobs)[::-1], []
    try:
        while left or workers:
            while left and len(workers) < processes:
                workers.append(Worker(work))
                workers[-1].give(left.pop())
            wait([worker.pipe for worker in workers], timeout=0.2)
            for worker in list(workers):
                found = worker.outcome(seconds)
                if found is None:
                    continue
                yield worker.job, *found
                if left and not found[1]:
                    worker.give(left.pop())
                else:  # after a failure the next job has a process of its own
                    workers.remove(worker)
                    worker.end()
    finally:
        for worker in workers:
            worker.end()


def _serve(work: Callable[[Any], Any], pipe: Connection) -> None:
    """Answers jobs for ever; what the job prints to the descriptor of stderr is a failure."""
    logging.disable()
    warnings.simplefilter("ignore")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY,) * 2)
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), 2)
        pipe.send((None, _READY))
        while True:
            try:
                job = pipe.recv()
            except EOFError:
                return
            try:
                answer = work(job)
            except Exception:
                pipe.send((None, f"failed: {traceback.format_exc()}"))
                continue
            heard.seek(0)
            noise = heard.read().decode(errors="replace").strip()
            heard.truncate(0)
            heard.seek(0)
            pipe.send((answer, f"printed {noise[:200]!r}" if noise else ""))


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
