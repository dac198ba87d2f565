"""A tool in a process of its own, where its package is installed."""

import contextlib
import importlib.util
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

from benchmarks.cores import THREADS
from benchmarks.methods.contender import Answer
from benchmarks.methods.worker import Worker, WorkerError, serve
from benchmarks.pairs import Pair


class Tool:
    """A tool in a warm worker of its own.

    Args:
        name: of the line.
        package: that must be installed.
        run: ``run(pair, affine, threads)`` answers displacement in voxels and seconds; a
            function of a module, as a new process must find it.
        affine: whether an affine registration comes first.
        threads: threads that it may use.
        timeout: seconds that a pair may take.
    """

    ours = False

    def __init__(
        self,
        name: str,
        package: str,
        run: Callable[[Pair, bool, int], tuple[np.ndarray, float]],
        affine: bool = False,
        threads: int = THREADS,
        timeout: float = 1200.0,
    ) -> None:
        self.name = name
        self.package = package
        self.worker = Worker(_serve, (run, affine, threads), threads, timeout)

    def unavailable(self) -> str | None:
        """Whether its package is installed."""
        missing = importlib.util.find_spec(self.package) is None
        return f"skipped, {self.package} is not installed." if missing else None

    def warm(self, pair: Pair) -> None:
        """Loads the package, by registering a small part of the pair."""
        with contextlib.suppress(WorkerError):
            self.register(pair.small())

    def register(self, pair: Pair) -> Answer:
        """Registers one pair."""
        return Answer(*self.worker.ask(pair.bare()))

    def peak_mib(self) -> float | None:
        """The peak of the worker's memory."""
        return self.worker.peak_mib()

    def close(self) -> None:
        """Ends the worker."""
        self.worker.close()


def _serve(pipe: Connection, run: Callable, affine: bool, threads: int) -> None:
    serve(pipe, lambda pair: run(pair, affine, threads))
