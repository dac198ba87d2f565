"""What became of each pair, one JSON object a line, in the order in which it did.

One process writes it, and only at its end; a process killed in the middle of a line leaves a last
line that is not read. It holds what a summary needs, so that a driver keeps nothing of a pair but
where its line is.
"""

import json
import os
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfreg.errors import InputError


class Ledger:
    """The ledger of a run; what an earlier run wrote stays before it.

    Args:
        path: of the file.
        total: how many pairs there are.

    Attributes:
        unfinished: the tokens of the runs before this one that came to no end.

    Raises:
        InputError: if it cannot be written.
    """

    def __init__(self, path: Path, total: int) -> None:
        self.path = Path(path)
        self._where = array("q", [-1]) * total
        try:
            self.unfinished = unfinished(self.path)
            self._file = open(self.path, "ab")  # noqa: SIM115
            if self._file.tell() and not _ends_with_a_line(self.path):
                self._file.write(b"\n")
        except OSError as error:
            raise self._lost(error) from error

    def say(self, what: str, **more: Any) -> None:
        """Writes an event of the run."""
        self._append({"event": what, **more})

    def add(self, number: int, row: dict[str, Any]) -> None:
        """Writes what became of a pair."""
        self._where[number] = self._append(row)

    def __contains__(self, number: int) -> bool:
        return self._where[number] >= 0

    def rows(self) -> Iterator[dict[str, Any] | None]:
        """What became of each pair in the order of the pairs, read again; ``None``: nothing yet."""
        with open(self.path, "rb") as file:
            for place in self._where:
                if place < 0:
                    yield None
                    continue
                file.seek(place)
                row = json.loads(file.readline())
                yield {key: value for key, value in row.items() if key != "time"}

    def close(self) -> None:
        """Lets go of the file."""
        try:
            self._file.close()
        except OSError as error:
            raise self._lost(error) from error

    def _append(self, content: dict[str, Any]) -> int:
        line = json.dumps({"time": round(time.time(), 3), **content}, default=str) + "\n"
        try:
            place = self._file.seek(0, os.SEEK_END)
            self._file.write(line.encode())
            self._file.flush()
        except OSError as error:
            raise self._lost(error) from error
        return place

    def _lost(self, error: OSError) -> InputError:
        return InputError(f"{self.path} cannot be written: {error.strerror or error}")


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a ledger that are whole."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    content = json.loads(line)
                except ValueError:  # torn: its process was killed
                    continue
                if isinstance(content, dict):
                    yield content
    except FileNotFoundError:
        return


def unfinished(path: Path) -> list[str]:
    """The tokens of the runs that began and came to no end."""
    found: dict[str, None] = {}
    for line in read(path):
        if line.get("event") == "begin":
            found[line["run"]] = None
        elif line.get("event") == "end":
            found.pop(line["run"], None)
    return list(found)


def _ends_with_a_line(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
