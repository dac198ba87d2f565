"""One of our contenders in a process of its own, as the tools have: with its own memory."""

import contextlib
from multiprocessing.connection import Connection

from benchmarks.cores import THREADS
from benchmarks.methods.contender import Answer, Contender
from benchmarks.methods.worker import Worker, WorkerError, serve
from benchmarks.pairs import Pair


class Apart:
    """A contender that registers in a worker.

    Args:
        contender: which; it must survive the way into another process, so it has loaded nothing.
        timeout: seconds that a pair, or compiling for one, may take.
    """

    def __init__(self, contender: Contender, timeout: float = 1200.0) -> None:
        self.contender = contender
        self.name, self.ours = contender.name, contender.ours
        self.worker = Worker(_serve, (contender,), THREADS, timeout)

    def unavailable(self) -> str | None:
        """Whether the contender can run."""
        return self.contender.unavailable()

    def warm(self, pair: Pair) -> float | None:
        """Compiles for the size of the pair, there; what fails now will say so as it registers."""
        with contextlib.suppress(WorkerError):
            (compiling,) = self.worker.ask(("warm", pair.bare()))
            return compiling
        return None

    def register(self, pair: Pair) -> Answer:
        """Registers one pair."""
        return Answer(*self.worker.ask(("register", pair.bare())))

    def peak_mib(self) -> float | None:
        """The peak of the worker's memory."""
        return self.worker.peak_mib()

    def close(self) -> None:
        """Ends the worker."""
        self.worker.close()


def _serve(pipe: Connection, contender: Contender) -> None:
    from tfreg import startup

    startup.prepare()

    def answer(question: tuple[str, Pair]) -> tuple:
        kind, pair = question
        if kind == "warm":
            return (contender.warm(pair),)
        return tuple(contender.register(pair))

    serve(pipe, answer)
