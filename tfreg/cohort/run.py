"""A run over all pairs, on this process or on the workers of a client, and its ledger."""

import contextlib
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tfreg.cohort.ledger import Ledger
from tfreg.cohort.pipeline import run_all
from tfreg.cohort.work import Work
from tfreg.cohort.worker import Order

TIMEOUT = 1800.0  # seconds


def token() -> str:
    """What tells a run from all others."""
    return secrets.token_hex(6)


class Run:
    """A run over all pairs.

    Args:
        pairs: all, see :class:`tfreg.cohort.work.Pair`.
        work: made in this process.
        out: the folder of the results.
        run: of :func:`token`.
        ledger: the name of its file.
        limit_failures: stops when so many pairs have failed; ``None``: never.

    Attributes:
        counts: how many pairs are done, were there, and failed.
        stopped: whether ``limit_failures`` was reached.
    """

    def __init__(
        self,
        pairs: Sequence[Any],
        work: Work,
        out: Path,
        run: str,
        ledger: str = "ledger.jsonl",
        limit_failures: int | None = None,
    ) -> None:
        self.pairs, self.work, self.out, self.run = pairs, work, Path(out), run
        self.limit_failures = limit_failures
        self.counts = {"done": 0, "there": 0, "failed": 0}
        self.stopped = False
        self.ledger = Ledger(self.out / ledger, len(pairs))

    def here(self) -> Iterator[dict[str, Any]]:
        """Yields the row of each pair; this process does the work."""
        numbers = {pair.name: number for number, pair in enumerate(self.pairs)}

        def found() -> Iterator[tuple[int, dict[str, Any]]]:
            for pair, outcome in run_all(self.pairs, self.work, self.work.together):
                if isinstance(outcome, Exception):
                    outcome = self.work.failed(pair, outcome)
                yield numbers[pair.name], outcome

        return self._taken(found())

    def on(
        self,
        client: Any,
        work: str,
        options: str,
        timeout: float = TIMEOUT,
        resources: dict[str, float] | None = None,
        **more: Callable,
    ) -> Iterator[dict[str, Any]]:
        """Yields the row of each pair; the workers of a client do the work.

        Args:
            client: a ``distributed.Client``.
            work, options: see :func:`tfreg.cohort.work.work_of`.
            timeout: seconds that a pair may take.
            resources: what a worker must have.
            more: ``said`` and ``idle`` of :class:`tfreg.cohort.driver.Driver`.

        Raises:
            SchedulerLost: if the scheduler is gone.
        """
        from tfreg.cohort.driver import Driver

        folder = (self.out / f".cohort-{self.run}").resolve()
        logs = str((self.out / "logs").resolve())
        order = Order(work, options, str(folder), logs, timeout)
        driver = Driver(client, self.pairs, order, self.work.failed, resources, **more)
        return self._taken(driver.run())

    def rows(self, nothing: Callable[[Any], dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The rows in the order of the pairs; of a pair that was not reached, ``nothing(pair)``."""
        for pair, row in zip(self.pairs, self.ledger.rows(), strict=True):
            yield nothing(pair) if row is None else row

    def _taken(self, found: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        for before in self.ledger.unfinished:
            self._sweep(before)
        try:
            self.ledger.say("begin", run=self.run, pairs=len(self.pairs))
            for number, row in found:
                if number in self.ledger:
                    continue
                self.ledger.add(number, row)
                self.counts[row["status"]] += 1
                yield row
                if self.counts["failed"] == self.limit_failures:
                    self.stopped = sum(self.counts.values()) < len(self.pairs)
                    break
        finally:
            with contextlib.suppress(Exception):
                found.close()  # type: ignore[attr-defined]
            self._sweep(self.run)
            complete = sum(self.counts.values()) == len(self.pairs)
            # A worker may still be writing after a stop: the next run removes what it leaves.
            if complete or self.stopped:
                self.ledger.say("end" if complete else "stop", run=self.run, **self.counts)
            self.ledger.close()

    def _sweep(self, run: str) -> None:
        """Removes what killed workers left half written, and the journals."""
        for path in self.out.glob(f".partial-{run}-*"):
            shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(self.out / f".cohort-{run}", ignore_errors=True)
