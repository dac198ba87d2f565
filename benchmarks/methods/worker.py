"""A method in a process of its own: warm before the clock starts, replaced after a crash."""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

PEAK = "peak of memory"  # a question that every worker answers


class WorkerError(RuntimeError):
    """A method failed on one pair; the message says why."""


class Worker:
    """Runs ``serve(pipe, *arguments)`` in a fresh process and asks it, one question at a time.

    ``serve`` receives a message per question and sends an answer, or a text that says what failed.

    Args:
        serve: a function of a module, as a new process must find it.
        arguments: what it gets beside the pipe.
        threads: threads that ITK and OpenMP may use; libraries read them once, when they load.
        timeout: seconds that an answer may take.
    """

    def __init__(
        self, serve: Callable, arguments: tuple, threads: int = 1, timeout: float = 1200.0
    ) -> None:
        self.timeout = timeout
        self._serve = serve
        self._arguments = arguments
        self._threads = threads
        self._process: Any = None
        self._pipe: Any = None

    def ask(self, message: Any) -> Any:
        """The answer to a message.

        Raises:
            WorkerError: if the method reports an error, crashes or takes too long. The process is
                replaced, and the next question is answered as if nothing had happened.
        """
        if self._process is None:
            self._start()
        try:
            self._pipe.send(message)
            if not self._pipe.poll(self.timeout):
                self.close()  # else its late answer would be taken for the next one
                raise WorkerError(f"no answer within {self.timeout:g} s")
            answer = self._pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._process.join(5)
            code = self._process.exitcode
            self.close()
            raise WorkerError(f"the worker died with exit code {code}") from None
        if isinstance(answer, str):
            raise WorkerError(answer)
        return answer

    def peak_mib(self) -> float | None:
        """The most memory that the process, or one that it started, held; ``None``: none is."""
        return None if self._process is None else self.ask(PEAK)

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
        self._process = self._pipe = None

    @property
    def pid(self) -> int | None:
        """The process, if there is one."""
        return None if self._process is None else self._process.pid

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        names = ("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "OMP_NUM_THREADS")
        before = {name: os.environ.get(name) for name in names}
        os.environ.update(dict.fromkeys(names, str(self._threads)))
        try:
            self._process = context.Process(
                target=self._serve, args=(theirs, *self._arguments), daemon=True
            )
            self._process.start()
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        theirs.close()


def held() -> float:
    """MiB that this process, or one that it has waited for, held at most."""
    import resource

    others = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        own = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    except (OSError, StopIteration):
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # Not getrusage of itself first: that knows what the parent held when it began this process.
    return max(own, others)


def serve(pipe: Connection, answer: Callable[[Any], Any]) -> None:
    """Answers a :class:`Worker`'s questions until it hangs up.

    Args:
        pipe: what the process was given.
        answer: of a question. Whatever it throws is the answer: the last line that says why.
    """
    while True:
        try:
            question = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(held() if question == PEAK else answer(question))
        except Exception as error:
            last = (str(error).strip().splitlines() or ["no message"])[-1]
            pipe.send(f"{type(error).__name__}: {last}")
