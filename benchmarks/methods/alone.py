"""A measurement in a process of its own, whose memory is nobody else's."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tfreg import startup
from tfreg.errors import InputError


def alone(function: Callable, *arguments: Any) -> Any:
    """What a function answers in a fresh process, or a text that says why it did not.

    Args:
        function: of a module, as a new process must find it.
        arguments: what it gets.
    """
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, function, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        return pipe.recv()
    except EOFError:
        process.join()
        return f"the process ended with exit code {process.exitcode}"
    finally:
        process.kill()
        process.join()


def _run(pipe: Connection, function: Callable, arguments: tuple) -> None:
    startup.prepare()
    try:
        pipe.send(function(*arguments))
    except InputError as error:  # such as too little memory
        pipe.send(str(error))


def resident() -> int:
    """KiB of memory that the process holds now."""
    import resource

    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:  # not Linux: the most that it ever held
        return peak()
    return pages * resource.getpagesize() // 1024


def peak() -> int:
    """KiB of memory that the process held at most."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
