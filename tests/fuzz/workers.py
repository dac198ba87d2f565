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
    """A process that answers one job after the other."""

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

    def end(self) -> int | None:
        """Stops the process; its exit code, where it had ended before by itself."""
        self.process.join(1.0 if self.pipe.poll() else 0)
        code = self.process.exitcode
        self.process.kill()
        self.process.join()
        self.pipe.close()
        return code


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
    left = list(jobs)[::-1]
    workers = [Worker(work) for _ in range(min(processes, len(left)))]
    for worker in workers:
        worker.give(left.pop())
    try:
        while workers:
            ready = wait([worker.pipe for worker in workers], timeout=0.2)
            for worker in list(workers):
                failed = ""
                if worker.pipe in ready:
                    try:
                        answer, failed = worker.pipe.recv()
                    except (EOFError, OSError):
                        worker.process.join(5)
                        answer, failed = None, f"died, exit code {worker.process.exitcode}"
                    if failed == _READY:
                        worker.since = time.monotonic()
                        continue
                elif time.monotonic() - worker.since > seconds:
                    answer, failed = None, f"hung for {seconds:.0f} s"
                else:
                    continue
                yield worker.job, answer, failed
                if failed:
                    worker.end()
                    workers.remove(worker)
                    if left:
                        workers.append(Worker(work))
                        workers[-1].give(left.pop())
                elif left:
                    worker.give(left.pop())
                else:
                    worker.end()
                    workers.remove(worker)
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
