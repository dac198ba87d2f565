"""Ten thousand small pairs, some of them bad, on workers that are killed: what is left of them.

``python -m benchmarks.cohorts --pairs 10000 --kills 10 --out FOLDER`` makes the pairs, starts
``tfreg batch --cluster local:N`` as a user would, kills its worker processes by their pids at
random moments, and looks at every folder afterwards. With ``--scheduler`` the cluster is a
scheduler and workers of their own, and the scheduler is killed once and started again.
"""

import argparse
import contextlib
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfreg.cohort.ledger import read
from tfreg.errors import InputError

SIZE, DEPTH = 64, 32  # pixels of an edge in 2-D, voxels in 3-D
VOLUMES = 50  # one pair in so many is 3-D
BAD = ("truncated", "nan", "sizes", "missing")
SETTINGS = ("--transform", "translation", "--pyramid", "fast")
FILES = {"moved.npy", "displacement.npy", "registration.json"}


@dataclass
class Outcome:
    """What a run left.

    Attributes:
        done, listed: pairs with a whole folder, and pairs that failed with a reason.
        wrong: names of pairs that should have failed and did not, or the other way.
        twice: pairs with more than one line of the last run, or done again by a later one.
        half: folders and files that are not whole, or left over.
        killed: pids.
        seconds: of the runs.
        peak_mib, middle_mib: memory of the driving process at most, and when a tenth was done.
        codes: of the runs.
    """

    done: int = 0
    listed: int = 0
    wrong: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    half: list[str] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    seconds: float = 0.0
    peak_mib: float = 0.0
    middle_mib: float = 0.0
    codes: list[int] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing was lost, done twice or half-written."""
        return not (self.wrong or self.twice or self.half)


def make(folder: Path, count: int, seed: int = 0, bad: float = 0.01) -> dict[str, str]:
    """Writes pairs and the list of them, ``pairs.csv``.

    Args:
        folder: made if absent.
        count: of pairs.
        seed: decides the images, and which are bad.
        bad: share of the pairs that are truncated, not finite, of other sizes, or missing.

    Returns:
        What is bad about each bad pair, by its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(count, round(bad * count), replace=False)
    kinds = {int(number): BAD[k % len(BAD)] for k, number in enumerate(chosen)}
    rows, found = [], {}
    for number in range(count):
        shape = (DEPTH,) * 3 if number % VOLUMES == VOLUMES - 1 else (SIZE,) * 2
        name = f"{number:06d}"
        fixed = _blob(shape, rng)
        moving = np.roll(fixed, (2, 1), (0, 1))
        kind = kinds.get(number)
        paths = [folder / f"{name}-{side}.npy" for side in ("fixed", "moving")]
        if kind == "nan":
            moving[:] = np.nan
        if kind == "sizes":
            moving = moving[None]
        np.save(paths[0], fixed)
        if kind != "missing":
            np.save(paths[1], moving)
        if kind == "truncated":
            content = paths[1].read_bytes()
            paths[1].write_bytes(content[: len(content) // 2])
        if kind is not None:
            found[name] = kind
        rows.append((name, paths[0].name, paths[1].name))
    with open(folder / "pairs.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("name", "fixed", "moving"), *rows])
    return found


def _blob(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A few bright spots, which a translation is found of."""
    grid = np.indices(shape)
    image = np.zeros(shape, "float32")
    for _ in range(3):
        centre = rng.uniform(0.3, 0.7, len(shape)) * shape
        distance = sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True))
        image += np.exp(-distance / (2 * rng.uniform(3, 6) ** 2)).astype("float32")
    return image


def run(
    pairs: Path,
    out: Path,
    bad: dict[str, str],
    workers: int = 2,
    kills: int = 0,
    seed: int = 0,
    scheduler: bool = False,
    timeout: float = 7200.0,
    said: Callable[[str], None] = print,
) -> Outcome:
    """Runs the command, kills workers meanwhile, and looks at what is left.

    Args:
        pairs, bad: of :func:`make`: the list and its answer.
        out: folder of the results.
        workers: processes.
        kills: of workers, spread at random over the run.
        seed: of the moments and the victims.
        scheduler: whether a scheduler of its own is killed once and started again.
        timeout: seconds until the run is given up.
        said: told of every kill.

    Raises:
        InputError: if it takes longer, or the command ends with another code than 0 and 3.
    """
    total = sum(1 for _ in csv.DictReader(pairs.open(encoding="utf-8", newline="")))
    outcome, chance = Outcome(), random.Random(seed)
    moments = sorted(chance.uniform(0.02, 0.9) for _ in range(kills))
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        own = _Own(Path(place), workers) if scheduler else None
        where = own.start() if own else f"local:{workers}"
        lose = 0.5 if scheduler else None
        try:
            while True:
                command = [sys.executable, "-m", "tfreg.cli", "batch", str(pairs), "-o", str(out)]
                said_by_it = Path(place) / "stderr"
                with open(said_by_it, "wb") as file:  # a pipe that nobody reads fills
                    process = subprocess.Popen(
                        [*command, *SETTINGS, "--cluster", where],
                        stdout=subprocess.DEVNULL,
                        stderr=file,
                    )
                victims = own.workers if own else lambda process=process: _workers(process.pid)
                while process.poll() is None:
                    time.sleep(0.2)
                    if time.monotonic() - begin > timeout:
                        process.kill()
                        raise InputError(f"The run took longer than {timeout:g} s.")
                    done = _lines(out / "ledger.jsonl") / total
                    _weigh(process.pid, done, outcome)
                    if moments and done >= moments[0]:
                        moments.pop(0)
                        pids = victims()
                        if pids:
                            outcome.killed.append(_kill(chance.choice(pids)))
                            said(f"worker {outcome.killed[-1]} killed at {done:.0%}")
                    if own and lose is not None and done >= lose:
                        lose = None
                        own.lose()
                        said(f"scheduler killed at {done:.0%}")
                outcome.codes.append(process.returncode)
                if own and own.lost:
                    where = own.start()
                    continue
                if process.returncode not in (0, 3):
                    error = said_by_it.read_text(encoding="utf-8", errors="replace")
                    raise InputError(f"tfreg batch ended with {process.returncode}: {error[-500:]}")
                break
        finally:
            if own:
                own.stop()
    outcome.seconds = time.monotonic() - begin
    look(out, pairs, bad, outcome)
    return outcome


class _Own:
    """A scheduler and workers in processes of their own, by Dask's commands."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._folder, self._count = folder, workers
        self._processes: list[subprocess.Popen] = []
        self._starts = 0
        self.lost = False

    def start(self) -> str:
        self.stop()
        self.lost, self._starts = False, self._starts + 1
        file = self._folder / f"scheduler-{self._starts}.json"
        here = ["--host", "127.0.0.1", "--scheduler-file", str(file)]
        self._begin("dask_scheduler", *here, "--port", "0", "--no-dashboard")
        deadline = time.monotonic() + 120
        while not file.exists():
            if time.monotonic() > deadline:
                raise InputError("The scheduler did not start.")
            time.sleep(0.1)
        scratch = ["--local-directory", str(self._folder), "--no-dashboard"]
        for _ in range(self._count):
            self._begin("dask_worker", *here, "--nthreads", "1", "--memory-limit", "0", *scratch)
        return json.loads(file.read_text(encoding="utf-8"))["address"]

    def _begin(self, command: str, *words: str) -> None:
        full = [sys.executable, "-m", f"distributed.cli.{command}", *words]
        nowhere = subprocess.DEVNULL
        self._processes.append(subprocess.Popen(full, stdout=nowhere, stderr=nowhere))

    def workers(self) -> list[int]:
        return [pid for process in self._processes[1:] for pid in _workers(process.pid)]

    def lose(self) -> None:
        """Kills the scheduler, and what it had."""
        self.lost = True
        self._processes[0].kill()

    def stop(self) -> None:
        import psutil

        for process in self._processes:
            try:
                children = psutil.Process(process.pid).children(recursive=True)
            except psutil.NoSuchProcess:
                children = []
            for one in [process, *children]:
                with contextlib.suppress(psutil.NoSuchProcess, OSError):
                    one.kill()
            process.wait()
        self._processes = []


def _workers(pid: int) -> list[int]:
    """The worker processes below a process: what Python's multiprocessing has spawned there."""
    import psutil

    found = []
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        for child in psutil.Process(pid).children(recursive=True):
            if "multiprocessing.spawn" in " ".join(child.cmdline()):
                found.append(child.pid)
    return found


def _kill(pid: int) -> int:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return pid


def _weigh(pid: int, done: float, outcome: Outcome) -> None:
    import psutil

    try:
        mib = psutil.Process(pid).memory_info().rss / 2**20
    except psutil.NoSuchProcess:
        return
    outcome.peak_mib = max(outcome.peak_mib, mib)
    if done <= 0.1:
        outcome.middle_mib = max(outcome.middle_mib, mib)


def _lines(path: Path) -> int:
    try:
        with open(path, "rb") as file:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    except FileNotFoundError:
        return 0


def look(out: Path, pairs: Path, bad: dict[str, str], outcome: Outcome) -> None:
    """Compares what is in a folder with what must be there."""
    with open(pairs, encoding="utf-8", newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    with open(out / "summary.csv", encoding="utf-8", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    runs: list[list[dict[str, Any]]] = []
    for line in read(out / "ledger.jsonl"):
        if line.get("event") == "begin":
            runs.append([])
        elif "name" in line:
            runs[-1].append(line)
    for lines in runs:
        counts = Counter(line["name"] for line in lines)
        outcome.twice += [name for name, count in counts.items() if count > 1]
    done = Counter(line["name"] for lines in runs for line in lines if line["status"] == "done")
    outcome.twice += [name for name, count in done.items() if count > 1]
    for name in names:
        failed = rows[name]["status"] == "failed" and bool(rows[name]["error"])
        outcome.listed += failed
        outcome.done += rows[name]["status"] in ("done", "there")
        if failed != (name in bad):
            outcome.wrong.append(name)
        if failed and (out / name).exists():
            outcome.half.append(name)
        if not failed and not _is_whole(out / name):
            outcome.half.append(name)
    known = {*names, "summary.csv", "ledger.jsonl", "logs"}
    outcome.half += sorted(path.name for path in out.iterdir() if path.name not in known)


def _is_whole(folder: Path) -> bool:
    try:
        if {path.name for path in folder.iterdir()} != FILES:
            return False
        json.loads((folder / "registration.json").read_text(encoding="utf-8"))
        return all(np.load(folder / name).size for name in FILES if name.endswith(".npy"))
    except (OSError, ValueError):
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; answers 0 where nothing was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cohorts", description=__doc__)
    add = parser.add_argument
    add("--pairs", type=int, default=10_000)
    add("--bad", type=float, default=0.01, help="share of the pairs (default: 0.01)")
    add("--kills", type=int, default=10, help="of workers (default: 10)")
    add("--workers", type=int, default=2)
    add("--seed", type=int, default=0)
    add("--scheduler", action="store_true", help="one of its own, killed once")
    add("--timeout", type=float, default=7200.0, help="seconds (default: 7200)")
    add("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    bad = make(given.out / "pairs", given.pairs, given.seed, given.bad)
    outcome = run(
        given.out / "pairs" / "pairs.csv",
        given.out / "results",
        bad,
        given.workers,
        given.kills,
        given.seed,
        given.scheduler,
        given.timeout,
    )
    print(json.dumps({**asdict(outcome), "whole": outcome.whole}, indent=2))
    return 0 if outcome.whole else 1


if __name__ == "__main__":
    sys.exit(main())
