"""How far a batch is, on stderr."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_WINDOW = 60.0  # seconds that the time left is judged by


class Progress:
    """Says how far it is, at most twice a second on a terminal, else every ten.

    Args:
        command: that it speaks for.
        total: how many pairs there are.
        counts: how many are done, were there, and failed; looked at, not counted here.
    """

    def __init__(self, command: str, total: int, counts: Mapping[str, int]) -> None:
        self.command, self.total, self.counts = command, total, counts
        self._terminal = sys.stderr.isatty()
        self._begin = self._last = time.monotonic()
        self._seen = [(self._begin, 0)]

    def add(self, row: dict[str, Any]) -> None:
        """A pair has ended."""
        if row["status"] == "failed":
            self.say(f"{row['name']}: {row['error']}")
        self.tick()

    def tick(self) -> None:
        """Some time has passed."""
        now = time.monotonic()
        if now - self._last >= (0.5 if self._terminal else 10.0):
            self._last = now
            self._print(f"{self._line()}{self._left(now)}", "" if self._terminal else "\n")

    def say(self, text: str) -> None:
        """A line that stays."""
        self._print(text, "\n")

    def close(self, summary: Path, more: str = "") -> None:
        """The last line, on stdout."""
        if self._terminal:
            self._print("", "")
        print(f"{self._line()}{more}; {summary}")

    def _line(self) -> str:
        counts, seconds = self.counts, time.monotonic() - self._begin
        rate = counts["done"] / seconds if seconds > 0 else 0.0
        return (
            f"{sum(counts.values())} of {self.total} pairs: {counts['done']} done, "
            f"{counts['there']} there before, {counts['failed']} failed, {rate:.3g} a second"
        )

    def _left(self, now: float) -> str:
        """The time left at the pace of the last minute; the first pairs compile."""
        ended = sum(self.counts.values())
        self._seen.append((now, ended))
        while len(self._seen) > 2 and now - self._seen[0][0] > _WINDOW:
            self._seen.pop(0)
        since, before = self._seen[0]
        if ended == before:
            return ""
        seconds = round((self.total - ended) * (now - since) / (ended - before))
        return f", {seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} left"

    def _print(self, text: str, end: str) -> None:
        clear = "\r\x1b[K" if self._terminal else ""
        text = f"tfreg {self.command}: {text}" if text else ""
        print(f"{clear}{text}", end=end, file=sys.stderr, flush=True)
