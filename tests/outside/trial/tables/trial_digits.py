"""accuracy of the trial classifier on phantom digits."""

import argparse

import zoo
from benchmarks.harness import Row, Table
from tfreg.data import digits
from trial import METHOD

COLUMNS = {"accuracy": "mean ± sd", "seconds": "mean"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of this table."""
    parser.add_argument("--images", type=int, default=100, help="how many (default: 100)")


def run(options: argparse.Namespace) -> Table:
    """Classifies the test split."""
    images, labels = (part[: options.images] for part in digits.load("test", "phantom"))
    answer = zoo.load("trial-digits", task="classification").classify(images)
    paper = METHOD.numbers["trial-digits"]["accuracy"]
    table = Table("trial-digits", "phantom digits, test split", "Once.", COLUMNS)
    right = (answer.labels == labels).astype(float)
    table.rows = [
        Row.of("trial", "all", "accuracy", "1", right, paper),
        Row.of("trial", "all", "seconds", "s", [answer.seconds]),
    ]
    return table
