"""What a chunk of pairs was doing when its worker died: a file that only grows.

A line ``b 3`` says that work on pair 3 of the chunk begins, ``e 3`` that it ends, ``a`` that a
worker begins with the chunk, ``t 3`` that pair 3 took longer than it may. A pair between ``b`` and
``e`` when the next worker begins was in the hands of the one that died: one death is charged to
it. The file is on the disk that the results go to: no scheduler needs to know of deaths, and what
one forgets when it is started again is still there.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class Journal:
    """The journal of one chunk, from the worker that has it now.

    Args:
        path: of the file; made if absent.

    Attributes:
        deaths: how often each pair was being worked on when a worker died, by its number.
        late: those deaths that were for the time that it took.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.deaths, self.late = deaths_of(path)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._say("a")

    def close(self) -> None:
        """Lets go of the file."""
        os.close(self._file)

    @contextmanager
    def working(self, numbers: Sequence[int]) -> Iterator[None]:
        """Work on these pairs, which ends whichever way."""
        self._say(*(f"b {number}" for number in numbers))
        try:
            yield
        finally:
            self._say(*(f"e {number}" for number in numbers))

    def too_late(self, numbers: Sequence[int]) -> None:
        """Says why the worker is about to end itself."""
        self._say(*(f"t {number}" for number in numbers))

    def _say(self, *lines: str) -> None:
        # One call for all: what is appended so does not mix with another thread's lines.
        os.write(self._file, "".join(f"{line}\n" for line in lines).encode())


def deaths_of(path: str | os.PathLike) -> tuple[Counter, Counter]:
    """Deaths and late ones by the number of the pair, for a worker that begins now.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "chunk"
    >>> _ = path.write_text("a\\nb 0\\nb 1\\ne 0\\na\\nb 1\\nt 1\\n")
    >>> deaths_of(path)
    (Counter({1: 2}), Counter({1: 1}))
    """
    deaths: Counter = Counter()
    late: Counter = Counter()
    working: set[int] = set()
    try:
        lines = Path(path).read_text(encoding="ascii", errors="replace").splitlines()
    except FileNotFoundError:
        return deaths, late
    for line in [*lines, "a"]:
        kind, _, number = line.partition(" ")
        if kind == "a":
            deaths.update(working)
            working.clear()
        elif number.isdigit():  # a worker killed in the middle of a line leaves a part of it
            if kind == "b":
                working.add(int(number))
            elif kind == "e":
                working.discard(int(number))
            elif kind == "t":
                late[int(number)] += 1
    return deaths, late
