"""Sends chunks of pairs to the workers of a Dask client and takes in what became of them.

What a driver must not do: hold all futures at once, wait without an end, or believe that it is told
of every death. So no more chunks are out than two for each worker; every wait ends after a second;
and a heartbeat looks where each chunk is. One that no worker has is sent again, and a worker that
stands still over one is started anew. A chunk sent twice does no harm: a pair's folder comes into
place by one rename, and the second worker finds it there.
"""

import contextlib
import logging
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfreg.cohort.chunks import Chunks
from tfreg.cohort.pipeline import size_of
from tfreg.cohort.worker import DEATHS, Order, run_chunk
from tfreg.errors import InputError

_LOG = logging.getLogger("tfreg.cohort")
_TICK = 1.0  # seconds that a wait lasts at most
_BEAT = 5.0  # seconds between two looks at the scheduler
_ANSWER = 15.0  # seconds that the scheduler may take to answer
_GONE = 60.0  # seconds without an answer, until it is given up
_UNSEEN = 3  # looks at which no worker had a chunk, until it is sent again
_LONELY = 60.0  # seconds without a worker, until that is said, each time
_START = 180.0  # seconds from being given to a worker to the first word of its journal


class SchedulerLost(InputError):
    """The scheduler is gone; what is done is done, and the next start goes on from there."""


@dataclass(eq=False)
class _Chunk:
    """A chunk that is out.

    Attributes:
        name: that of its journal, the same however often it is sent.
        numbers: of its pairs.
        sent: how often.
        future: Dask's.
        key: the future's.
        worker: that was last seen to have it.
        since: when it was seen first.
        size: of its journal before it was sent; -1: a second worker has it, who may have begun.
        unseen: looks at which no worker had it.
    """

    name: str
    numbers: list[int]
    sent: int = 0
    future: Any = None
    key: str = ""
    worker: str = ""
    since: float = 0.0
    size: int = 0
    unseen: int = 0


