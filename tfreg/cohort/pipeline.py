"""Reading, registering and writing at the same time, a bounded number of pairs at a time."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_THREADS = 2  # that read, and as many that write
_AHEAD, _BYTES = 48, 2**26  # pairs, and the size of their files, that are read ahead
_TOGETHER, _VOXELS = 16, 2**20  # pairs, and voxels, that go through a network together
_UNWRITTEN = 32  # answers that may wait for the disk


def run_all(pairs: Sequence[Any], work: Any, together: bool) -> Iterator[tuple[Any, Any]]:
    """Runs all pairs.

    Args:
        pairs: what to work on, each with ``files.named``, paths by name.
        work: has ``load(pair)``, the only step for a pair of which it answers a ``dict``;
            ``kind(loaded)``, which those that are registered together share; ``voxels(loaded)``;
            ``register(group)``; and ``write(pair, loaded, answer)``. Loading and writing run in
            threads of their own.
        together: whether registering several at a time is worth it.

    Yields:
        A pair, and what ``write`` or ``load`` answered or the exception it ended with, in the
        order in which they end.
    """
    with (
        ThreadPoolExecutor(_THREADS, "read") as readers,
        ThreadPoolExecutor(_THREADS, "write") as writers,
    ):
        run = _Run(work, together, writers)
        try:
            for pair, future in _read(pairs, work, readers):
                yield from run.add(pair, future)
            yield from run.finish()
        finally:  # after an interruption: what has begun is finished, the rest is left
            for pool in (readers, writers):
                pool.shutdown(wait=False, cancel_futures=True)


def _read(
    pairs: Sequence[Any], work: Any, readers: ThreadPoolExecutor
) -> Iterator[tuple[Any, Future]]:
    """The pairs in their order, with what is being read of them ahead."""
    ahead: deque[tuple[Any, Future, int]] = deque()
    size = 0
    for pair in pairs:
        bytes_ = sum(size_of(path) for path in pair.files.named.values())
        while len(ahead) >= _AHEAD or (ahead and size + bytes_ > _BYTES):
            first, future, less = ahead.popleft()
            size -= less
            yield first, future
        ahead.append((pair, readers.submit(work.load, pair), bytes_))
        size += bytes_
    while ahead:
        yield ahead.popleft()[:2]


def size_of(path: Any) -> int:
    """Bytes of a file, or of the files of a folder; 0 where there is none."""
    try:
        parts = path.iterdir() if path.is_dir() else [path]
        return sum(part.stat().st_size for part in parts)
    except OSError:
        return 0  # reading it will say why


class _Run:
    """The pairs between reading and writing."""

    def __init__(self, work: Any, together: bool, writers: ThreadPoolExecutor) -> None:
        self._work, self._together, self._writers = work, together, writers
        self._groups: dict[tuple, list[tuple[Any, Any]]] = {}
        self._full: set[tuple] = set()  # kinds of which a whole group was registered
        self._unwritten: deque[tuple[Any, Future]] = deque()

    def add(self, pair: Any, future: Future) -> Iterator[tuple[Any, Any]]:
        """Takes a pair as soon as it is read, and registers its group when that is full."""
        try:
            loaded = future.result()
        except Exception as error:
            yield pair, error
            return
        if isinstance(loaded, dict):
            yield pair, loaded
            return
        kind = self._work.kind(loaded)
        group = self._groups.setdefault(kind, [])
        group.append((pair, loaded))
        if len(group) >= self._most(loaded):
            yield from self._register(self._groups.pop(kind), kind)

    def finish(self) -> Iterator[tuple[Any, Any]]:
        """Registers what is left, and waits for everything to be written."""
        while self._groups:
            kind, group = self._groups.popitem()
            yield from self._register(group, kind)
        yield from self._written(0)

    def _most(self, loaded: Any) -> int:
        if not self._together:
            return 1
        return max(1, min(_TOGETHER, _VOXELS // max(1, self._work.voxels(loaded))))

    def _register(self, group: list[tuple[Any, Any]], kind: tuple) -> Iterator[tuple[Any, Any]]:
        most = self._most(group[0][1])
        self._full |= {kind} if len(group) == most else set()
        loaded = [one for _, one in group]
        # Filled up to the size that is compiled already: compiling another takes longer.
        filling = most - len(loaded) if kind in self._full else 0
        try:
            answers = self._work.register(loaded + loaded[-1:] * filling)[: len(loaded)]
        except Exception as error:
            if len(group) == 1:
                yield group[0][0], error
                return
            answers = []
            for one in loaded:  # one of them cannot be registered: which?
                try:
                    answers += self._work.register([one])
                except Exception as alone:
                    answers.append(alone)
        for (pair, one), answer in zip(group, answers, strict=True):
            if isinstance(answer, Exception):
                yield pair, answer
                continue
            future = self._writers.submit(self._work.write, pair, one, answer)
            self._unwritten.append((pair, future))
        yield from self._written(_UNWRITTEN)

    def _written(self, most: int) -> Iterator[tuple[Any, Any]]:
        """Waits until no more than so many are unwritten."""
        while self._unwritten and (len(self._unwritten) > most or self._unwritten[0][1].done()):
            pair, future = self._unwritten.popleft()
            try:
                yield pair, future.result()
            except Exception as error:
                yield pair, error
