"""``tfreg.cohort.register``: many pairs of files, with an iterator of results."""

import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from tfreg.cohort.run import TIMEOUT, Run, token
from tfreg.errors import InputError

# Named, since what registers files stands above: as every worker loads it.
_WORK = "tfreg.cli.work"


@dataclass(frozen=True)
class Result:
    """What became of a pair.

    Attributes:
        name: of the pair.
        status: ``"done"``, ``"there"`` (before, from the same files and settings) or ``"failed"``.
        folder: where its moved image, displacement and ``registration.json`` are; ``None`` where
            it failed.
        error: why it failed.
        row: its line in ``summary.csv``.
    """

    name: str
    status: str
    folder: Path | None
    error: str
    row: dict[str, Any]


def register(
    pairs: str | PathLike | Iterable[Mapping[str, Any]],
    out: str | PathLike,
    *,
    client: Any = None,
    timeout: float = TIMEOUT,
    resources: dict[str, float] | None = None,
    limit_failures: int | None = None,
    report: bool = False,
    **settings: Any,
) -> Iterator[Result]:
    """Registers pairs of files; one that fails does not stop the others.

    Args:
        pairs: a CSV file as ``tfreg batch`` takes it, or mappings with ``fixed`` and ``moving``,
            and ``name``, ``fixed_mask`` and ``moving_mask`` where there are any: paths, on
            workers as they see them.
        out: a folder per pair goes there, and ``ledger.jsonl``; made if absent. What is there from
            the same files and settings is not registered again.
        client: a ``distributed.Client``; ``None``: this process does it.
        timeout: seconds that a pair may take on a worker, which is started anew after them.
        resources: what a worker must have, such as ``{"GPU": 1}``.
        limit_failures: stops when so many pairs have failed.
        report: also writes ``report.html`` of each.
        settings: ``model``, ``refine``, ``initial``, ``settings``, ``transform``, ``similarity``,
            ``pyramid``, ``confine``, ``symmetric``, ``network``, ``nifti_space``: those of the
            command line.

    Yields:
        A result for each pair, in the order in which they end.

    Raises:
        InputError: on settings with which no pair could be registered, or a folder that cannot be
            written to.

    Example:

    >>> import tempfile
    >>> import numpy as np
    >>> from tfreg import cohort
    >>> folder = Path(tempfile.mkdtemp())
    >>> image = np.zeros((28, 28), "float32"); image[8:20, 10:16] = 1
    >>> np.save(folder / "a.npy", image); np.save(folder / "b.npy", np.roll(image, 1, axis=1))
    >>> pair = {"fixed": folder / "a.npy", "moving": folder / "b.npy"}
    >>> for result in cohort.register([pair], folder / "out", transform="translation"):
    ...     print(result.name, result.status)
    b-to-a done
    """
    if limit_failures is not None and limit_failures < 1:
        raise InputError(f"limit_failures must be positive. Received: {limit_failures}")
    if not timeout > 0:
        raise InputError(f"timeout must be positive. Received: {timeout}")
    module = importlib.import_module(_WORK)
    out, run = Path(out).absolute(), token()
    found = module.pairs_of(pairs)
    options = module.options_of(settings, out, report, run)
    work = module.of(options)
    work.check()
    running = Run(found, work, out, run, limit_failures=limit_failures)
    if client is None:
        rows = running.here()
    else:
        rows = running.on(client, f"{_WORK}:of", options, timeout, resources)
    return _results(rows, out)


def _results(rows: Iterator[dict[str, Any]], out: Path) -> Iterator[Result]:
    for row in rows:
        folder = None if row["status"] == "failed" else out / row["name"]
        yield Result(row["name"], row["status"], folder, row["error"], row)
