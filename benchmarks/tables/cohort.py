"""Cohorts: what the engine costs beside `tfreg batch`, on one worker and two; and 10,000 pairs."""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import cohorts
from benchmarks.harness import Row, Table, choose
from tfreg.cohort.ledger import read
from tfreg.data import bodies
from tfreg.errors import InputError

PRESET = "dirnet-cine-bl"
SHARDS, ENGINE = (1, 2), (1, 2)
TOUCHED = "10,000 pairs, killed workers"
LOST = "the same, scheduler killed once"
SMALL = "1,000 pairs"
METHODS = (
    *(f"batch, {n} shard{'s' * (n > 1)}" for n in SHARDS),
    *(f"local:{n}" for n in ENGINE),
    SMALL,
    TOUCHED,
    LOST,
)
COLUMNS = {
    "pairs per second": "median",
    "overhead": "median",
    "speed-up": "median",
    "driver at a tenth": "median",
    "driver at most": "median",
}
REPEATS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    add = parser.add_argument
    add("--pairs", type=int, default=2000, help="of 128x128 to time with (default: 2000)")
    add("--many", type=int, default=10_000, help="small pairs, 1 %% bad (default: 10000)")
    add("--kills", type=int, default=10, help="of workers meanwhile (default: 10)")


def run(options: argparse.Namespace) -> Table:
    """Types every command as a user would."""
    methods = choose(options.methods, METHODS)
    for name, least in (("pairs", 48), ("many", 100), ("kills", 0)):
        if getattr(options, name) < least:
            received = getattr(options, name)
            raise InputError(f"--{name} must be {least} or more. Received: {received}")
    table = Table(
        name="cohort",
        data="phantom hearts of 128x128, and small blobs of 64x64 and 32x32x32",
        protocol=(
            f"`pairs per second` of {options.pairs} pairs of 128x128 (.npy) with {PRESET}, between "
            "a third of them and the last, as their records were written, so without start-up and "
            "compiling; one thread for each "
            f"process; the median of {REPEATS} turns, in which all take part one after the other. "
            "`overhead`: of `--cluster local:N` beside N processes of `tfreg batch --shard I/N`, "
            "per pair, of the same turn. `speed-up`: beside one worker. Then pairs of 64x64, one "
            f"in {cohorts.VOLUMES} of 32x32x32, of which 1 % are bad (truncated, not finite, of "
            "other sizes, missing), on two workers that are killed at random by their pids; what "
            "became of them is in the notes; and the memory of the driving process until a tenth "
            "was done, and at most."
        ),
        columns=COLUMNS,
        settings={"seed": options.seed, "pairs": options.pairs, "many": options.many},
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _speed(table, folder, methods, options)
        _many(table, folder, methods, options)
    return table


def _speed(table: Table, folder: Path, methods: Any, options: argparse.Namespace) -> None:
    timed = [method for method in methods if method in METHODS[: len(SHARDS) + len(ENGINE)]]
    if not timed:
        return
    pairs = _hearts(folder / "hearts", options.pairs, options.seed)
    rates: dict[str, list[float]] = {method: [] for method in timed}
    for turn in range(REPEATS):
        for method in timed:
            out = folder / f"out-{turn}-{timed.index(method)}"
            rates[method].append(_rate(pairs, out, method))
    for method in timed:
        row = Row.of(method, "all", "pairs per second", "1/s", rates[method])
        table.rows.append(row)
    for count in ENGINE:
        engine = f"local:{count}"
        plain = METHODS[SHARDS.index(count)]
        if engine in rates and plain in rates:
            ratios = np.divide(rates[plain], rates[engine])
            cost = 100 * (ratios - 1)
            table.rows.append(Row.of(engine, "all", "overhead", "%", cost.tolist()))
    first = f"local:{ENGINE[0]}"
    for count in ENGINE[1:]:
        engine = f"local:{count}"
        if engine in rates and first in rates:
            times = np.divide(rates[engine], rates[first])
            table.rows.append(Row.of(engine, "all", "speed-up", "1", times.tolist()))


def _many(table: Table, folder: Path, methods: Any, options: argparse.Namespace) -> None:
    for method in methods:
        if method not in (SMALL, TOUCHED, LOST):
            continue
        count = options.many // 10 if method == SMALL else options.many
        place = folder / f"many-{METHODS.index(method)}"
        bad = cohorts.make(place / "pairs", count, options.seed)
        outcome = cohorts.run(
            place / "pairs" / "pairs.csv",
            place / "results",
            bad,
            kills=options.kills if method == TOUCHED else 0,
            seed=options.seed,
            scheduler=method == LOST,
        )
        for metric, unit, value in (
            ("done", "1", outcome.done),
            ("listed", "1", outcome.listed),
            ("twice", "1", len(outcome.twice)),
            ("half-written", "1", len(outcome.half)),
            ("killed", "1", len(outcome.killed)),
            ("driver at a tenth", "MiB", outcome.middle_mib),
            ("driver at most", "MiB", outcome.peak_mib),
        ):
            table.rows.append(Row.of(method, "all", metric, unit, [value]))
        table.notes.append(
            f"{method}: {outcome.done:,} done with a whole folder, {outcome.listed:,} listed "
            f"with a reason, {len(outcome.twice)} twice, {len(outcome.half)} half-written, "
            f"{len(outcome.killed)} workers killed, {len(outcome.codes)} starts, "
            f"{outcome.seconds:.0f} s"
        )
        if outcome.wrong:
            table.notes.append(f"{method}: wrongly done or listed: {', '.join(outcome.wrong[:9])}")


def _hearts(folder: Path, count: int, seed: int) -> Path:
    """Pairs of 128x128 and the list of them."""
    folder.mkdir()
    hearts = bodies.beating_hearts(1, seed=seed, size=128)
    images = hearts.images[0, 0], hearts.images[0, hearts.systole]
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        names = [f"{number}-{side}.npy" for side in ("fixed", "moving")]
        for name, image in zip(names, images, strict=True):
            noise = 0.01 * rng.normal(size=image.shape)
            np.save(folder / name, (image + noise).astype("float32"))
        rows.append(names)
    with open(folder / "pairs.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("fixed", "moving"), *rows])
    return folder / "pairs.csv"


def _rate(pairs: Path, out: Path, method: str) -> float:
    """Pairs a second of a method, warm; several processes run at the same time."""
    words = [sys.executable, "-m", "tfreg.cli", "batch", str(pairs), "-m", PRESET, "-o", str(out)]
    if method.startswith("local"):
        commands = [[*words, "--cluster", method]]
        ledgers = ["ledger.jsonl"]
    else:
        count = SHARDS[METHODS.index(method)]
        parts = range(1, count + 1)
        shards = [[] if count == 1 else ["--shard", f"{part}/{count}"] for part in parts]
        commands = [[*words, *shard] for shard in shards]
        ledgers = (
            ["ledger.jsonl"] if count == 1 else [f"ledger-{p}-of-{count}.jsonl" for p in parts]
        )
    one = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    place = {**os.environ, **dict.fromkeys(one, "1")}
    running = [
        subprocess.Popen(
            command, env=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for command in commands
    ]
    for process in running:
        _, error = process.communicate()
        if process.returncode:
            raise InputError(f"`{method}` failed: {error.strip()[-500:]}")
    return sum(warm_rate(out / ledger) for ledger in ledgers)


def warm_rate(ledger: Path) -> float:
    """Pairs a second between a third of those that a ledger lists as done and the last.

    When each was done its record tells: a driver hears of a chunk's pairs all at once, in the
    middle of the chunk of another worker.
    """
    done = [line["name"] for line in read(ledger) if line.get("status") == "done"]
    records = (ledger.parent / name / "registration.json" for name in done)
    times = sorted(record.stat().st_mtime for record in records)
    first = len(times) // 3
    # What ended in the burst of that moment was done before it.
    after = [time for time in times if time > times[first] + 0.1]
    if not after:
        raise InputError(f"{ledger} holds too few pairs to tell a rate. Received: {len(times)}")
    return len(after) / (after[-1] - times[first])
