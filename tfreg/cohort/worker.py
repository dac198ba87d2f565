"""What a worker does with a chunk of pairs.

The pairs that were in the hands of a worker that died come last, one by one, so that the innocent
are done; one of which ``DEATHS`` workers died is listed and not touched again.
"""

import contextlib
import faulthandler
import os
import socket
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfreg.cohort.journal import Journal
from tfreg.cohort.pipeline import run_all
from tfreg.cohort.work import Work, work_of

DEATHS = 3  # of workers, until a pair is believed to be their cause: two retries
_TOO_LATE = 75  # the exit code of a worker that ends itself
_ONE = threading.Lock()  # a worker may have several threads; networks are for one at a time


@dataclass(frozen=True)
class Order:
    """What all chunks of a run share; paths and settings, as they are sent.

    Attributes:
        work: the name of the work, see :func:`tfreg.cohort.work.work_of`.
        options: its options, as JSON.
        folder: for the journals.
        logs: for the log of each pair.
        timeout: seconds that a pair may take.
    """

    work: str
    options: str
    folder: str
    logs: str
    timeout: float


def run_chunk(order: dict[str, Any], chunk: str, pairs: list[list[Any]]) -> dict[str, Any]:
    """Works on a chunk of pairs.

    Args:
        order: an :class:`Order` as a dictionary.
        chunk: its name, that of its journal.
        pairs: ``Pair.plain`` of each.

    Returns:
        ``rows``: ``[number, row]`` for each pair, in the order in which they ended; ``seconds``.
    """
    given = Order(**order)
    with _ONE:
        begin = time.perf_counter()
        journal = Journal(Path(given.folder) / chunk)
        try:
            work = work_of(given.work, given.options)
            known = [work.pair(name, files) for name, files in pairs]
            rows = list(_outcomes(work, known, journal, given))
            return {"rows": rows, "seconds": time.perf_counter() - begin}
        finally:
            journal.close()


def _outcomes(work: Work, pairs: list[Any], journal: Journal, order: Order) -> Iterator[list[Any]]:
    numbers = {pair.name: number for number, pair in enumerate(pairs)}
    innocent = [pair for pair in pairs if not journal.deaths[numbers[pair.name]]]
    suspects = [pair for pair in pairs if journal.deaths[numbers[pair.name]]]
    with _Watched(work, numbers, journal, order.timeout) as watched:
        for group in [innocent, *([pair] for pair in suspects)]:
            todo = []
            for pair in group:
                number = numbers[pair.name]
                if journal.deaths[number] < DEATHS:
                    todo.append(pair)
                    continue
                reason = _reason(journal, number, order.timeout)
                yield [number, _logged(order, pair, work.failed(pair, reason), reason)]
            # A suspect is compiled for alone: with others it would not be known who it was.
            together = work.together and group is innocent
            for pair, outcome in run_all(todo, watched, together):
                text = ""
                if isinstance(outcome, Exception):
                    text = "".join(traceback.format_exception(outcome))
                    outcome = work.failed(pair, outcome)
                yield [numbers[pair.name], _logged(order, pair, outcome, text)]


def _reason(journal: Journal, number: int, timeout: float) -> str:
    deaths, late = journal.deaths[number], journal.late[number]
    if late >= deaths:
        return f"took longer than {timeout:g} s, {deaths} times on another worker"
    if late:
        return f"its worker died {deaths} times, {late} of them after {timeout:g} s"
    return f"its worker died {deaths} times (killed, crashed or out of memory)"


def _logged(order: Order, pair: Any, row: dict[str, Any], more: str) -> dict[str, Any]:
    """Writes the pair's log; its row."""
    if not order.logs or row["status"] == "there":
        return row
    lines = [
        f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {socket.gethostname()} process {os.getpid()}",
        *(f"{key}: {value}" for key, value in row.items() if value != ""),
        *more.splitlines(),
    ]
    path = Path(order.logs) / f"{pair.name}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:  # the pair is done all the same, and a full disk stops what matters
        return {**row, "error": row.get("error") or f"no log: {error.strerror or error}"}
    return row


class _Watched:
    """The work, with a journal of what begins and ends, and a limit of time.

    Dask has none for a task, and Python cannot stop a thread that hangs in a library: a watching
    thread ends the process, whose nanny begins another.
    """

    def __init__(
        self, work: Work, numbers: dict[str, int], journal: Journal, timeout: float
    ) -> None:
        self._work, self._numbers = work, numbers
        self._journal, self._timeout = journal, timeout
        self._loaded: dict[int, int] = {}  # the number of the pair of what was loaded
        self._active: dict[object, tuple[float, list[int]]] = {}
        self._ended = threading.Event()

    def __enter__(self) -> "_Watched":
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ended.set()

    def load(self, pair: Any) -> Any:
        number = self._numbers[pair.name]
        with self._working([number]):
            loaded = self._work.load(pair)
        self._loaded[id(loaded)] = number
        return loaded

    def kind(self, loaded: Any) -> tuple:
        return self._work.kind(loaded)

    def voxels(self, loaded: Any) -> int:
        return self._work.voxels(loaded)

    def register(self, group: Sequence[Any]) -> list[Any]:
        with self._working(sorted({self._loaded[id(loaded)] for loaded in group})):
            return self._work.register(group)

    def write(self, pair: Any, loaded: Any, answer: Any) -> dict[str, Any]:
        with self._working([self._numbers[pair.name]]):
            return self._work.write(pair, loaded, answer)

    @contextlib.contextmanager
    def _working(self, numbers: list[int]) -> Iterator[None]:
        token = object()
        with self._journal.working(numbers):
            self._active[token] = (time.monotonic(), numbers)
            try:
                yield
            finally:
                del self._active[token]

    def _watch(self) -> None:
        while not self._ended.wait(min(1.0, self._timeout / 4)):
            now = time.monotonic()
            for begun, numbers in list(self._active.values()):
                if now - begun > self._timeout * len(numbers):
                    self._journal.too_late(numbers)
                    with contextlib.suppress(Exception):  # where it hangs, to the worker's log
                        faulthandler.dump_traceback()
                    os._exit(_TOO_LATE)
