"""``tfreg batch PAIRS.csv -o FOLDER``: many pairs, started once."""

import argparse
import contextlib
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tfreg.cli.pairs import read_images, read_pairs, shard_of
from tfreg.cli.progress import Progress
from tfreg.cli.registrar import Registrar
from tfreg.cli.settings import Settings, add_settings
from tfreg.cli.work import Batch, check_writable, options_of, row_of, write_summary
from tfreg.cohort import clusters
from tfreg.cohort.run import TIMEOUT, Run, token
from tfreg.errors import InputError

SOME_FAILED = 3
# What `tfreg register --pairs` does without.
_DEFAULTS = {
    **{"atlas": None, "atlas_mask": None, "all_to_all": False, "limit_failures": None},
    **{"cluster": None, "cluster_tls": None, "timeout": None, "resources": None},
    **{"worker_memory_gib": None},
}
_OF_CLUSTERS = ("cluster_tls", "timeout", "resources", "worker_memory_gib")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    add = parser.add_argument
    add(
        "pairs",
        type=Path,
        help="CSV file with the columns fixed and moving, and name, fixed_mask and moving_mask "
        "where there are any; paths are relative to it. With --atlas or --all-to-all, with the "
        "column image, and name and mask where there are any",
    )
    add(
        "-o",
        "--out",
        required=True,
        type=Path,
        help="folder for summary.csv, ledger.jsonl and a folder per pair, which holds the moved "
        "image, the displacement and registration.json. Pairs that are there from the same files "
        "and settings are not registered again",
    )
    add("--shard", metavar="I/N", help="only every Nth pair, from the Ith: for N machines")
    add("--atlas", type=Path, metavar="FILE", help="register every image of the list onto this")
    add("--atlas-mask", type=Path, metavar="FILE", help="with --atlas: where to look in it")
    add("--all-to-all", action="store_true", help="register every image of the list onto each")
    add("--limit-failures", type=int, metavar="N", help="stop when so many pairs have failed")
    add(
        "--cluster",
        metavar="local:N|ADDRESS|YAML",
        help="let workers do it (tfreg[cluster]): N processes of this machine, those of the Dask "
        "scheduler at tcp://... or tls://..., or those that dask-jobqueue asks SLURM, PBS, SGE, "
        "LSF or HTCondor for, as its YAML file says",
    )
    add("--cluster-tls", metavar="YAML", help="Dask's configuration of TLS, for tls://...")
    add(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help="with --cluster: a worker that takes longer over a pair is started anew, and after "
        f"the third time the pair has failed; compiling counts (default: {TIMEOUT:g})",
    )
    add(
        "--resources",
        metavar="NAME=N[,NAME=N]",
        help="with --cluster: what a worker must have been started with, such as GPU=1",
    )
    add(
        "--worker-memory-gib",
        type=float,
        metavar="G",
        help="with --cluster local:N: a worker that takes more is started anew",
    )
    add_settings(parser)


def run(options: argparse.Namespace) -> int:
    """Registers all pairs; answers the exit code."""
    return run_pairs(options)


def run_pairs(options: argparse.Namespace) -> int:
    """Registers the pairs of ``options.pairs``; one that fails does not stop the others.

    Returns:
        The exit code: 3 where a pair failed.

    Raises:
        InputError: if there is no pair to begin with, or the folder cannot be written to, or the
            scheduler of a cluster is lost.
    """
    options = argparse.Namespace(**{**_DEFAULTS, **vars(options)})
    _check(options)
    resources = resources_of(options.resources)
    settings = Settings.of(options)
    part, parts = shard_of(options.shard)
    pairs = _pairs(options)[part - 1 :: parts]
    shard = "" if parts == 1 else f"-{part}-of-{parts}"
    check_writable(options.out)
    mark = token()
    work = Batch(Registrar(settings), options.out, options.report, mark, options.verbose)
    work.check()
    running = Run(pairs, work, options.out, mark, f"ledger{shard}.jsonl", options.limit_failures)
    progress = Progress(options.command, len(pairs), running.counts)
    summary = options.out / f"summary{shard}.csv"
    with contextlib.ExitStack() as stack:
        rows: Iterator[dict[str, Any]] = running.here()
        if options.cluster is not None:
            client = stack.enter_context(
                clusters.opened(options.cluster, options.cluster_tls, options.worker_memory_gib)
            )
            if client.dashboard_link:
                progress.say(f"dashboard at {client.dashboard_link}")
            rows = running.on(
                client,
                "tfreg.cli.work:of",
                options_of(asdict(settings), options.out.absolute(), options.report, mark),
                options.timeout or TIMEOUT,
                resources,
                said=progress.say,
                idle=progress.tick,
            )
        try:
            for row in rows:
                progress.add(row)
        finally:
            written = running.rows(lambda pair: row_of(pair, "not done"))
            write_summary(options.out, summary.name, written)
    stopped = f", stopped at {options.limit_failures} failures" if running.stopped else ""
    progress.close(summary, stopped)
    return SOME_FAILED if running.counts["failed"] else 0


def resources_of(text: str | None) -> dict[str, float] | None:
    """``"GPU=1"`` as ``{"GPU": 1.0}``.

    Raises:
        InputError: on anything else.

    Example:

    >>> resources_of("GPU=1,FAST=2")
    {'GPU': 1.0, 'FAST': 2.0}
    """
    if text is None:
        return None
    found = [re.fullmatch(r"\s*(\w+)=(\d+(?:\.\d+)?)\s*", word) for word in text.split(",")]
    if not all(found):
        raise InputError(f"--resources must be NAME=N[,NAME=N]. Received: {text}")
    return {match[1]: float(match[2]) for match in found if match}


def _check(options: argparse.Namespace) -> None:
    for name in _OF_CLUSTERS:
        value = getattr(options, name)
        if options.cluster is None and value is not None:
            raise InputError(
                f"--{name.replace('_', '-')} is for workers; name them with --cluster. "
                f"Received: {value}"
            )
    for name in ("timeout", "worker_memory_gib", "limit_failures"):
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise InputError(f"--{name.replace('_', '-')} must be positive. Received: {value}")
    if options.atlas is not None and options.all_to_all:
        raise InputError(f"--all-to-all takes no --atlas. Received: {options.atlas}")
    if options.atlas_mask is not None and options.atlas is None:
        raise InputError(f"--atlas-mask is for --atlas. Received: {options.atlas_mask}")


def _pairs(options: argparse.Namespace) -> list[Any]:
    if options.atlas is None and not options.all_to_all:
        return read_pairs(options.pairs)
    return read_images(options.pairs, options.atlas, options.atlas_mask)
