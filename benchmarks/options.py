"""Options that several tables take, and what is checked of them before anything is read."""

import argparse
from collections.abc import Callable, Sequence

from tfreg.errors import InputError


def add_pairs(
    parser: argparse.ArgumentParser, default: int | None = None, what: str = "registrations at most"
) -> None:
    """Declares ``--pairs``; without a default it is all of them."""
    parser.add_argument(
        "--pairs", type=int, default=default, help=f"{what} (default: {default or 'all'})"
    )


def add_data(
    parser: argparse.ArgumentParser,
    sources: Sequence[str],
    real: str,
    phantoms: str = "phantoms",
    more: str = "",
) -> None:
    """Declares ``--data``.

    Args:
        parser: of the table.
        sources: what it takes beside ``auto``.
        real: what ``auto`` takes where it is found.
        phantoms: what it takes else.
        more: what is to be said of others.
    """
    parser.add_argument(
        "--data",
        choices=("auto", *sources),
        default="auto",
        help=f"auto: {real} where it is found, else {phantoms}{more}",
    )


def add_split(parser: argparse.ArgumentParser, more: Sequence[str] = (), said: str = "") -> None:
    """Declares ``--split``, of data sets that have one, with more than test and validation."""
    parser.add_argument(
        "--split",
        choices=("test", "validation", *more),
        default="test",
        help=f"validation: for choosing settings{said} (default: test)",
    )


def check(options: argparse.Namespace) -> None:
    """Raises ``InputError`` on a seed, or a number of pairs, that is none."""
    if options.seed < 0:
        raise InputError(f"--seed must not be negative. Received: {options.seed}")
    pairs = getattr(options, "pairs", None)
    if pairs is not None and pairs < 1:
        raise InputError(f"--pairs must be positive. Received: {pairs}")


def source(options: argparse.Namespace, real: str, there: Callable[[], bool]) -> str:
    """What ``--data`` names; of ``auto`` the real one where it is there, else phantoms."""
    if options.data != "auto":
        return options.data
    return real if there() else "phantom"