class Driver:
    """The driving side of a run.

    Args:
        client: a ``distributed.Client``.
        pairs: all, see :class:`tfreg.cohort.work.Pair`.
        order: what all chunks share.
        failed: makes the row of a pair that failed, of the pair and the reason.
        resources: what a worker must have for a chunk, such as ``{"GPU": 1}``.
        said: called with a line where a chunk is sent again or a worker started anew.
        idle: called about once a second.
    """

    def __init__(
        self,
        client: Any,
        pairs: Sequence[Any],
        order: Order,
        failed: Callable[[Any, str], dict[str, Any]],
        resources: dict[str, float] | None = None,
        said: Callable[[str], None] = _LOG.info,
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._client, self._pairs, self._order = client, pairs, order
        self._failed, self._resources = failed, resources or None
        self._say, self._idle = said, idle
        self._chunks = Chunks(pairs)
        self._again: deque[_Chunk] = deque()
        self._out: dict[str, _Chunk] = {}
        self._done: queue.SimpleQueue = queue.SimpleQueue()
        self._made = 0
        self._workers: dict[str, int] = {}
        self._expected = _expected()
        self._freed: dict[str, float] = {}  # when a worker last ended a chunk
        self._looked = self._answered = 0.0
        self._lonely = time.monotonic()  # since when nothing was done, or that was said
        self._placed = False  # whether a worker ever had a chunk

    def run(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yields each pair's number and row as they end, every pair once.

        Raises:
            SchedulerLost: if the scheduler is gone.
        """
        self._answered = time.monotonic()
        try:
            self._look()
            while self._chunks or self._again or self._out:
                self._send()
                with contextlib.suppress(queue.Empty):
                    yield from self._taken(self._done.get(timeout=_TICK))
                self._idle()
                if time.monotonic() - self._looked > _BEAT:
                    self._look()
        finally:
            for chunk in self._out.values():
                with contextlib.suppress(Exception):  # of a scheduler that is gone
                    chunk.future.cancel()

    def _send(self) -> None:
        workers = max(len(self._workers), self._expected)
        most = max(1, 2 * workers)
        while len(self._out) < most and (self._again or self._chunks):
            if self._again:
                chunk = self._again.popleft()
            else:
                self._made += 1
                numbers = self._chunks.take(workers)
                chunk = _Chunk(f"chunk-{self._made:06d}", numbers)
            chunk.sent += 1
            chunk.worker, chunk.unseen, chunk.size = "", 0, self._written(chunk)
            chunk.key = f"tfreg-{Path(self._order.folder).name}-{chunk.name}-{chunk.sent}"
            self._out[chunk.key] = chunk
            try:
                chunk.future = self._client.submit(
                    run_chunk,
                    asdict(self._order),
                    chunk.name,
                    [self._pairs[number].plain() for number in chunk.numbers],
                    key=chunk.key,
                    pure=False,
                    resources=self._resources,
                )
            except Exception as error:  # Dask has no one error for a client that is closed
                raise self._lost(error) from error
            key = chunk.key
            chunk.future.add_done_callback(lambda _, key=key: self._done.put(key))

    def _taken(self, key: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """What became of the pairs of a chunk that has ended, whichever way."""
        chunk = self._out.pop(key, None)
        if chunk is None:  # sent again since
            return
        future, chunk.future = chunk.future, None
        self._freed[chunk.worker] = time.monotonic()
        error: Any = None
        if future.status == "finished":
            try:
                found = future.result(timeout=2 * _ANSWER)
            except Exception as problem:  # its worker died with the answer
                error = problem
            else:
                self._chunks.learn(len(chunk.numbers), found["seconds"])
                for place, row in found["rows"]:
                    yield chunk.numbers[place], row
                self._forget(chunk)
                return
        elif future.status == "error":
            with contextlib.suppress(Exception):
                error = future.exception(timeout=_ANSWER)
            if error is not None and type(error).__name__ != "KilledWorker":
                reason = f"unexpected failure: {type(error).__name__}: {error}"
                if isinstance(error, InputError):
                    reason = str(error)
                for number in chunk.numbers:
                    yield number, self._failed(self._pairs[number], reason)
                return
        self._check()
        # Every death charges a pair, and a pair of DEATHS deaths is not touched again: so many
        # are enough for all pairs of a chunk to be poison.
        if chunk.sent > DEATHS * len(chunk.numbers) + DEATHS:
            reason = f"its worker was lost {chunk.sent} times: {error or future.status}"
            for number in chunk.numbers:
                yield number, self._failed(self._pairs[number], reason)
            return
        self._say(f"{chunk.name} is sent again: {type(error).__name__ if error else 'lost'}")
        self._again.append(chunk)

    def _forget(self, chunk: _Chunk) -> None:
        with contextlib.suppress(OSError):
            (Path(self._order.folder) / chunk.name).unlink(missing_ok=True)

    def _check(self) -> None:
        if self._client.status in ("closed", "closing"):
            raise self._lost(None)

    def _lost(self, error: Exception | None) -> SchedulerLost:
        why = f" ({error})" if error is not None and str(error) else ""
        return SchedulerLost(
            f"The scheduler is lost{why}; what is done stays, and the same command goes on."
        )

    def _look(self) -> None:
        """Where every chunk is."""
        self._check()
        try:
            call = self._client.sync
            workers = call(self._client.scheduler.ncores, callback_timeout=_ANSWER)
            has = call(self._client.scheduler.processing, callback_timeout=_ANSWER)
        except Exception as error:  # of many kinds, while Dask tries to connect again
            self._looked = time.monotonic()
            self._check()
            if self._looked - self._answered > _GONE:
                raise self._lost(error) from error
            return
        self._looked = self._answered = now = time.monotonic()
        self._workers = dict(workers)
        inside = [worker for worker in self._workers if worker.startswith("inproc:")]
        if inside:  # a watchdog that ends its worker would end the caller
            raise InputError(
                "The client's workers must be processes of their own: Client(processes=True). "
                f"Received: {inside[0]}"
            )
        self._say_if_lonely(any(has.values()), now)
        place = {key: worker for worker, keys in has.items() for key in keys}
        idle = any(not has.get(worker) for worker in self._workers)
        for key, chunk in list(self._out.items()):
            if chunk.future.status != "pending":
                self._done.put(key)  # in case nobody says so; a second time is ignored
            elif key in place:
                self._placed, chunk.unseen = True, 0
                if chunk.worker != place[key]:
                    chunk.size = -1 if chunk.worker else chunk.size
                    chunk.worker, chunk.since = place[key], now
            elif idle and (self._placed or not self._resources):
                chunk.worker, chunk.unseen = "", chunk.unseen + 1
                if chunk.unseen >= _UNSEEN:
                    self._give_up(chunk, "no worker has it")
            else:  # it waits where all have work
                chunk.unseen = 0
        for worker, keys in has.items():
            self._watch(worker, [self._out[key] for key in keys if key in self._out], now)

    def _say_if_lonely(self, working: bool, now: float) -> None:
        if working or not self._out:
            self._lonely = now
        elif now - self._lonely > _LONELY:
            self._lonely = now
            having = "".join(f" with {name}={n:g}" for name, n in (self._resources or {}).items())
            self._say(f"waiting: the scheduler has no worker{having} that takes work")

    def _written(self, chunk: _Chunk) -> int:
        return size_of(Path(self._order.folder) / chunk.name)

    def _watch(self, worker: str, chunks: list[_Chunk], now: float) -> None:
        """A worker that does not begin, or whose own watchdog does not bark, is started anew."""
        chunks = [chunk for chunk in chunks if chunk.worker == worker]
        begun = [chunk for chunk in chunks if self._written(chunk) > chunk.size]
        if begun:
            pairs = max(len(chunk.numbers) for chunk in begun)
            limit = self._order.timeout * pairs * (DEATHS + 1) + _START
        else:
            limit = _START
        since = [chunk.since for chunk in begun or chunks]
        # The second chunk of a worker waits for the first, however long that takes.
        if not since or now - max(*since, self._freed.get(worker, 0.0)) <= limit:
            return
        self._say(f"{worker} stands still and is started anew")
        with contextlib.suppress(Exception):
            self._client.restart_workers([worker], timeout=_ANSWER, raise_for_error=False)
        for chunk in chunks:
            self._give_up(chunk, "its worker stood still")

    def _give_up(self, chunk: _Chunk, reason: str) -> None:
        self._say(f"{chunk.name} is sent again: {reason}")
        with contextlib.suppress(Exception):
            chunk.future.cancel()
        self._out.pop(chunk.key, None)
        chunk.future = None
        self._again.append(chunk)


def _expected() -> int:
    """How many workers a queue may give: it starts as many as there is work for."""
    import dask

    most = float(dask.config.get("distributed.adaptive.maximum", 0) or 0)
    return int(most) if most < float("inf") else 0
