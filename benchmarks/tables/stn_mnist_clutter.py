"""Spatial transformer networks on translated digits among clutter: error rates."""

import argparse

from benchmarks.harness import Table
from benchmarks.tables._stn import add_arguments, networks, table
from zoo.stn import METHOD

__all__ = ["add_arguments", "run"]

NAME = "stn-mnist-clutter"
LINES = networks(("fcn", "cnn", "st-fcn", "st-cnn"), ("attention",))


def run(options: argparse.Namespace) -> Table:
    """Classifies the scenes."""
    paper = {method: {"clutter": error} for method, error in METHOD.numbers[NAME].items()}
    return table(NAME, options, LINES, {"all": "clutter"}, paper)
