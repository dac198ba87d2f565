"""Which pairs go to a worker together: of one size, and for a few seconds."""

from collections import deque
from collections.abc import Sequence
from typing import Any

from tfreg.cohort.pipeline import size_of

_SECONDS = 4.0  # of a chunk: long beside what sending it takes, short beside a run
_MOST, _FIRST, _BATCH = 256, 16, 16
_BYTES = 2**28  # of the files of a chunk
_FIRST_BYTES = 2**22  # of the first, when it is not known yet how long a pair takes


class Chunks:
    """The pairs that wait for a worker.

    Args:
        pairs: all.

    Attributes:
        seconds: of a pair, as the last chunks had it; 0: not known yet.
    """

    def __init__(self, pairs: Sequence[Any]) -> None:
        sizes = {number: _sizes(pair) for number, pair in enumerate(pairs)}
        # By size, as far as the file system tells it: within a chunk the worker looks closer.
        order = sorted(sizes, key=lambda number: (sizes[number][1], number))
        self._waiting = deque((number, sizes[number][0]) for number in order)
        self.seconds = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def learn(self, count: int, seconds: float) -> None:
        """How long a chunk of so many pairs took its worker."""
        found = seconds / max(1, count)
        self.seconds = 0.7 * self.seconds + 0.3 * found if self.seconds else found

    def take(self, workers: int) -> list[int]:
        """The numbers of the next pairs."""
        most, bytes_ = self._most(workers), 0
        limit = _BYTES if self.seconds else _FIRST_BYTES
        chunk: list[int] = []
        while self._waiting and len(chunk) < most:
            number, size = self._waiting[0]
            if chunk and bytes_ + size > limit:
                break
            self._waiting.popleft()
            chunk.append(number)
            bytes_ += size
        return chunk

    def _most(self, workers: int) -> int:
        share = -(-len(self._waiting) // (2 * max(1, workers)))
        if not self.seconds:  # where there are few pairs, all workers have some
            return min(_FIRST, share)
        most = min(_MOST, max(1, round(_SECONDS / self.seconds)))
        # The last chunks are small, so that no worker stands idle for long; batches stay full.
        most = min(most, max(share, _BATCH))
        return most // _BATCH * _BATCH if most > _BATCH else most


def _sizes(pair: Any) -> tuple[int, tuple]:
    """The size of a pair's files in bytes, and what those of one size have in common."""
    named = pair.files.named
    sizes = {name: size_of(path) for name, path in named.items()}
    return sum(sizes.values()), tuple((k, str(named[k])[-4:], sizes[k]) for k in sorted(named))
